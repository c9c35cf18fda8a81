"""Strokes and polygons against their definitions, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inter2former.shapes import fill_rings, line_pixels, paint_line

coordinate = st.one_of(st.integers(-12, 45).map(lambda v: v + 0.5), st.floats(-12, 45))
corners = st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=6).map(np.array)
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def distances(points, width, height):
    """From each pixel's centre to the line, by projection on each segment."""
    y, x = np.mgrid[:height, :width] + 0.5
    nearest = np.full((height, width), np.inf)
    for start, end in zip(
        points[: len(points) - 1] if len(points) > 1 else points, points[1:] if len(points) > 1 else points, strict=True
    ):
        along = end - start
        square = along @ along
        share = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / square, 0, 1) if square else 0 * x
        nearest = np.minimum(nearest, np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1]))
    return nearest


@settings(max_examples=60, deadline=None)
@given(points=corners, radius=st.sampled_from([0.5, 1, 1.5, 2, 3.3, 7, 20]), size=sizes)
def test_a_stroke_paints_what_is_near(points, radius, size):
    patch = paint_line(points, radius, *size)
    mask = np.zeros(size[::-1], dtype=bool)
    mask[patch.window] = patch.mask
    distance = distances(points, *size)
    sure = np.abs(distance - radius) > 1e-6  # rounding may decide about exact ties between fractions
    np.testing.assert_array_equal(mask[sure], (distance <= radius)[sure])
    if patch.mask.size:
        for edge in (patch.mask[0], patch.mask[-1], patch.mask[:, 0], patch.mask[:, -1]):
            assert edge.any()


def test_ties_of_whole_pixels_are_painted():
    patch = paint_line(np.array([[10.5, 10.5]]), 2, 40, 40)
    assert patch.mask.astype(int).tolist() == [
        [0, 0, 1, 0, 0],
        [0, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
        [0, 1, 1, 1, 0],
        [0, 0, 1, 0, 0],
    ]


@settings(max_examples=40, deadline=None)
@given(points=corners, size=sizes)
@example(points=np.array([(0.0, 0.5), (2.2e-309, 1.5)]), size=(1, 1))
@example(points=np.array([(0.0, 0.5), (2.2e-309, 0.5)]), size=(1, 1))
def test_the_thinnest_stroke_has_no_gap_and_the_line_runs_inside_a_thin_one(points, size):
    thin = paint_line(points, 1, *size)
    mask = np.zeros(size[::-1], dtype=bool)
    mask[thin.window] = thin.mask
    pixels = line_pixels(points, *size)
    assert ((pixels >= 0) & (pixels < size)).all()
    assert len(np.unique(pixels, axis=0)) == len(pixels)
    assert mask[pixels[:, 1], pixels[:, 0]].all()
    # Within the image the line goes from neighbour to neighbour; it may leave and come back.
    inside = (points > 0).all() and (points < size).all()
    if inside and len(pixels) > 1:
        seen = {tuple(pixels[0])}
        for x, y in pixels[1:]:
            assert any((x + i, y + j) in seen for i in (-1, 0, 1) for j in (-1, 0, 1))
            seen.add((x, y))


def winding(rings, width, height, *, signed):
    y, x = np.mgrid[:height, :width] + 0.5
    count = np.zeros((height, width), dtype=int)
    for ring in rings:
        for start, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if start[1] == end[1]:
                continue
            upper, lower, sign = (start, end, 1) if start[1] < end[1] else (end, start, -1)
            crossing = upper[0] + (y - upper[1]) / (lower[1] - upper[1]) * (lower[0] - upper[0])
            count += (sign if signed else 1) * ((y >= upper[1]) & (y < lower[1]) & (x >= crossing))
    return count


@settings(max_examples=40, deadline=None)
@given(
    rings=st.lists(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=8).map(np.array), max_size=3),
    size=sizes,
)
def test_rings_are_filled_by_their_rule(rings, size):
    np.testing.assert_array_equal(fill_rings(rings, *size), winding(rings, *size, signed=False) % 2 == 1)
    np.testing.assert_array_equal(fill_rings(rings, *size, even_odd=False), winding(rings, *size, signed=True) != 0)


def test_a_ring_in_a_ring_is_a_hole():
    outer = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], dtype=float)
    mask = fill_rings([outer, outer * 0.4 + 3], 10, 10)
    assert mask.sum() == 100 - 16
    assert not mask[3:7, 3:7].any()


@pytest.mark.parametrize(
    "rings", [[], [np.zeros((2, 2))], [np.full((4, 2), 5.0)], [np.array([[-9, -9], [-5, -9], [-5, -3]])]]
)
def test_nothing_is_filled(rings):
    assert not fill_rings([np.asarray(ring, dtype=float) for ring in rings], 8, 6).any()
