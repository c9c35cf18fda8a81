"""`open_dataset`: from a path to a data set, by what lies there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inter2former.data.berkeley import is_berkeley, open_berkeley
from inter2former.data.coco import coco_dataset, open_coco
from inter2former.data.davis import is_davis, open_davis
from inter2former.data.folder import is_folder, open_folder
from inter2former.data.grabcut import is_grabcut, open_grabcut
from inter2former.data.hqseg import is_hqseg, open_hqseg
from inter2former.data.instance_file import json_files, read_json, split_file
from inter2former.data.lvis import is_lvis, lvis_dataset, open_lvis
from inter2former.data.pascal_voc import is_pascal_voc, open_pascal_voc
from inter2former.data.sample import Dataset
from inter2former.data.sbd import is_sbd, open_sbd
from inter2former.errors import DataError

__all__ = ["KINDS", "Layout", "open_dataset"]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a kind of folder is known and opened.

    Attributes:
        kind: its name.
        signs: what lies in it, for messages.
        recognise: whether a path is one.
        open: lists it; the second argument is the split.
    """

    kind: str
    signs: str
    recognise: Callable[[Path], bool]
    open: Callable[[Path, str | None], Dataset]


# The first that recognises a path opens it, so what is more particular comes first.
LAYOUTS = (
    Layout("davis", "JPEGImages/480p and Annotations/480p, or img and gt", is_davis, open_davis),
    Layout("pascal-voc", "JPEGImages and SegmentationObject", is_pascal_voc, open_pascal_voc),
    Layout("sbd", "img and inst", is_sbd, open_sbd),
    Layout("grabcut", "data_GT and boundary_GT", is_grabcut, lambda path, _: open_grabcut(path)),
    Layout("hqseg-44k", "DIS5K, thin_object_detection or cascade_psp", is_hqseg, open_hqseg),
    Layout("berkeley", "images and masks in a folder of that name", is_berkeley, lambda path, _: open_berkeley(path)),
    Layout("folder", "images and masks", is_folder, lambda path, _: open_folder(path)),
)
FILES = {"coco": open_coco, "lvis": open_lvis}
KINDS = (*(layout.kind for layout in LAYOUTS), *FILES)


def open_dataset(
    path: str | Path, kind: str | None = None, *, split: str | None = None, images: str | Path | None = None
) -> Dataset:
    """Open a data set in any layout that this package knows; docs/datasets.md draws them.

    Args:
        path: a folder; or the file that names one split of it, such as `annotations/instances_val2017.json` or
            `ImageSets/2016/val.txt`.
        kind: one of `KINDS`; None: recognised by what lies there.
        split: which list to read where the folder has several and the path names none; without effect elsewhere.
        images: the folder of the images of a JSON file; None: looked for around the file.
    Raises:
        DataError: nothing there, no known layout, or several lists to choose from.
        ValueError: no such kind, or `images` with a path that is no JSON file.
    """
    path = Path(path)
    if kind is not None and kind not in KINDS:
        raise ValueError(f"there is no kind of data set {kind!r}; the kinds are {', '.join(KINDS)}")
    if not path.exists():
        raise DataError(f"there is nothing at {path}; give the folder or JSON file of a data set")
    layout = _layout(path, kind)
    if layout is None and path.is_dir() and (kind in FILES or json_files(path)):
        path = split_file(path, split)
    if layout is None and (kind in FILES or path.suffix == ".json"):
        return _open_file(path, kind, images)
    if images is not None:
        raise ValueError(f"images is {images}, but {path} is no JSON file and says itself where its images are")
    if layout is None:
        known = "; ".join(f"{layout.kind}: {layout.signs}" for layout in LAYOUTS)
        raise DataError(f"{path} is in no known layout ({known}; coco, lvis: a JSON file); see docs/datasets.md")
    return layout.open(path, split)


def _layout(path: Path, kind: str | None) -> Layout | None:
    if kind is not None:
        return next((layout for layout in LAYOUTS if layout.kind == kind), None)
    if path.suffix == ".json":
        return None
    return next((layout for layout in LAYOUTS if layout.recognise(path)), None)


def _open_file(path: Path, kind: str | None, images: str | Path | None) -> Dataset:
    if kind is not None:
        return FILES[kind](path, images)
    data = read_json(path)
    return lvis_dataset(path, data, images) if is_lvis(data) else coco_dataset(path, data, images)
