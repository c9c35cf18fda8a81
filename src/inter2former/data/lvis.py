"""LVIS: more objects in the photos of COCO. The file names each photo by its address, with the split that has it.

lvis/
├── lvis_v1_val.json
├── train2017/000000391895.jpg      some photos of LVIS' val are of COCO's train
└── val2017/000000397133.jpg
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inter2former.data.instance_file import dataset_of_file, read_json
from inter2former.data.sample import Dataset

__all__ = ["is_lvis", "lvis_dataset", "open_lvis"]

FOLDERS = (".", "images", "coco", "coco2017", "coco/images")


def is_lvis(data: Mapping[str, Any]) -> bool:
    """Whether a file that has been read is LVIS and not COCO: it says which categories were looked for."""
    first = data["images"][0] if data["images"] else None
    return isinstance(first, dict) and ("neg_category_ids" in first or "not_exhaustive_category_ids" in first)


def open_lvis(path: str | Path, images: str | Path | None = None) -> Dataset:
    """Read a JSON file.

    Args:
        path: the file.
        images: the folder that holds `train2017/` and `val2017/`; None: looked for around the file.
    Raises:
        DataError: the file cannot be read or lists no objects, or the images cannot be found.
    """
    return lvis_dataset(Path(path), read_json(Path(path)), images)


def lvis_dataset(path: Path, data: Mapping[str, Any], images: str | Path | None) -> Dataset:
    """Make a data set of a file that has been read, as `open_lvis` does."""
    return dataset_of_file(path, data, images, name_of=_name, folders=FOLDERS)


def _name(entry: Mapping[str, Any]) -> object:
    """The last two parts of the address, such as val2017/000000397133.jpg."""
    address = entry.get("coco_url")
    return "/".join(address.split("/")[-2:]) if isinstance(address, str) else entry.get("file_name")
