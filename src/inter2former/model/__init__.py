"""The network, one file per section of the paper; start with `inter2former.py`."""
