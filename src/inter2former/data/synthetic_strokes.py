"""Strokes and filled shapes with exact coverage: what the synthetic generator draws thin things with."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["SUPERSAMPLING", "Drawing", "Fill", "Mark", "Stroke", "draw", "smooth_curve"]

SUPERSAMPLING = 4
"""Coverage is counted on this many sub-pixels per pixel and axis."""

_FRACTION_BITS = 4
_DARKEST = 24

_Points: TypeAlias = NDArray[np.float64]


class Stroke(NamedTuple):
    """A line of round ends.

    Attributes:
        points: (N, 2) float64, x right and y down, in any unit.
        width: in pixels of the drawing.
        tone: brightness, 0..1.
        end_width: width at the last point, between which and `width` it tapers; None: the same.
    """

    points: _Points
    width: float
    tone: float
    end_width: float | None = None


class Fill(NamedTuple):
    """A filled polygon.

    Attributes:
        points: (N, 2) float64 as in `Stroke`, the corners in order.
        tone: brightness, 0..1.
    """

    points: _Points
    tone: float


Mark: TypeAlias = Stroke | Fill


class Drawing(NamedTuple):
    """What a list of marks looks like.

    Attributes:
        tone: (h, w) uint8, brightness times coverage; 255 is one.
        coverage: (h, w) uint8, the share of each pixel that some mark covers, in steps of 1/16; 255 is all of it.
    """

    tone: NDArray[np.uint8]
    coverage: NDArray[np.uint8]


def draw(marks: Sequence[Mark], side: int) -> Drawing:
    """Draw marks, later ones over earlier ones, scaled so that the longest side of their points is `side` pixels.

    Round strokes wider than two pixels get a highlight, as wires and branches have.

    Raises:
        ValueError: no marks, or a side below 1.
    """
    if not marks or side < 1:
        raise ValueError(f"got {len(marks)} marks and side {side}; wanted at least one mark and a side of 1 pixel")
    low, high = _extent(marks)
    scale = side / max(float((high - low).max()), 1e-9)
    margin = 2 + math.ceil(max((mark.width for mark in marks if isinstance(mark, Stroke)), default=0.0) / 2)
    width, height = (math.ceil(length * scale) + 2 * margin for length in (high - low))
    canvas = np.zeros((height * SUPERSAMPLING, width * SUPERSAMPLING), np.uint8)
    for mark in marks:
        points = ((mark.points - low) * scale + margin) * SUPERSAMPLING
        if isinstance(mark, Fill):
            cv2.fillPoly(canvas, [_fixed(points)], _value(mark.tone), shift=_FRACTION_BITS)
        else:
            _stroke(canvas, points, mark)
    tone = _averaged(canvas)
    cv2.threshold(canvas, 0, 255, cv2.THRESH_BINARY, dst=canvas)
    return Drawing(tone, _averaged(canvas))


def smooth_curve(points: _Points, count: int) -> _Points:
    """A smooth line through points (Catmull-Rom).

    Args:
        points: (N, 2), N >= 2.
        count: how many points the line has, >= 2.

    Returns:
        (count, 2) float64; its ends are the first and the last point.
    """
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    position = np.linspace(0, len(points) - 1, count)
    index = np.minimum(position.astype(np.int64), len(points) - 2)
    t = (position - index)[:, None]
    a, b, c, d = (padded[index + offset] for offset in range(4))
    return np.asarray(0.5 * (2 * b + t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))))


def _stroke(canvas: NDArray[np.uint8], points: _Points, mark: Stroke) -> None:
    value = _value(mark.tone)
    end = mark.width if mark.end_width is None else mark.end_width
    pieces = 1 if end == mark.width else min(len(points) - 1, 6)
    cuts = np.linspace(0, len(points) - 1, pieces + 1).round().astype(int)
    for number, (first, last) in enumerate(itertools.pairwise(cuts)):
        share = number / max(1, pieces - 1)
        width = SUPERSAMPLING * (mark.width + (end - mark.width) * share)
        line = points[first : last + 1]
        _polyline(canvas, line, value, width)
        if width > 2 * SUPERSAMPLING:
            _polyline(canvas, line - 0.2 * width, _value(mark.tone + 0.2), 0.3 * width)


def _polyline(canvas: NDArray[np.uint8], points: _Points, value: int, width: float) -> None:
    cv2.polylines(canvas, [_fixed(points)], False, value, max(1, round(width)), cv2.LINE_8, _FRACTION_BITS)


def _fixed(points: _Points) -> NDArray[np.int32]:
    return np.rint(points * (1 << _FRACTION_BITS)).astype(np.int32)[:, None]


def _value(tone: float) -> int:
    """A grey value that is never 0, which marks what nothing covers."""
    return _DARKEST + round((255 - _DARKEST) * min(max(tone, 0.0), 1.0))


def _averaged(canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
    size = (canvas.shape[1] // SUPERSAMPLING, canvas.shape[0] // SUPERSAMPLING)
    return np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA), np.uint8)


def _extent(marks: Sequence[Mark]) -> tuple[_Points, _Points]:
    points = np.concatenate([mark.points for mark in marks])
    return points.min(axis=0), points.max(axis=0)
