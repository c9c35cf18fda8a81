"""Masks on the wire: the runs of one box, row by row, so that only what changed travels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inter2former.masks import runs_from_rle
from inter2former.prompt import MaskPrompt

__all__ = ["WireBox", "cut_out", "pack_runs"]

WireBox = tuple[int, int, int, int]
"""(left, top, right, bottom) in original pixels, right and bottom being the first column and row outside."""

BoolArray = NDArray[np.bool_]

_MOST_BYTES = 5


def pack_runs(patch: BoolArray) -> bytes:
    """Write a mask as the lengths of its runs in row-major order, background first.

    Args:
        patch: (H, W) bool.
    Returns:
        each length as LEB128: seven bits per byte, lowest first, the highest bit says that more follow. They add up to
        H * W; the first is 0 where the first pixel is set.
    """
    flat = np.ascontiguousarray(patch).reshape(-1)
    if not flat.size:
        return b""
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = [0, *([0] if flat[0] else [])]
    runs = np.diff(np.concatenate([edges, changes, [flat.size]])).astype(np.int64)
    groups = np.zeros((len(runs), _MOST_BYTES), np.uint8)
    used = np.zeros(groups.shape, np.bool_)
    left = np.ones(len(runs), np.bool_)
    for column in range(_MOST_BYTES):
        used[:, column] = left
        more = runs >= 128
        groups[:, column] = (runs & 127) | np.where(more, 128, 0)
        runs = runs >> 7
        left = left & more
    return groups[used].tobytes()


def cut_out(mask: MaskPrompt) -> tuple[WireBox, BoolArray] | None:
    """Draw only the box of a stored mask; an object on a large image costs what the object takes.

    Returns:
        the smallest box around the set pixels and the mask inside it; None where no pixel is set.
    """
    runs = runs_from_rle(mask.counts)
    ends = np.cumsum(runs)
    set_ends, set_starts = ends[1::2], (ends - runs)[1::2]
    solid = set_ends > set_starts
    if not solid.any():
        return None
    left = int(set_starts[solid][0]) // mask.height
    right = (int(set_ends[solid][-1]) - 1) // mask.height + 1
    low, high = left * mask.height, right * mask.height
    inside = np.diff(np.clip(np.concatenate([[0], ends]), low, high))
    columns = np.repeat(np.arange(len(runs)) % 2 == 1, inside).reshape(right - left, mask.height)
    rows = np.flatnonzero(columns.any(axis=0))
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    return (left, top, right, bottom), np.ascontiguousarray(columns[:, top:bottom].T)
