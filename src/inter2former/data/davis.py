"""DAVIS: frames of videos; everything that is marked in a frame is one object, as in RITM's evaluation.

DAVIS/                                      as published
├── JPEGImages/480p/bear/00000.jpg
├── Annotations/480p/bear/00000.png         0 background, everything else object
└── ImageSets/2016/val.txt                  names of sequences; or ImageSets/480p/val.txt with pairs of files

DAVIS345/                                   the frames of RITM
├── img/bear_00000.jpg
└── gt/bear_00000.png
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from inter2former.data.label_maps import Labels, read_colours
from inter2former.data.mask_files import MaskFile, Unusable, listed_names, paired_items, split_list, without_duplicates
from inter2former.data.sample import Dataset, Item
from inter2former.data.terms import Terms, dataset_of
from inter2former.errors import DataError

__all__ = ["is_davis", "open_davis", "read_marked"]

TERMS = Terms("DAVIS: treated as non-commercial; see the page of the data set", False)
IMAGES, MASKS = Path("JPEGImages", "480p"), Path("Annotations", "480p")
LISTS = (Path("ImageSets", "2016"), Path("ImageSets", "480p"))


def is_davis(path: Path) -> bool:
    """Whether this is the published folder, a list file in it, or RITM's folder of frames."""
    root = _root(path)
    return _has_frames(path) or ((root / IMAGES).is_dir() and (root / MASKS).is_dir())


def open_davis(path: str | Path, split: str | None = None) -> Dataset:
    """List the frames of one split, or those in `img/`.

    Args:
        path: the folder, or one of its list files.
        split: `train`, `val` or `trainval`, where the path is the folder and has several lists.
    Raises:
        DataError: no frames, no such list, or several lists and none named.
    """
    path = Path(path)
    root = _root(path)
    if _has_frames(path):
        return dataset_of(root, paired_items(root / "img", root / "gt", read_marked), terms=TERMS)
    folder = next((root / lists for lists in LISTS if (root / lists).is_dir()), None)
    if path.is_dir() and folder is None:
        sequences = sorted(found.name for found in (root / IMAGES).glob("*") if found.is_dir())
        items = [item for name in sequences for item in _sequence(root, name, path)]
        return dataset_of(root, items, terms=TERMS)
    chosen = split_list(folder, split) if path.is_dir() and folder is not None else path
    items = [item for line in listed_names(chosen) for item in _listed(root, line, chosen)]
    return dataset_of(root, without_duplicates(items), split=chosen.stem, terms=TERMS)


def read_marked(path: Path) -> Labels:
    """Read a mask whose object is everything that is not black.

    Raises:
        DataError: the file cannot be read, or looks like a trimap.
    """
    colours = read_colours(path)
    if colours.shape[2] == 1:
        present = np.flatnonzero(np.bincount(colours.ravel(), minlength=256))
        if present.tolist() == [0, 128, 255]:
            raise DataError(
                f"the mask {path} holds 0, 128 and 255 like a trimap, but DAVIS has no undecided pixels; "
                "if it is GrabCut, open the data set with kind grabcut"
            )
    return Labels(np.asarray(colours.any(axis=2), dtype=np.uint8), None)


def _has_frames(path: Path) -> bool:
    return (path / "img").is_dir() and (path / "gt").is_dir()


def _root(path: Path) -> Path:
    """Of ROOT/ImageSets/2016/val.txt the root."""
    return path if path.is_dir() or len(path.parents) < 3 else path.parents[2]


def _listed(root: Path, line: str, chosen: Path) -> Iterator[Item]:
    """The frames of a line: the name of a sequence, or `/JPEGImages/480p/bear/00000.jpg /Annotations/...png`."""
    words = line.split()
    if len(words) < 2:
        yield from _sequence(root, words[0], chosen)
        return
    image, mask = (root / word.lstrip("/") for word in words[:2])
    yield MaskFile(f"{image.parent.name}/{image.stem}", image, mask, read_marked)


def _sequence(root: Path, name: str, chosen: Path) -> Iterator[Item]:
    folder = root / IMAGES / name
    frames = paired_items(folder, root / MASKS / name, read_marked, prefix=f"{name}/")
    if not frames:
        reason = f"{chosen} names the sequence {name}, but {folder} or its folder of masks has no files; add them"
        frames = [Unusable(name, folder, (chosen,), reason)]
    yield from frames
