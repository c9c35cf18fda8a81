"""How deep pixels lie in a region: exact Euclidean distances to its outside, and quickly the deepest pixels alone.

What lies beyond the image counts as outside, so a region pixel at the border has distance 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from inter2former.masks import as_mask
from inter2former.prompt import Click

__all__ = ["Deepest", "bounding_box", "deepest_pixels", "distance_inside"]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_EPSILON = 2.0**-23
# Below this depth the square of a float32 distance is less than 1/2 away from the integer it stands for.
_FLOAT32_SQUARES_EXACT = 1000.0
# Exact distances cost 36 ns a pixel, 300 ms at 3840x2160; city-block ones in 8 bits cost 5 ms. Boxes below this many
# pixels take less than 3 ms at once.
_SMALL = 1 << 16
# The city-block distances are cut off here.
_GREATEST_BYTE = 255
# As deep as this, looking at all pixels around beats measuring a crop for each of perhaps thousands of slivers.
_SHALLOW = 10
_SQRT_2 = 1.41422  # a little more than the root, to be on the safe side
# A deep region is searched from squares of this side down to pixels; a power of 2.
_CELL = 8
# Above this many distances between pixels and rim, measuring every pixel of the region is faster.
_MOST_PAIRS = 40_000_000
_PAIRS_AT_ONCE = 1 << 20
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=np.uint8)


class Deepest(NamedTuple):
    """The deepest pixels of a region.

    Attributes:
        depth: greatest distance of an eligible pixel to the outside, 0 where there is none.
        positions: (n,) int64, row * width + column of the pixels that are deep enough, ascending.
    """

    depth: float
    positions: IntArray


class _Measured(NamedTuple):
    """Distances on a region's bounding box."""

    values: FloatArray
    left: int
    top: int


def distance_inside(region: NDArray[np.generic]) -> FloatArray:
    """Measure how deep every pixel lies in a region.

    Args:
        region: (H, W) bool, or numbers of which 1 marks the region.

    Returns:
        (H, W) float32, the exact Euclidean distance in pixels to the nearest pixel outside the region, 0 outside.

    Raises:
        ValueError: another rank.
    """
    inside = as_mask(region, "region")
    measured = _measure(inside)
    distance = np.zeros(inside.shape, dtype=np.float32)
    height, width = measured.values.shape
    distance[measured.top : measured.top + height, measured.left : measured.left + width] = measured.values
    return distance


def deepest_pixels(region: BoolArray, *, passed_over: Sequence[Click] = (), inner_ratio: float = 1.0) -> Deepest:
    """Find the pixels deeper than 1/`inner_ratio` of the greatest depth; for ratio 1 the deepest ones.

    The same pixels as those of `distance_inside`. In a large region only the places that can hold them are measured
    exactly: the city-block distance d, which is cheap, bounds the Euclidean one by d / sqrt(2) and d.

    Args:
        region: (H, W) bool.
        passed_over: clicks on pixels of the region that are not eligible.
        inner_ratio: >= 1.
    """
    left, top, window = bounding_box(region)
    crop = region[window]
    clicks = [(click.y - top, click.x - left) for click in passed_over]
    clicks = [(row, column) for row, column in clicks if 0 <= row < crop.shape[0] and 0 <= column < crop.shape[1]]
    measure = _depths_everywhere if crop.size <= _SMALL else _promising_depths
    positions, depths = measure(crop, clicks, inner_ratio)
    greatest = float(depths.max(initial=0.0))
    chosen = positions[depths > np.float32(greatest / (inner_ratio + _EPSILON))]
    rows, columns = np.divmod(chosen, max(1, crop.shape[1]))
    return Deepest(greatest, (rows + top) * region.shape[1] + columns + left)


def bounding_box(region: BoolArray) -> tuple[int, int, tuple[slice, slice]]:
    """Find left, top and the window of the smallest box around a region; an empty window for an empty region."""
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(region).view(np.uint8))
    return left, top, (slice(top, top + height), slice(left, left + width))


def _measure(region: BoolArray) -> _Measured:
    """Distances in the smallest box around a region."""
    left, top, window = bounding_box(region)
    inside = np.ascontiguousarray(region[window]).view(np.uint8)
    if inside.size == 0:
        return _Measured(np.zeros((0, 0), dtype=np.float32), 0, 0)
    return _Measured(_exact(_padded(inside, 1))[1:-1, 1:-1], left, top)


def _exact(inside: NDArray[np.uint8]) -> FloatArray:
    """Exact distances to the zeros of an (H, W) uint8 plane that holds at least one."""
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # OpenCV's vector and scalar lanes round one distance differently in the last bit, so that place and even alignment
    # in memory would break ties. Squared distances are integers: through them equal distances become equal numbers.
    wide = np.float32 if float(distance.max()) < _FLOAT32_SQUARES_EXACT else np.float64
    squared = np.square(distance, dtype=wide)
    return np.sqrt(np.rint(squared, out=squared), out=squared).astype(np.float32, copy=False)


def _padded(inside: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.copyMakeBorder(inside, width, width, width, width, cv2.BORDER_CONSTANT, value=0), np.uint8)


def _depths_everywhere(
    crop: BoolArray, clicks: Sequence[tuple[int, int]], inner_ratio: float
) -> tuple[IntArray, FloatArray]:
    """Flat positions and depths of the eligible pixels that are deep enough, with every pixel measured."""
    if crop.size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    depths = _exact(_padded(np.ascontiguousarray(crop).view(np.uint8), 1))[1:-1, 1:-1]
    for row, column in clicks:
        depths[row, column] = 0
    rows, columns = np.nonzero(depths > np.float32(float(depths.max()) / (inner_ratio + _EPSILON)))
    return rows * crop.shape[1] + columns, depths[rows, columns]


def _promising_depths(
    crop: BoolArray, clicks: Sequence[tuple[int, int]], inner_ratio: float
) -> tuple[IntArray, FloatArray]:
    """Flat positions and depths of eligible pixels, among them all that can be deep enough."""
    inside = np.ascontiguousarray(crop).view(np.uint8)
    bytes_only = cv2.distanceTransform(_padded(inside, 1), cv2.DIST_L1, 3, dstType=cv2.CV_8U)
    upper = np.asarray(bytes_only[1:-1, 1:-1], np.uint8)
    for row, column in clicks:
        upper[row, column] = 0
    highest = int(upper.max())
    if highest == _GREATEST_BYTE:
        deep = _depths_by_halving(inside, clicks) if inner_ratio == 1 else None
        return deep or _depths_everywhere(crop, clicks, inner_ratio)
    promising = upper >= max(1, int(highest / (_SQRT_2 * (inner_ratio + _EPSILON))))
    if highest <= _SHALLOW:
        positions = np.flatnonzero(promising)
        return positions, _depths_by_looking_around(inside, positions, highest)
    found = [(np.zeros(0, np.int64), np.zeros(0, np.float32))]
    best = 0.0
    for window, bound in _patches(promising, upper):
        if bound <= best / (inner_ratio + _EPSILON):
            break
        rows, columns = np.nonzero(promising[window])
        depths = _crop_depths(inside, window, bound)[rows, columns]
        found.append(((rows + window[0].start) * crop.shape[1] + columns + window[1].start, depths))
        best = max(best, float(depths.max()))
    positions, first = np.unique(np.concatenate([part for part, _ in found]), return_index=True)  # boxes may overlap
    return positions, np.concatenate([part for _, part in found])[first]


def _patches(promising: BoolArray, upper: NDArray[np.uint8]) -> Iterator[tuple[tuple[slice, slice], int]]:
    """Boxes that together hold all promising pixels, with the bound on the depths in each, greatest bound first."""
    outlines, _ = cv2.findContours(promising.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines:
        left, top, width, height = cv2.boundingRect(outline)
        window = (slice(top, top + height), slice(left, left + width))
        found.append((window, int((upper[window] * promising[window]).max())))
    yield from sorted(found, key=lambda patch: -patch[1])


def _crop_depths(inside: NDArray[np.uint8], window: tuple[slice, slice], bound: int) -> FloatArray:
    """Depths in a window of a region, of pixels that are at most `bound` deep."""
    rows, columns = window
    # With this much around it the nearest outside pixel of each is in sight, if only as the padding.
    top, left = max(0, rows.start - bound), max(0, columns.start - bound)
    around = np.ascontiguousarray(inside[top : rows.stop + bound, left : columns.stop + bound])
    depths = _exact(_padded(around, 1))[1:-1, 1:-1]
    return depths[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _depths_by_halving(
    inside: NDArray[np.uint8], clicks: Sequence[tuple[int, int]]
) -> tuple[IntArray, FloatArray] | None:
    """Flat positions and depths of pixels of a deep region, among them the deepest eligible ones.

    Exact distances of a coarse grid of squares bound those of their pixels. Of the squares that can hold the deepest
    pixel the middle is measured against the rim of the region; what cannot reach the best of them is dropped, the rest
    quartered, down to single pixels.

    Returns:
        None where that would take longer than measuring every pixel.
    """
    corners, floor = _deep_cells(inside, len(clicks))
    rim = np.argwhere(cv2.dilate(_padded(inside, 1), _CROSS) > _padded(inside, 1)) - 1  # (B, 2) rows and columns
    taken = {row * inside.shape[1] + column for row, column in clicks}
    side = _CELL
    while True:
        if len(corners) * len(rim) > _MOST_PAIRS:
            return None
        middles = corners + side // 2
        squares = _nearest_squares(middles, rim)
        depths = np.sqrt(squares)
        flat = middles[:, 0] * inside.shape[1] + middles[:, 1]
        eligible = ~np.isin(flat, list(taken))
        floor = max(floor, float(depths[eligible].max(initial=0)))
        if side == 1:
            order = np.argsort(flat[eligible])
            return flat[eligible][order], depths[eligible][order].astype(np.float32)
        kept = corners[depths + side // 2 * _SQRT_2 + 1e-6 >= floor]
        side //= 2
        quarters = np.array([(0, 0), (0, side), (side, 0), (side, side)])
        corners = (kept[:, None] + quarters).reshape(-1, 2)


def _deep_cells(inside: NDArray[np.uint8], clicked: int) -> tuple[IntArray, float]:
    """Find the squares that can hold the deepest eligible pixel.

    Args:
        inside: (H, W) uint8, 1 in the region.
        clicked: number of pixels that are not eligible.
    Returns:
        (n, 2) row and column of their corners; and a depth that some eligible pixel reaches.
    """
    full = cv2.erode(
        inside, np.ones((_CELL, _CELL), np.uint8), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )[::_CELL, ::_CELL]
    coarse = _CELL * _exact(_padded(np.ascontiguousarray(full), 1))[1:-1, 1:-1]
    # Two pixels of two squares are that much nearer or farther than the squares, at most.
    play = (_CELL - 1) * _SQRT_2
    # Among more pixels than were clicked one is eligible, and depth changes by no more than the way to it.
    around = int(np.ceil((np.sqrt(clicked + 1) - 1) / 2))
    floor = float(coarse.max()) - play - around * _SQRT_2
    return np.argwhere(coarse + play >= floor) * _CELL, floor


def _nearest_squares(pixels: IntArray, rim: IntArray) -> IntArray:
    """Squared distance of each pixel (n, 2) to the nearest of the rim (B, 2)."""
    squares = np.empty(len(pixels), dtype=np.int64)
    rim_rows, rim_columns = (rim[:, axis].astype(np.int32) for axis in (0, 1))
    step = max(1, _PAIRS_AT_ONCE // max(1, len(rim)))
    for start in range(0, len(pixels), step):
        rows, columns = pixels[start : start + step].astype(np.int32).T
        down, right = rows[:, None] - rim_rows, columns[:, None] - rim_columns
        down *= down
        right *= right
        down += right
        squares[start : start + step] = down.min(axis=1)
    return squares


def _depths_by_looking_around(inside: NDArray[np.uint8], positions: IntArray, reach: int) -> FloatArray:
    """Depths of single pixels, each at most `reach`: the nearest zero around it, nearest places looked at first."""
    padded = _padded(inside, reach)
    rows, columns = np.divmod(positions, inside.shape[1])
    places = (rows + reach) * padded.shape[1] + columns + reach
    plane = padded.reshape(-1)
    squares = np.zeros(len(positions), dtype=np.int64)
    open_ones = np.arange(len(positions))
    for square, offsets in _rings(reach):
        hit = np.zeros(len(open_ones), dtype=np.bool_)
        for down, right in offsets:
            hit |= plane[places[open_ones] + (down * padded.shape[1] + right)] == 0
        squares[open_ones[hit]] = square
        open_ones = open_ones[~hit]
        if not len(open_ones):
            break
    return np.sqrt(squares).astype(np.float32)


def _rings(reach: int) -> list[tuple[int, list[tuple[int, int]]]]:
    """Squared distance and offsets (down, right) of the pixels around one, nearest first."""
    rings: dict[int, list[tuple[int, int]]] = {}
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if 0 < (square := down * down + right * right) <= reach * reach:
                rings.setdefault(square, []).append((down, right))
    return sorted(rings.items())
