"""Masks as arrays and as run lengths: checks before two are compared, COCO's codec, and where two differ."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "as_mask",
    "changed_box",
    "decode_rle",
    "encode_rle",
    "mask_box",
    "mask_from_runs",
    "mask_pair",
    "rle_area",
    "runs_from_mask",
    "runs_from_rle",
]

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

# A run length takes at most this many characters of five bits: 12000 x 12000 pixels need 28 bits and a sign.
_LONGEST_CODE = 7

_BAND_PIXELS = 1 << 19


def as_mask(values: NDArray[np.generic], name: str = "mask") -> BoolArray:
    """Read a mask from truth values or labels.

    Args:
        values: (H, W) bool, or numbers of which 1 marks the object and every other value (also 255) does not.
        name: what the error message calls the argument.

    Returns:
        (H, W) bool; the argument itself where it already is bool.

    Raises:
        ValueError: another rank.
    """
    if values.ndim != 2:
        raise ValueError(f"{name} has shape {values.shape}; expected (H, W)")
    return np.asarray(values if values.dtype == np.bool_ else values == 1, dtype=np.bool_)


def mask_pair(
    prediction: NDArray[np.generic], target: NDArray[np.generic], ignore: NDArray[np.generic] | None
) -> tuple[BoolArray, BoolArray, BoolArray | None]:
    """Read a prediction, its target and the pixels to ignore, which must be of one size.

    Args:
        prediction: (H, W) bool, or numbers of which 1 marks the object.
        target: (H, W), likewise.
        ignore: (H, W), likewise: the pixels that count neither as right nor as wrong. None: every pixel counts.

    Returns:
        The three as (H, W) bool; the last is None where `ignore` is.

    Raises:
        ValueError: a rank other than 2, or different sizes.
    """
    pair = as_mask(prediction, "prediction"), as_mask(target, "target")
    if pair[0].shape != pair[1].shape:
        raise ValueError(f"prediction has shape {prediction.shape} but target has {target.shape}; give both one size")
    if ignore is None:
        return *pair, None
    ignored = as_mask(ignore, "ignore")
    if ignored.shape != pair[1].shape:
        raise ValueError(f"ignore has shape {ignore.shape} but target has {target.shape}; give both one size")
    return *pair, ignored


def runs_from_mask(mask: BoolArray) -> IntArray:
    """Measure the runs of equal pixels in column-major order, as COCO counts them.

    Args:
        mask: (H, W) bool.

    Returns:
        (n,) int64: lengths of the runs, background first; the first is 0 where the first pixel is set. They add up to
        H * W.

    Raises:
        ValueError: another rank.
    """
    plane = np.ascontiguousarray(as_mask(mask)).view(np.uint8)
    if plane.size == 0:
        return np.zeros(1, dtype=np.int64)
    # 5x faster than NumPy's copy of a transposed view.
    columns = np.asarray(cv2.transpose(plane), np.uint8).reshape(-1)
    changes = np.flatnonzero(columns[1:] != columns[:-1]) + 1
    edges = [0, *([0] if columns[0] else [])]
    return np.diff(np.concatenate([edges, changes, [columns.size]])).astype(np.int64)


def mask_from_runs(runs: Sequence[int] | IntArray, height: int, width: int) -> BoolArray:
    """Draw the mask of runs in column-major order; the inverse of `runs_from_mask`.

    Args:
        runs: lengths of the runs, background first, each >= 0.
        height: rows of the mask.
        width: columns of the mask.

    Returns:
        (height, width) bool, C-contiguous.

    Raises:
        ValueError: the runs do not add up to the pixels of the mask, or one is negative.
    """
    lengths = np.asarray(runs, dtype=np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or int(lengths.sum()) != height * width:
        raise ValueError(
            f"the run lengths hold {int(lengths.sum())} pixels, the mask {height * width} ({width}x{height}); "
            "they belong to a mask of another size or are damaged"
        )
    columns = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(width, height)
    return np.ascontiguousarray(columns.T)


def encode_rle(mask: BoolArray) -> str:
    """Write a mask as COCO's compressed run lengths.

    Each run from the fourth on is stored as the difference to the run two before it, in groups of five bits, lowest
    first; a group is one character from "0" (48) on, of which bit 5 says that more follow, and the number is negative
    where bit 4 of the last group is set. The same characters as pycocotools'.

    Args:
        mask: (H, W) bool.

    Returns:
        the characters; the size of the mask is not part of them.

    Raises:
        ValueError: another rank.
    """
    runs = runs_from_mask(mask)
    values = runs.copy()
    values[3:] -= runs[1:-2]
    groups = np.zeros((len(values), _LONGEST_CODE), dtype=np.uint8)
    used = np.zeros(groups.shape, dtype=np.bool_)
    open_rows = np.ones(len(values), dtype=np.bool_)
    for column in range(_LONGEST_CODE):
        low = values & 31
        values >>= 5
        more = np.where(low & 16, values != -1, values != 0)
        used[:, column] = open_rows
        groups[:, column] = low | np.where(more, 32, 0)
        open_rows = open_rows & more
    return (groups[used] + np.uint8(48)).tobytes().decode("ascii")


def runs_from_rle(counts: str) -> IntArray:
    """Read COCO's compressed run lengths; see `encode_rle`.

    Raises:
        ValueError: characters that no encoder writes, or a text that breaks off within a number.
    """
    codes = np.frombuffer(counts.encode("utf-8"), dtype=np.uint8).astype(np.int64) - 48
    if codes.size and (codes.min() < 0 or codes.max() > 63 or codes[-1] & 32):
        raise ValueError("the compressed run lengths are damaged: wanted the characters of COCO's compressed RLE")
    ends = np.flatnonzero((codes & 32) == 0)
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)
    if codes.size and int((ends - starts).max()) >= _LONGEST_CODE + 1:
        raise ValueError("the compressed run lengths are damaged: a run is longer than any image")
    if not ends.size:
        return np.zeros(0, dtype=np.int64)
    position = np.arange(codes.size) - np.repeat(starts, ends - starts + 1)
    values = np.add.reduceat((codes & 31) << (5 * position), starts)
    negative = (codes[ends] & 16) != 0
    values[negative] -= np.int64(1) << (5 * (ends - starts + 1)[negative])
    # Every other run adds to the one two before it, from the fourth on.
    for first in (1, 2):
        values[first::2] = np.cumsum(values[first::2])
    return np.asarray(values, dtype=np.int64)


def decode_rle(counts: str, height: int, width: int) -> BoolArray:
    """Draw the mask of COCO's compressed run lengths; the inverse of `encode_rle`.

    Args:
        counts: the characters.
        height: rows of the mask.
        width: columns of the mask.

    Returns:
        (height, width) bool.

    Raises:
        ValueError: damaged characters, or the runs do not add up to the pixels of the mask.
    """
    return mask_from_runs(runs_from_rle(counts), height, width)


def rle_area(counts: str) -> int:
    """Count the set pixels of compressed run lengths without drawing them.

    Raises:
        ValueError: damaged characters.
    """
    return int(runs_from_rle(counts)[1::2].sum())


def mask_box(mask: BoolArray) -> tuple[int, int, int, int] | None:
    """Find the smallest box that holds all set pixels.

    Args:
        mask: (H, W) bool.

    Returns:
        (left, top, right, bottom) in pixels, right and bottom being the first column and row outside; None where
        nothing is set.
    """
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    return (left, top, left + width, top + height) if width else None


def changed_box(before: BoolArray | None, after: BoolArray) -> tuple[int, int, int, int] | None:
    """Find the smallest box outside of which two masks are equal, so that only it has to travel.

    Args:
        before: (H, W) bool; None: an empty mask.
        after: (H, W) bool.

    Returns:
        as `mask_box`; None where the masks are equal.

    Raises:
        ValueError: different sizes.
    """
    if before is None:
        return mask_box(after)
    one, other, _ = mask_pair(before, after, None)
    height, width = one.shape
    # In bands that stay in the cache: a plane of 12000x9000 pixels takes longer to come by than to fill.
    rows = max(1, _BAND_PIXELS // max(width, 1))
    band = np.empty((min(rows, height), width), np.bool_)
    boxes = []
    for top in range(0, height, rows):
        differs = band[: min(rows, height - top)]
        box = mask_box(np.logical_xor(one[top : top + rows], other[top : top + rows], out=differs))
        if box is not None:
            boxes.append((box[0], box[1] + top, box[2], box[3] + top))
    if not boxes:
        return None
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)
