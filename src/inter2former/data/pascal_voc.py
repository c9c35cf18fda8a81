"""PascalVOC: the images with segmented objects.

VOC2012/                                  or VOCdevkit/, where it holds one such folder
├── JPEGImages/2007_000032.jpg
├── SegmentationObject/2007_000032.png    palette: 0 background, 1.. objects, 255 void, which is ignored
└── ImageSets/Segmentation/val.txt        names
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from inter2former.data.label_maps import Labels, read_indices
from inter2former.data.mask_files import MaskFile, listed_names, split_list, without_duplicates
from inter2former.data.sample import Dataset
from inter2former.data.terms import Terms, dataset_of

__all__ = ["is_pascal_voc", "open_pascal_voc", "read_objects"]

TERMS = Terms("PASCAL VOC: photos under the terms of use of Flickr; annotations without stated terms", None)
VOID = 255


def is_pascal_voc(path: Path) -> bool:
    """Whether this is the published folder, the one around it, or a list file in it."""
    return _root(path) is not None


def open_pascal_voc(path: str | Path, split: str | None = None) -> Dataset:
    """List the images of one split in the order of its list.

    Args:
        path: the folder, or one of its list files.
        split: `train`, `val` or `trainval`, where the path is the folder and has several lists.
    Raises:
        DataError: no such list, or several and none named.
    """
    path = Path(path)
    root = _root(path) or path
    chosen = split_list(root / "ImageSets" / "Segmentation", split) if path.is_dir() else path
    items = [
        MaskFile(name, root / "JPEGImages" / f"{name}.jpg", root / "SegmentationObject" / f"{name}.png", read_objects)
        for name in listed_names(chosen)
    ]
    return dataset_of(root, without_duplicates(items), split=chosen.stem, terms=TERMS)


def read_objects(path: Path) -> Labels:
    """Read palette indices, of which 255 is ignored.

    Raises:
        DataError: the file cannot be read or has more than one channel.
    """
    values = read_indices(path)
    void = values == VOID
    return Labels(np.where(void, 0, values), void if void.any() else None)


def _root(path: Path) -> Path | None:
    """The folder with the images: the path itself, its only VOC* folder, or what ROOT/ImageSets/Segmentation is in."""
    if path.is_dir():
        inner = sorted(path.glob("VOC*"))
        candidates = [path, *(inner if len(inner) == 1 else [])]
    else:
        candidates = list(path.parents[2:3])
    return next((root for root in candidates if (root / "SegmentationObject").is_dir()), None)
