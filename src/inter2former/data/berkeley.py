"""Berkeley: 100 objects in 96 images of BSDS300, in the layout of RITM. An image with two objects lies there twice.

Berkeley/
├── images/100007.jpg
└── masks/100007.png        0 background, 255 object; 128, if any, is ignored
"""

from __future__ import annotations

from pathlib import Path

from inter2former.data.folder import is_folder
from inter2former.data.grabcut import read_trimap
from inter2former.data.mask_files import paired_items
from inter2former.data.sample import Dataset
from inter2former.data.terms import Terms, dataset_of, folder_name

__all__ = ["is_berkeley", "open_berkeley"]

TERMS = Terms("Berkeley Segmentation Dataset: non-commercial research and education", False)


def is_berkeley(path: Path) -> bool:
    """Whether this is the published folder: only its name tells it from a plain one."""
    return is_folder(path) and folder_name(path).lower() == "berkeley"


def open_berkeley(path: str | Path) -> Dataset:
    """List the images in the order of their names.

    Raises:
        DataError: no image or no mask.
    """
    root = Path(path)
    return dataset_of(root, paired_items(root / "images", root / "masks", read_trimap), terms=TERMS)
