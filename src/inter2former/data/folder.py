"""A plain folder: `images/` and `masks/` with the same file stems; `label_maps.read_labels` says what a mask may be.

photos/
├── images/cup.jpg
├── masks/cup.png
└── dataset.json      optional, see `terms`
"""

from __future__ import annotations

from pathlib import Path

from inter2former.data.label_maps import read_labels
from inter2former.data.mask_files import paired_items
from inter2former.data.sample import Dataset
from inter2former.data.terms import dataset_of
from inter2former.errors import DataError

__all__ = ["is_folder", "open_folder"]


def is_folder(path: Path) -> bool:
    """Whether both subfolders are there."""
    return (path / "images").is_dir() and (path / "masks").is_dir()


def open_folder(path: str | Path) -> Dataset:
    """List a plain folder, in the order of the images' names.

    Raises:
        DataError: `images/` or `masks/` is missing or empty.
    """
    root = Path(path)
    items = paired_items(root / "images", root / "masks", read_labels)
    if not items:
        raise DataError(f"{root} has no files in images/ or none in masks/; both must hold files of the same stems")
    return dataset_of(root, items)
