"""The project folder: labels, objects, masks and every prompt, in plain files open to other programs."""
