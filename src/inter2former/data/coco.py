"""COCO's JSON: objects as polygons or run lengths, which may overlap; crowds (`iscrowd`) are ignored.

    coco/
    ├── annotations/instances_val2017.json
    └── val2017/000000000139.jpg

An image for which no object is listed is no part of the data set: many of the published ones have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inter2former.data.instance_file import dataset_of_file, read_json
from inter2former.data.sample import Dataset

__all__ = ["coco_dataset", "open_coco"]


def open_coco(path: str | Path, images: str | Path | None = None) -> Dataset:
    """Read a JSON file.

    Args:
        path: the file.
        images: the folder that each `file_name` is relative to; None: looked for around the file.
    Raises:
        DataError: the file cannot be read or lists no objects, or the images cannot be found.
    """
    return coco_dataset(Path(path), read_json(Path(path)), images)


def coco_dataset(path: Path, data: Mapping[str, Any], images: str | Path | None) -> Dataset:
    """Make a data set of a file that has been read, as `open_coco` does."""
    split = path.stem.rpartition("_")[2]
    folders = (split, f"images/{split}", "images", "JPEGImages", ".")
    return dataset_of_file(path, data, images, name_of=lambda entry: entry.get("file_name"), folders=folders)
