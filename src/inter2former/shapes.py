"""Shapes to pixels: which pixels a stroke paints and which lie inside a polygon, exactly and repeatably.

Coordinates are continuous: pixel (column, row) is the unit square whose corners are (column, row) and
(column + 1, row + 1); a pixel belongs to a shape by its centre. What lies outside the image is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Patch", "fill_rings", "line_pixels", "paint_line"]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

# Centres this near to the rim in pixels count as on it, so that rounding does not decide about exact ties.
_TIE = 1e-9


class Patch(NamedTuple):
    """A mask that is drawn only where anything is set.

    Attributes:
        left: first column of the patch in the image.
        top: first row.
        mask: (h, w) bool; (0, 0) where nothing is set.
    """

    left: int
    top: int
    mask: BoolArray

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the patch in the image."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


class _Spans(NamedTuple):
    """Pixels row by row: from `first` to `last`, both included, in units of `weight`."""

    rows: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


def paint_line(points: FloatArray, radius: float, width: int, height: int) -> Patch:
    """Paint a line with a round brush: all pixels whose centre is at most `radius` away from it.

    Args:
        points: (N, 2) float64 x, y of the corners of the line, N >= 1; one corner paints a disc.
        radius: of the brush in pixels, >= 0.5, which paints a line without gaps.
        width: columns of the image.
        height: rows of the image.

    Returns:
        the painted pixels; none where all lie outside the image.
    """
    starts = points[:-1] if len(points) > 1 else points
    ends = points[1:] if len(points) > 1 else points
    spans = _capsule_spans(starts, ends, radius, width, height)
    if not len(spans.rows):
        return _nothing()
    left, right = int(spans.first.min()), int(spans.last.max()) + 1
    top, bottom = int(spans.rows.min()), int(spans.rows.max()) + 1
    row = (spans.rows - top) * (right - left) - left
    opened, closed = row + spans.first, row + spans.last + 1
    order = np.argsort(opened)
    opened, closed = opened[order], np.maximum.accumulate(closed[order])
    fresh = np.flatnonzero(np.concatenate([[True], opened[1:] > closed[:-1]]))
    edges = np.stack([opened[fresh], closed[np.append(fresh[1:] - 1, len(closed) - 1)]], axis=1).reshape(-1)
    mask = _filled(edges, np.arange(len(edges)) % 2 == 0, bottom - top, right - left)
    return Patch(left, top, mask)


def line_pixels(points: FloatArray, width: int, height: int) -> NDArray[np.int64]:
    """List the pixels that a line runs through, without gaps, in the order of the line.

    Args:
        points: (N, 2) float64 x, y of the corners of the line, N >= 1.
        width: columns of the image.
        height: rows of the image.

    Returns:
        (n, 2) int64 column, row; each pixel of the image once, none outside it.
    """
    pieces = [points[:1]]
    limits = np.array([[0.0, 0.0], [width, height]])
    for start, end in pairwise(points):
        # Only the part of a step that can touch the image is walked along.
        inside = _clipped(start, end, limits)
        if inside is not None:
            count = max(1, int(np.ceil(2 * np.abs(inside[1] - inside[0]).max())))
            pieces.append(inside[0] + (inside[1] - inside[0]) * np.linspace(0, 1, count + 1)[:, None])
    pixels = np.floor(np.concatenate(pieces)).astype(np.int64)
    pixels = pixels[((pixels >= 0) & (pixels < [width, height])).all(axis=1)]
    _, first = np.unique(pixels, axis=0, return_index=True)
    return pixels[np.sort(first)]


def fill_rings(rings: Sequence[FloatArray], width: int, height: int, *, even_odd: bool = True) -> BoolArray:
    """Fill closed rings: outlines, holes in them, islands in the holes.

    Args:
        rings: each (N, 2) float64 x, y; the last corner joins the first. Fewer than three corners hold nothing.
        width: columns of the image.
        height: rows of the image.
        even_odd: True: inside is what an odd number of rings surrounds, whatever their direction, so that holes are
            holes; False: what any ring surrounds at least once (non-zero winding), for a line drawn by hand that
            crosses itself.

    Returns:
        (height, width) bool.
    """
    starts, ends = _edges(rings)
    rows, columns, direction = _crossings(starts, ends, height)
    # The first pixel whose centre is at or right of the crossing; the last column's successor is the next row's first,
    # where the crossings of a row add up to nothing.
    positions = rows * width + np.clip(np.ceil(columns - 0.5), 0, width).astype(np.int64)
    order = np.argsort(positions)
    if even_odd:
        inside = np.arange(len(order)) % 2 == 0
    else:
        inside = np.cumsum(direction[order]) != 0
    return _filled(positions[order], inside, height, width)


def _filled(edges: NDArray[np.int64], inside: BoolArray, height: int, width: int) -> BoolArray:
    """(height, width) bool that changes to `inside[i]` at pixel `edges[i]` in row-major order, False before."""
    lengths = np.diff(np.concatenate([[0], edges, [height * width]]))
    return np.repeat(np.concatenate([[False], inside]), lengths).reshape(height, width)


def _nothing() -> Patch:
    return Patch(0, 0, np.zeros((0, 0), dtype=np.bool_))


def _capsule_spans(starts: FloatArray, ends: FloatArray, radius: float, width: int, height: int) -> _Spans:
    """The rows of all pixels within `radius` of segments; a capsule is convex, so each row of it is one span."""
    tops = np.maximum(np.ceil(np.minimum(starts[:, 1], ends[:, 1]) - radius - 0.5 - _TIE), 0).astype(np.int64)
    bottoms = np.floor(np.maximum(starts[:, 1], ends[:, 1]) + radius - 0.5 + _TIE)
    counts = np.maximum(np.minimum(bottoms, height - 1).astype(np.int64) - tops + 1, 0)
    which = np.repeat(np.arange(len(starts)), counts)
    rows = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts - tops, counts)
    low, high = _capsule_sides(starts[which], ends[which], rows + 0.5, radius)
    first = np.ceil(low - 0.5 - _TIE)
    last = np.floor(high - 0.5 + _TIE)
    kept = (first <= last) & (last >= 0) & (first < width)
    first, last = np.maximum(first[kept], 0), np.minimum(last[kept], width - 1)
    return _Spans(rows[kept], first.astype(np.int64), last.astype(np.int64))


def _capsule_sides(starts: FloatArray, ends: FloatArray, y: FloatArray, radius: float) -> tuple[FloatArray, FloatArray]:
    """Leftmost and rightmost x of each capsule at height y; +inf and -inf where it does not reach y."""
    low, high = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    for centre in (starts, ends):
        square = radius * radius - (y - centre[:, 1]) ** 2
        half = np.where(square >= -_TIE, np.sqrt(np.maximum(square, 0)), -np.inf)
        low, high = np.minimum(low, centre[:, 0] - half), np.maximum(high, centre[:, 0] + half)
    along = ends - starts
    length = np.hypot(along[:, 0], along[:, 1])
    # The sides of the rectangle between the discs: beside the segment by at most the radius, along it from 0 to 1.
    beside = _between(along[:, 1], (y - starts[:, 1]) * along[:, 0], -radius * length, radius * length)
    within = _between(along[:, 0], -(y - starts[:, 1]) * along[:, 1], np.zeros(len(y)), length**2)
    left = np.maximum(beside[0], within[0]) + starts[:, 0]
    right = np.minimum(beside[1], within[1]) + starts[:, 0]
    reached = (left <= right) & (length > 0)
    return np.where(reached, np.minimum(low, left), low), np.where(reached, np.maximum(high, right), high)


def _between(slope: FloatArray, offset: FloatArray, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The x with low <= slope * x - offset <= high; everything or nothing where the slope is 0."""
    flat = slope == 0
    divisor = np.where(flat, 1.0, slope)
    with np.errstate(over="ignore"):  # a slope next to 0: as far away as can be
        one, other = (low + offset) / divisor, (high + offset) / divisor
    fits = (low <= -offset) & (-offset <= high)
    left = np.where(flat, np.where(fits, -np.inf, np.inf), np.minimum(one, other))
    right = np.where(flat, np.where(fits, np.inf, -np.inf), np.maximum(one, other))
    return left, right


def _clipped(start: FloatArray, end: FloatArray, limits: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """The part of a segment inside a box; None where it passes by."""
    low, high, along = 0.0, 1.0, end - start
    for axis in (0, 1):
        if along[axis] == 0:
            if not limits[0, axis] <= start[axis] <= limits[1, axis]:
                return None
            continue
        with np.errstate(over="ignore"):  # next to no length along this axis: a limit is as far away as can be
            at = sorted((limits[:, axis] - start[axis]) / along[axis])
        low, high = max(low, at[0]), min(high, at[1])
    return (start + low * along, start + high * along) if low <= high else None


def _edges(rings: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    closed = [np.asarray(ring, dtype=np.float64) for ring in rings if len(ring) >= 3]
    if not closed:
        return np.zeros((0, 2)), np.zeros((0, 2))
    return np.concatenate(closed), np.concatenate([np.roll(ring, -1, axis=0) for ring in closed])


def _crossings(
    starts: FloatArray, ends: FloatArray, height: int
) -> tuple[NDArray[np.int64], FloatArray, NDArray[np.int32]]:
    """Row, x and direction (+1 down, -1 up) of every crossing of an edge with the centre line of a row."""
    down = ends[:, 1] > starts[:, 1]
    upper, lower = np.where(down[:, None], starts, ends), np.where(down[:, None], ends, starts)
    # Half open, so that a corner on a centre line counts once.
    tops = np.clip(np.ceil(upper[:, 1] - 0.5), 0, height).astype(np.int64)
    counts = np.clip(np.ceil(lower[:, 1] - 0.5), 0, height).astype(np.int64) - tops
    which = np.repeat(np.arange(len(starts)), counts)
    rows = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts - tops, counts)
    share = (rows + 0.5 - upper[which, 1]) / (lower[which, 1] - upper[which, 1])
    columns = upper[which, 0] + share * (lower[which, 0] - upper[which, 0])
    return rows, columns, np.where(down, 1, -1)[which].astype(np.int32)
