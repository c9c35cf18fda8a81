"""Objects that do not overlap, as one array of labels, and the ways to read such an array from a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inter2former.data.sample import Annotation
from inter2former.errors import DataError
from inter2former.images import without_pillow_limit

__all__ = ["LabelMap", "Labels", "read_colours", "read_grey", "read_indices", "read_labels"]


class Labels(NamedTuple):
    """What a mask file says.

    Attributes:
        values: (H, W) integers, 0: no object, otherwise the number of the object.
        ignored: (H, W) bool, pixels of which nothing is known; None: there are none.
    """

    values: NDArray[np.integer]
    ignored: NDArray[np.bool_] | None


@dataclass(frozen=True, eq=False)
class LabelMap(Annotation):
    """Objects that do not overlap.

    Attributes:
        labels: the array, and what is ignored.
    """

    labels: Labels

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.labels.values.shape
        return height, width

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The labels that occur, ascending, 0 left out."""
        return self._counts[0]

    def areas(self) -> NDArray[np.float64]:
        """(N,) the numbers of pixels."""
        return self._counts[1]

    def mask(self, position: int) -> NDArray[np.bool_]:
        """The pixels of object number `position`, (H, W) bool."""
        return np.asarray(self.labels.values == self.object_ids[position])

    def ignored(self) -> NDArray[np.bool_] | None:
        """(H, W) bool; None: nothing is ignored."""
        return self.labels.ignored

    @cached_property
    def _counts(self) -> tuple[tuple[int, ...], NDArray[np.float64]]:
        values = self.labels.values
        # Counting is faster than sorting, but takes as much memory as the largest label is large.
        if values.dtype.itemsize <= 2:
            counts = np.bincount(values.ravel())
            present = np.flatnonzero(counts)
            counts = counts[present]
        else:
            present, counts = np.unique(values, return_counts=True)
        objects = present != 0
        return tuple(present[objects].tolist()), counts[objects].astype(np.float64)


def read_labels(path: Path) -> Labels:
    """Read a mask of one of three kinds, told apart by its values.

    - binary: 8-bit, 0 background and 255 object
    - trimap: 8-bit, the same and 128 where it is undecided (ignored)
    - labels: anything else: 0 no object, every other value one object; 8 or 16 bit, or palette indices

    Raises:
        DataError: the file cannot be read or has no whole numbers in one channel.
    """
    values = read_indices(path)
    if values.dtype != np.uint8:
        return Labels(values, None)
    counts = np.bincount(values.ravel(), minlength=256)
    if counts[[0, 128, 255]].sum() != values.size:
        return Labels(values, None)
    return Labels((values == 255).astype(np.uint8), values == 128 if counts[128] else None)


def read_indices(path: Path) -> NDArray[np.integer]:
    """Read a mask file of one channel, of a palette image the indices.

    Returns:
        (H, W) integers, not negative; uint8 with 0 and 255 where the file has one bit per pixel.
    Raises:
        DataError: no such file, or it holds colours, fractions or negative numbers.
    """
    values = _pixels(path, colours=False)
    if values.ndim != 2:
        raise DataError(f"the mask {path} has {values.shape[-1]} channels; save it in grey or with a palette")
    if values.dtype.kind not in "iu":
        raise DataError(f"the mask {path} holds {values.dtype}; it must hold whole numbers of 8 or 16 bit")
    if values.dtype.kind == "i" and values.size and values.min() < 0:
        raise DataError(f"the mask {path} holds {values.min()}; labels must not be negative")
    return values


def read_grey(path: Path) -> NDArray[np.uint8]:
    """Read a mask file that looks grey, however it is stored; alpha is left out.

    Returns:
        (H, W) uint8.
    Raises:
        DataError: no such file, or it holds colours or more than 8 bits.
    """
    colours = read_colours(path)
    if (colours != colours[..., :1]).any():
        raise DataError(f"the mask {path} holds colours; it must be grey")
    return colours[..., 0]


def read_colours(path: Path) -> NDArray[np.uint8]:
    """Read a mask file as it looks; alpha is left out.

    Returns:
        (H, W, 1) or (H, W, 3) uint8.
    Raises:
        DataError: no such file, or it holds more than 8 bits.
    """
    values = _pixels(path, colours=True)
    if values.dtype != np.uint8:
        raise DataError(f"the mask {path} holds {values.dtype}; it must hold 8 bits per channel")
    channels = np.atleast_3d(values)
    # Of two channels the second is alpha, of four the fourth.
    return channels[..., : 1 if channels.shape[2] <= 2 else 3]


def _pixels(path: Path, *, colours: bool) -> NDArray[Any]:
    try:
        with without_pillow_limit():
            image = Image.open(path)
        with image:
            values = np.asarray(image.convert("RGB") if colours and image.mode == "P" else image)
    # Pillow's readers raise nearly any exception on bytes that only begin like their format.
    except Exception as error:
        raise DataError(f"cannot read the mask {path}: {error}; save it as PNG again") from error
    return values.astype(np.uint8) * np.uint8(255) if values.dtype == np.bool_ else values
