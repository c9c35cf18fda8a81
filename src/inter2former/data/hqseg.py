"""HQSeg-44K, the sets that HQ-SAM was trained and measured on, in its layout. One object per image: grey above 128.

    HQSeg-44K/
    ├── DIS5K/DIS-TR/im/*.jpg  gt/*.png                                            train
    ├── DIS5K/DIS-VD/im/*.jpg  gt/*.png                                            val
    ├── thin_object_detection/ThinObject5K/images_train/*.jpg  masks_train/*.png   train
    ├── thin_object_detection/ThinObject5K/images_test/*.jpg  masks_test/*.png     val
    ├── thin_object_detection/COIFT/images/*.jpg  masks/*.png                      val
    ├── thin_object_detection/HRSOD/images/*.jpg  masks_max255/*.png               val
    └── cascade_psp/{fss_all,DUTS-TR,DUTS-TE,ecssd,MSRA_10K}/*.jpg  *.png          train, both in one folder

Every folder of it can be opened too, and so can DIS5K alone.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from inter2former.data.label_maps import Labels, read_grey
from inter2former.data.mask_files import paired_items
from inter2former.data.sample import Dataset
from inter2former.data.terms import Terms, dataset_of
from inter2former.errors import DataError

__all__ = ["Part", "is_hqseg", "open_hqseg", "read_bright"]


class Part(NamedTuple):
    """One of the sets: its name, its split, and where its images and masks lie."""

    name: str
    split: str
    images: Path
    masks: Path


DIS, THIN, CASCADE = Path("DIS5K"), Path("thin_object_detection"), Path("cascade_psp")
PARTS = (
    Part("DIS5K-TR", "train", DIS / "DIS-TR" / "im", DIS / "DIS-TR" / "gt"),
    Part("ThinObject5K-TR", "train", THIN / "ThinObject5K" / "images_train", THIN / "ThinObject5K" / "masks_train"),
    *(
        Part(name, "train", CASCADE / folder, CASCADE / folder)
        for name, folder in (
            ("FSS", "fss_all"),
            ("DUTS-TR", "DUTS-TR"),
            ("DUTS-TE", "DUTS-TE"),
            ("ECSSD", "ecssd"),
            ("MSRA10K", "MSRA_10K"),
        )
    ),
    Part("DIS5K-VD", "val", DIS / "DIS-VD" / "im", DIS / "DIS-VD" / "gt"),
    Part("COIFT", "val", THIN / "COIFT" / "images", THIN / "COIFT" / "masks"),
    Part("HRSOD", "val", THIN / "HRSOD" / "images", THIN / "HRSOD" / "masks_max255"),
    Part("ThinObject5K-TE", "val", THIN / "ThinObject5K" / "images_test", THIN / "ThinObject5K" / "masks_test"),
)
LEVELS = 4  # from an innermost folder to the root


def is_hqseg(path: Path) -> bool:
    """Whether this is the published folder or one in it."""
    return bool(_parts(path)[1])


def open_hqseg(path: str | Path, split: str | None = None) -> Dataset:
    """List the images of one split of all sets below the path.

    Args:
        path: the folder, or one in it.
        split: `train` or `val`, where the path holds sets of both.
    Raises:
        DataError: none of the sets lies there, or sets of both splits and none is named.
    """
    path = Path(path)
    root, found = _parts(path)
    splits = sorted({part.split for part in found})
    if len(splits) > 1 and split is None:
        raise DataError(
            f"{path} holds sets to train on and to measure on ({', '.join(part.name for part in found)}); "
            "give the folder of one of them, or name the split"
        )
    chosen = [part for part in found if len(splits) == 1 or part.split == split]
    if not chosen:
        raise DataError(f"{path} holds no set of HQSeg-44K of split {split!r}; its splits are train and val")
    single = len(chosen) == 1
    items = [
        item
        for part in chosen
        for item in paired_items(
            root / part.images,
            root / part.masks,
            read_bright,
            prefix="" if single else f"{part.name}/",
            image_suffix=".jpg",
            mask_suffix=".png",
        )
    ]
    opened, terms = Path(os.path.abspath(path)), _terms(chosen)
    if single:  # its own name says which split it is of
        return dataclasses.replace(dataset_of(opened, items, name=chosen[0].name, terms=terms), split=chosen[0].split)
    return dataset_of(opened, items, name="HQSeg-44K", split=chosen[0].split, terms=terms)


def read_bright(path: Path) -> Labels:
    """Read a mask whose object is what is brighter than 128, as HQ-SAM's evaluation does.

    Raises:
        DataError: the file cannot be read or is not grey.
    """
    return Labels((read_grey(path) > 128).astype(np.uint8), None)


def _parts(path: Path) -> tuple[Path, list[Part]]:
    """The root of the layout, at the path or above it, and the sets at the path or below it."""
    inner = Path(os.path.abspath(path))
    for root in (inner, *inner.parents[:LEVELS]):
        found = [part for part in PARTS if (root / part.images).is_dir() and _within(inner, root, part)]
        if found:
            return root, found
    return path, []


def _within(inner: Path, root: Path, part: Part) -> bool:
    folders = (root / part.images, root / part.masks)
    return all(folder.is_relative_to(inner) for folder in folders) or inner in folders


def _terms(parts: list[Part]) -> Terms:
    names = [part.name for part in parts if part.images.is_relative_to(DIS)]
    if names:
        return Terms("HQSeg-44K: DIS5K is for non-commercial research; see the pages of the other sets", False)
    return Terms("HQSeg-44K: see the pages of its sets", None)
