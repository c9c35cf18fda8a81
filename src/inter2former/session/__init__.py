"""Sessions: a tree of prompts over one encoded image, moved through by clicking, undoing and going on elsewhere."""
