"""A later answer never silently contradicts a click: the mask is mended where it does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["contradicted", "keep_clicks"]

MARGIN = 1.0
"""Mask logit, in absolute value, that a mended click ends up with at least."""


def keep_clicks(
    logits: NDArray[np.float32],
    box: tuple[int, int, int, int],
    clicks: Sequence[tuple[float, float, bool]],
    *,
    radius: float,
) -> NDArray[np.float32]:
    """Mend mask logits so that the mask agrees with the clicks.

    Where the logit at a click has the wrong sign, a smooth bump as wide as the click's disc lifts or lowers the logits
    just so far: along a thin object the bump follows the object, because the logits already do. Clicks are taken in
    order, so where discs overlap the later one has the last word.

    Args:
        logits: (bottom - top, right - left) mask logits inside the box; left unchanged.
        box: left, top, right, bottom in working pixels; outside there is background, so only clicks inside matter.
        clicks: x, y in working pixels (fractions between pixel centres) and whether positive, oldest first.
        radius: of the disc in working pixels.

    Returns:
        `logits` itself where no click is contradicted, else a mended copy.
    """
    mended = logits
    for x, y, positive in clicks:
        column, row = x - box[0], y - box[1]
        if contradicted(mended, column, row, positive):
            mended = mended.copy() if mended is logits else mended
            _mend(mended, column, row, 1.0 if positive else -1.0, radius)
    return mended


def contradicted(logits: NDArray[np.float32], x: float, y: float, positive: bool) -> bool:
    """Whether one of the up to four pixels that are interpolated at (x, y) has the other sign than the click."""
    rows, columns = _neighbours(logits.shape, x, y)
    around = logits[rows, columns]
    if around.size == 0:
        return False
    return bool((around <= 0).any() if positive else (around > 0).any())


def _mend(logits: NDArray[np.float32], x: float, y: float, sign: float, radius: float) -> None:
    around = _neighbours(logits.shape, x, y)
    need = MARGIN - float((sign * logits[around]).min())
    reach = math.ceil(radius)
    top, left = max(int(y) - reach, 0), max(int(x) - reach, 0)
    window = logits[top : int(y) + reach + 2, left : int(x) + reach + 2]
    down = (np.arange(window.shape[0], dtype=np.float32) + top - y)[:, None]
    across = np.arange(window.shape[1], dtype=np.float32) + left - x
    falloff = np.maximum(1 - (down**2 + across**2) / radius**2, 0)
    window += sign * need * falloff**2
    # The bump has fallen a little at the neighbours' centres.
    logits[around] = sign * np.maximum(sign * logits[around], MARGIN)


def _neighbours(shape: tuple[int, ...], x: float, y: float) -> tuple[slice, slice]:
    """The two by two pixels around a position, fewer at the border of the plane, none half a pixel beyond it."""
    return _pair(shape[0], y), _pair(shape[1], x)


def _pair(length: int, at: float) -> slice:
    if not -0.5 <= at < length - 0.5 + 1e-6:
        return slice(0, 0)
    low = min(max(math.floor(at), 0), length - 1)
    return slice(low, min(math.ceil(max(at, 0)), length - 1) + 1)
