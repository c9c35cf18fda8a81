"""GrabCut in the layout of its authors, which RITM keeps.

GrabCut/
├── data_GT/banana1.bmp
└── boundary_GT/banana1.bmp     0 background, 128 undecided, 255 object
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from inter2former.data.label_maps import Labels, read_grey
from inter2former.data.mask_files import paired_items
from inter2former.data.sample import Dataset
from inter2former.data.terms import Terms, dataset_of

__all__ = ["is_grabcut", "open_grabcut", "read_trimap"]

TERMS = Terms("Microsoft Research GrabCut: research use", False)
# The second pair is that of data sets repacked like RITM's DAVIS; recognised only by name, as DAVIS looks the same.
FOLDERS = (("data_GT", "boundary_GT"), ("img", "gt"))


def is_grabcut(path: Path) -> bool:
    """Whether the two folders of the authors are there."""
    return all((path / name).is_dir() for name in FOLDERS[0])


def open_grabcut(path: str | Path) -> Dataset:
    """List the images in the order of their names.

    Raises:
        DataError: no image or no mask.
    """
    root = Path(path)
    images, masks = FOLDERS[0] if is_grabcut(root) else FOLDERS[1]
    return dataset_of(root, paired_items(root / images, root / masks, read_trimap), terms=TERMS)


def read_trimap(path: Path) -> Labels:
    """Read a mask by RITM's rule: above 128, or 1, is the object; 128 is ignored; the rest is background.

    Raises:
        DataError: the file cannot be read or is not grey.
    """
    values = read_grey(path)
    undecided = values == 128
    return Labels(((values > 128) | (values == 1)).astype(np.uint8), undecided if undecided.any() else None)
