"""Outlines of masks: exact ones give the mask back, simplified ones stay simple and near."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inter2former.polygons import joined_ring, mask_parts, polygon_iou
from inter2former.shapes import fill_rings

shapely = pytest.importorskip("shapely", reason="Shapely, the oracle of valid polygons, is not installed")


@st.composite
def masks(draw):
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    mask = np.random.default_rng(draw(st.integers(0, 999))).random((height, width)) > draw(
        st.sampled_from([0.3, 0.5, 0.8])
    )
    side = draw(st.sampled_from([1, 3, 5]))
    return cv2.blur(mask.astype(np.float32), (side, side)) > 0.5


def rings(parts):
    return [ring for part in parts for ring in part.rings]


def geometry(parts):
    return shapely.MultiPolygon([shapely.Polygon(part.outline, part.holes) for part in parts])


@settings(max_examples=60, deadline=None)
@given(mask=masks())
def test_exact_outlines_give_the_mask_back(mask):
    parts = mask_parts(mask)
    height, width = mask.shape
    np.testing.assert_array_equal(fill_rings(rings(parts), width, height), mask)
    assert len(parts) == cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] - 1
    shape = geometry(parts)
    assert shape.is_valid
    assert shape.area == mask.sum()
    assert polygon_iou(mask, rings(parts)) == 1
    if parts:
        np.testing.assert_array_equal(fill_rings([joined_ring(rings(parts))], width, height), mask)
    for part in parts:
        # Clockwise on the screen, where y points down; holes the other way.
        assert shapely.LinearRing(part.outline).is_ccw
        assert not any(shapely.LinearRing(hole).is_ccw for hole in part.holes)


@settings(max_examples=40, deadline=None)
@given(mask=masks(), tolerance=st.sampled_from([0.5, 1.0, 2.0]))
def test_simplified_outlines_stay_near_and_do_not_cross(mask, tolerance):
    exact, parts = mask_parts(mask), mask_parts(mask, tolerance)
    assert len(rings(parts)) == len(rings(exact))
    for before, after in zip(rings(exact), rings(parts), strict=True):
        assert len(after) <= len(before)
        line = shapely.LinearRing(after)
        assert line.is_simple
        assert shapely.hausdorff_distance(shapely.MultiPoint(before), line) <= tolerance + 0.36


def test_a_large_disc_needs_few_corners():
    y, x = np.mgrid[:600, :800]
    mask = (x - 400) ** 2 + (y - 300) ** 2 < 250**2
    sizes = []
    for tolerance in (0, 1, 2, 4):
        (part,) = mask_parts(mask, tolerance)
        sizes.append(len(part.outline))
        assert polygon_iou(mask, part.rings) > 0.9999 - tolerance * 0.01
    assert sizes[0] > 600 > 80 > sizes[1] > sizes[2] >= sizes[3] >= 16


def test_likeness():
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:6, 2:6] = True
    square = np.array([[4, 2], [8, 2], [8, 6], [4, 6]], dtype=float)
    assert polygon_iou(mask, [square]) == pytest.approx(8 / 24)
    assert polygon_iou(mask, []) == 0
    assert polygon_iou(np.zeros((4, 4), dtype=bool), []) == 1
    assert polygon_iou(mask, [square + 100]) == 0
    assert mask_parts(np.zeros((4, 4), dtype=bool)) == []
    with pytest.raises(ValueError, match=r"the tolerance is -0\.5 px"):
        mask_parts(mask, -0.5)
