"""SBD, the Semantic Boundaries Dataset: objects of 11 355 photos as MATLAB files. Needs SciPy (extra `datasets`).

dataset/                     of benchmark_RELEASE/dataset; the folders around it do as well
├── img/2008_000002.jpg
├── inst/2008_000002.mat     GTinst.Segmentation: 0 background, 1.. objects
├── train.txt                names
└── val.txt
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from inter2former.data.label_maps import Labels
from inter2former.data.mask_files import MaskFile, listed_names, split_list, without_duplicates
from inter2former.data.sample import Dataset
from inter2former.data.terms import Terms, dataset_of
from inter2former.errors import DataError

__all__ = ["is_sbd", "open_sbd", "read_instances"]

TERMS = Terms("SBD: photos under the terms of use of Flickr; annotations without stated terms", None)
INNER = (Path(), Path("dataset"), Path("benchmark_RELEASE", "dataset"))


def is_sbd(path: Path) -> bool:
    """Whether this is the published folder, one around it, or a list file in it."""
    return _root(path) is not None


def open_sbd(path: str | Path, split: str | None = None) -> Dataset:
    """List the images of one split in the order of its list.

    Args:
        path: the folder, or one of its list files.
        split: `train` or `val`, where the path is the folder and has several lists.
    Raises:
        DataError: no such list, several and none named, or SciPy is not installed.
    """
    if find_spec("scipy") is None:
        raise DataError("reading SBD needs SciPy; install inter2former[datasets]")
    path = Path(path)
    root = _root(path) or path
    chosen = split_list(root, split) if path.is_dir() else path
    items = [
        MaskFile(name, root / "img" / f"{name}.jpg", root / "inst" / f"{name}.mat", read_instances)
        for name in listed_names(chosen)
    ]
    return dataset_of(root, without_duplicates(items), name="SBD", split=chosen.stem, terms=TERMS)


def read_instances(path: Path) -> Labels:
    """Read `GTinst.Segmentation` of a MATLAB file.

    Raises:
        DataError: the file is damaged or holds something else.
    """
    from scipy.io import loadmat

    try:
        values = np.asarray(loadmat(path)["GTinst"]["Segmentation"][0, 0])
    # The reader raises nearly any exception on damaged bytes.
    except Exception as error:
        raise DataError(
            f"cannot read the mask {path}: {type(error).__name__} {error}; it must be a MATLAB file "
            "with GTinst.Segmentation, as SBD publishes it"
        ) from error
    if values.ndim != 2 or values.dtype.kind not in "uif" or (values < 0).any() or (values % 1 != 0).any():
        raise DataError(f"the mask {path} holds {values.dtype} {values.shape}; it must hold (H, W) whole numbers")
    return Labels(values.astype(np.int32) if values.dtype.kind != "u" else values, None)


def _root(path: Path) -> Path | None:
    candidates = [path / inner for inner in INNER] if path.is_dir() else [path.parent]
    return next((root for root in candidates if (root / "img").is_dir() and (root / "inst").is_dir()), None)
