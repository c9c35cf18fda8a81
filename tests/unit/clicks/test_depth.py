"""The quick search for the deepest pixels finds those of the full measurement."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from inter2former.clicks import depth
from inter2former.clicks.depth import deepest_pixels, distance_inside
from inter2former.prompt import Click


def by_measuring_everything(region, passed_over, inner_ratio):
    distance = distance_inside(region)
    for click in passed_over:
        distance[click.y, click.x] = 0
    greatest = float(distance.max(initial=0))
    return greatest, np.flatnonzero(distance > np.float32(greatest / (inner_ratio + 2.0**-23)))


def regions():
    """Specks, slivers, blobs, deep and full regions of odd sizes."""
    rng = np.random.default_rng(7)
    for scale in (0.6, 1.5, 4, 12, 25):
        for share in (0.1, 0.5, 0.9):
            noise = cv2.GaussianBlur(
                rng.random((int(rng.integers(40, 260)), int(rng.integers(40, 260)))), (0, 0), scale
            )
            yield noise < np.quantile(noise, share)
    yield np.ones((521, 533), dtype=bool)  # deeper than the cheap distances can tell
    y, x = np.mgrid[:640, :700]
    yield ((y - 300) / 290) ** 2 + ((x - 350) / 340) ** 2 < 1
    yield np.ones((1, 90), dtype=bool)
    ring = np.zeros((300, 300), dtype=np.uint8)
    cv2.circle(ring, (150, 150), 120, 1, 30)
    yield ring.astype(bool)
    yield np.zeros((9, 9), dtype=bool)


@pytest.mark.parametrize("inner_ratio", [1.0, 1.7])
def test_the_same_pixels(monkeypatch, inner_ratio):
    monkeypatch.setattr(depth, "_SMALL", 0)  # so that the search is used for all of them
    compared = 0
    for region in regions():
        passed_over = []
        for _ in range(5):
            expected, positions = by_measuring_everything(region, passed_over, inner_ratio)
            found = deepest_pixels(region, passed_over=passed_over, inner_ratio=inner_ratio)
            assert found.depth == expected
            np.testing.assert_array_equal(found.positions, positions)
            compared += len(positions)
            if len(positions):
                row, column = divmod(int(positions[len(positions) // 2]), region.shape[1])
                passed_over.append(Click(column, row))
    assert compared


def test_small_regions_take_the_same_way_as_large_ones(monkeypatch):
    region = np.random.default_rng(0).random((60, 80)) < 0.9
    small = deepest_pixels(region)
    monkeypatch.setattr(depth, "_SMALL", 0)
    large = deepest_pixels(region)
    assert small.depth == large.depth
    np.testing.assert_array_equal(small.positions, large.positions)
