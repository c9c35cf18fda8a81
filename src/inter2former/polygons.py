"""Masks to polygons: outlines and holes along the edges of pixels, simplified as far as a tolerance allows.

Coordinates are those of `inter2former.shapes`: pixel (column, row) is the square from (column, row) to
(column + 1, row + 1). An exact outline therefore has whole coordinates, and filling it gives the mask back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from inter2former.masks import mask_box
from inter2former.shapes import fill_rings

__all__ = ["Part", "joined_ring", "mask_parts", "polygon_iou"]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

# Directions of travel, with the object on the right hand: 0 east, 1 south, 2 west, 3 north.
_BLOCK = 128
_CHAMFERED_FROM = 0.5
_LONG_SIDE = 4


class Part(NamedTuple):
    """A connected part of a mask; pixels that meet at a corner only are not connected.

    Attributes:
        outline: (N, 2) float64 x, y, clockwise as seen on the screen, not closed.
        holes: likewise, anticlockwise.
    """

    outline: FloatArray
    holes: tuple[FloatArray, ...]

    @property
    def rings(self) -> tuple[FloatArray, ...]:
        """The outline, then the holes."""
        return (self.outline, *self.holes)


def mask_parts(mask: BoolArray, tolerance: float = 0.0) -> list[Part]:
    """Follow the edges of a mask.

    Args:
        mask: (H, W) bool.
        tolerance: how far, in pixels, the outline may leave the edges of the pixels; 0: not at all. From 0.5 on the
            edges count with their stairs cut by half a pixel, which adds 0.36. Rings that would meet are simplified
            less, down to not at all.

    Returns:
        the parts, from the top down; none for an empty mask. No ring crosses itself or another of its part.

    Raises:
        ValueError: a negative tolerance.
    """
    if not tolerance >= 0:
        raise ValueError(f"the tolerance is {tolerance} px; it must be at least 0")
    box = mask_box(mask)
    if box is None:
        return []
    corner = np.array([box[0], box[1]], dtype=np.float64)
    window = np.ascontiguousarray(mask[box[1] : box[3], box[0] : box[2]])
    labels = cv2.connectedComponents(window.view(np.uint8), connectivity=4)[1]
    outlines: dict[int, FloatArray] = {}
    holes: dict[int, list[FloatArray]] = {}
    for ring, column, row in _rings(window):
        label = int(labels[row, column])
        if _signed_area(ring) > 0:
            outlines[label] = ring + corner
        else:
            holes.setdefault(label, []).append(ring + corner)
    exact = [Part(outline, tuple(holes.get(label, ()))) for label, outline in outlines.items()]
    return _simplified(exact, tolerance) if tolerance > 0 else exact


def joined_ring(rings: Sequence[FloatArray]) -> FloatArray:
    """Join rings into one by cuts of no width, for formats that know one ring per object.

    A cut is walked twice, once each way, so that by the even-odd rule the ring holds what the rings hold together.

    Args:
        rings: each (N, 2) float64 x, y, N >= 3; at least one.

    Returns:
        (M, 2) float64 x, y.
    """
    joined = rings[0]
    for ring in rings[1:]:
        index, at = _nearest(joined, ring)
        turned = np.concatenate([ring[at:], ring[: at + 1]])
        joined = np.concatenate([joined[: index + 1], turned, joined[index:]])
    return joined


def polygon_iou(mask: BoolArray, rings: Sequence[FloatArray]) -> float:
    """Intersection over union of a mask and the pixels whose centres rings surround an odd number of times."""
    corners = np.concatenate([*rings, np.zeros((0, 2))])
    box = mask_box(mask) or (0, 0, 1, 1)
    low = np.minimum(np.floor(corners.min(axis=0, initial=np.inf)), box[:2]).clip(0).astype(np.int64)
    high = np.maximum(np.ceil(corners.max(axis=0, initial=0)), box[2:]).astype(np.int64)
    window = mask[low[1] : high[1], low[0] : high[0]]
    drawn = fill_rings([ring - low for ring in rings], window.shape[1], window.shape[0])
    union = np.count_nonzero(drawn | window)
    return float(np.count_nonzero(drawn & window) / union) if union else 1.0


def _rings(mask: BoolArray) -> Iterator[tuple[FloatArray, int, int]]:
    """Every closed edge as corners, with one pixel (column, row) of the object that it runs along."""
    starts, ends, directions = _segments(mask)
    if not len(starts):
        return
    width = mask.shape[1] + 1
    vertex = starts[:, 1] * width + starts[:, 0]
    keys = vertex * 4 + directions
    order = np.argsort(keys)
    sorted_keys = keys[order]
    end_vertex = ends[:, 1] * width + ends[:, 0]
    # Where edges meet at a corner only, the right turn stays with the same pixel.
    right = _found(sorted_keys, order, end_vertex * 4 + (directions + 1) % 4)
    left = _found(sorted_keys, order, end_vertex * 4 + (directions + 3) % 4)
    following = np.where(right >= 0, right, left).tolist()
    points = starts.tolist()
    seen = [False] * len(points)
    for first in range(len(points)):
        if not seen[first]:
            yield from _simple_loops(first, following, points, seen, directions)


def _simple_loops(
    first: int, following: list[int], points: list[list[int]], seen: list[bool], directions: NDArray[np.int64]
) -> Iterator[tuple[FloatArray, int, int]]:
    """Walk one closed edge and cut it wherever it comes back to a corner, so that no loop meets itself."""
    path: list[int] = []
    place: dict[tuple[int, int], int] = {}
    index = first
    while not seen[index]:
        seen[index] = True
        corner = (points[index][0], points[index][1])
        if (cut := place.get(corner)) is not None:
            yield _loop(path[cut:], points, directions)
            for removed in path[cut:]:
                del place[points[removed][0], points[removed][1]]
            del path[cut:]
        place[corner] = len(path)
        path.append(index)
        index = following[index]
    yield _loop(path, points, directions)


def _loop(path: list[int], points: list[list[int]], directions: NDArray[np.int64]) -> tuple[FloatArray, int, int]:
    x, y = points[path[0]]
    # The pixel on the right hand of the first edge.
    column, row = ((x, y), (x - 1, y), (x - 1, y - 1), (x, y - 1))[int(directions[path[0]])]
    return np.array([points[index] for index in path], dtype=np.float64), column, row


def _segments(mask: BoolArray) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Straight edges between object and background: start and end corners (n, 2) of x, y, and directions (n,)."""
    padded = np.pad(mask, 1)
    above, below = padded[:-1, 1:-1], padded[1:, 1:-1]  # of each horizontal edge
    left, right = padded[1:-1, :-1], padded[1:-1, 1:]  # of each vertical edge
    parts = []
    for edges, direction in ((below & ~above, 0), ((left & ~right).T, 1), (above & ~below, 2), ((right & ~left).T, 3)):
        line, first, last = _runs(edges)
        # A run along a row goes from x to x; the transposed ones go from y to y.
        one, other = (first, last) if direction in (0, 1) else (last, first)
        pairs = ((one, line), (other, line)) if direction in (0, 2) else ((line, one), (line, other))
        parts.append((*(np.stack(pair, axis=1) for pair in pairs), np.full(len(line), direction)))
    starts, ends, directions = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return starts, ends, directions


def _runs(edges: BoolArray) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Line, first cell and one past the last cell of every run of set cells along the last axis."""
    changes = np.diff(np.pad(edges, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    line, first = np.nonzero(changes == 1)
    return line, first, np.nonzero(changes == -1)[1]


def _found(keys: NDArray[np.int64], order: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """The index of each wanted key, -1 where it is not among them."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, order[at], -1)


def _signed_area(ring: FloatArray) -> float:
    """Positive where the ring runs clockwise on the screen."""
    following = np.roll(ring, -1, axis=0)
    return float((ring[:, 0] * following[:, 1] - following[:, 0] * ring[:, 1]).sum() / 2)


def _simplified(parts: list[Part], tolerance: float) -> list[Part]:
    """Simplify all rings; those that then meet one are done again with a quarter of the tolerance, then with none."""
    exact = [ring for part in parts for ring in part.rings]
    tolerances = [tolerance] * len(exact)
    rings = [_fewer_corners(ring, tolerance) for ring in exact]
    while crossing := {number for number in _crossing(rings) if tolerances[number] > 0}:
        for number in crossing:
            tolerances[number] = tolerance / 4 if tolerances[number] == tolerance else 0.0
            rings[number] = _fewer_corners(exact[number], tolerances[number])
    found = iter(rings)
    return [Part(next(found), tuple(next(found) for _ in part.holes)) for part in parts]


def _fewer_corners(ring: FloatArray, tolerance: float) -> FloatArray:
    """Douglas and Peucker's choice of corners; the ring itself where fewer than three would be left."""
    if tolerance <= 0:
        return ring
    points = _chamfered(ring) if tolerance >= _CHAMFERED_FROM else ring
    chosen = cv2.approxPolyDP(points.astype(np.float32)[:, None], tolerance, True)[:, 0].astype(np.float64)
    return chosen if len(chosen) >= 3 and _signed_area(chosen) * _signed_area(ring) > 0 else ring


def _chamfered(ring: FloatArray) -> FloatArray:
    """Cut the corners of stairs by half a pixel, so that slanted edges become straight; long sides keep theirs."""
    onward = np.roll(ring, -1, axis=0) - ring
    length = np.abs(onward).sum(axis=1)
    onward /= length[:, None]
    sharp = (length >= _LONG_SIDE) & (np.roll(length, 1) >= _LONG_SIDE)
    half = np.where(sharp, 0.0, 0.5)[:, None]
    pairs = np.stack([ring - half * np.roll(onward, 1, axis=0), ring + half * onward], axis=1).reshape(-1, 2)
    return pairs[(pairs != np.roll(pairs, 1, axis=0)).any(axis=1)]


def _crossing(rings: Sequence[FloatArray]) -> set[int]:
    """Numbers of the rings of which an edge meets another than its own neighbours."""
    if not rings:
        return set()
    lengths = [len(ring) for ring in rings]
    owner = np.repeat(np.arange(len(rings)), lengths)
    number = np.arange(len(owner))
    following = np.concatenate([np.roll(part, -1) for part in np.split(number, np.cumsum(lengths)[:-1])])
    starts = np.concatenate(list(rings))
    ends = starts[following]
    low, high = np.minimum(starts[:, 0], ends[:, 0]), np.maximum(starts[:, 0], ends[:, 0])
    order = np.argsort(low)
    found: set[int] = set()
    for first in range(0, len(order), _BLOCK):
        one = order[first : first + _BLOCK]
        # Sorted by their left ends: no edge before the block is looked at again, none right of it can meet it.
        other = order[first : int(np.searchsorted(low[order], high[one].max(), side="right"))]
        meeting = _meet(starts[one], ends[one], starts[other], ends[other])
        rows, columns = one[:, None], other[None, :]
        meeting &= (rows != columns) & (following[one][:, None] != columns) & (following[other][None, :] != rows)
        pair = np.nonzero(meeting)
        found.update(owner[one[pair[0]]].tolist(), owner[other[pair[1]]].tolist())
    return found


def _meet(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> BoolArray:
    """(n, m) whether edge a-b and edge c-d have a point in common."""

    def side(p: FloatArray, q: FloatArray, r: FloatArray) -> FloatArray:
        along = q - p
        return along[:, None, 0] * (r[None, :, 1] - p[:, None, 1]) - along[:, None, 1] * (r[None, :, 0] - p[:, None, 0])

    apart = (np.maximum(a, b)[:, None] < np.minimum(c, d)) | (np.maximum(c, d) < np.minimum(a, b)[:, None])
    straddles = (side(a, b, c) * side(a, b, d) <= 0) & (side(c, d, a) * side(c, d, b) <= 0).T
    return straddles & ~apart.any(axis=2)


def _nearest(joined: FloatArray, ring: FloatArray) -> tuple[int, int]:
    """Indices of the two corners, one of each ring, that are nearest to each other."""
    best, found = np.inf, (0, 0)
    for first in range(0, len(joined), _BLOCK):
        squares = ((joined[first : first + _BLOCK, None] - ring[None]) ** 2).sum(axis=2)
        at = int(squares.argmin())
        if squares.flat[at] < best:
            best = float(squares.flat[at])
            found = first + at // len(ring), at % len(ring)
    return found
