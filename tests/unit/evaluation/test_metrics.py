"""Metrics by hand-made examples and by their definitions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from inter2former.evaluation.metrics import (
    bootstrap_interval,
    boundary_iou,
    clicks_to_reach,
    iou,
    mean_iou_per_click,
    noc,
    nof,
    nof_ritm,
)

IOUS = [
    [0.50, 0.92, 0.80, 0.99],  # 0.9 on click 2; a later dip does not matter
    [0.10, 0.20, 0.30, 0.95],  # 0.9 on the last click
    [0.10, 0.20, 0.30, 0.40],  # never
]


def box(shape, top, left, bottom, right):
    mask = np.zeros(shape, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def boundary_by_definition(mask, width):
    padded = np.pad(mask, 1).astype(np.uint8)
    for _ in range(width):
        padded = cv2.erode(padded, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return mask & (padded[1:-1, 1:-1] == 0)


def test_iou_counts_pixels():
    assert iou(box((4, 9), 0, 0, 4, 3), box((4, 9), 0, 2, 4, 5)) == pytest.approx(4 / 20)


def test_iou_of_empty_masks():
    empty, full = np.zeros((3, 5), dtype=bool), np.ones((3, 5), dtype=bool)
    assert iou(empty, empty) == 1.0
    assert iou(full, empty) == 0.0
    assert iou(empty, full) == 0.0


def test_iou_leaves_out_ignored_pixels():
    prediction, target = box((4, 9), 0, 0, 4, 3), box((4, 9), 0, 2, 4, 5)
    assert iou(prediction, target, box((4, 9), 0, 0, 4, 2)) == pytest.approx(4 / 12)
    assert iou(prediction, target, np.ones((4, 9), dtype=bool)) == 1.0


def test_iou_reads_labels():
    target = np.array([[1, 255, 0, 1]], dtype=np.uint8)
    assert iou(np.array([[1, 1, 0, 0]], dtype=np.uint8), target) == pytest.approx(1 / 3)
    assert iou(np.array([[1, 1, 0, 0]], dtype=np.uint8), target, target == 255) == pytest.approx(1 / 2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (37, 53), (120, 90)])
@pytest.mark.parametrize("ratio", [0.001, 0.02, 0.1])
def test_boundary_iou_follows_the_definition(shape, ratio):
    rng = np.random.default_rng(2)
    noise = cv2.GaussianBlur(rng.random((*shape, 2)), (0, 0), 4).reshape(*shape, 2)
    prediction, target = np.moveaxis(noise > np.median(noise), -1, 0)
    width = max(1, round(ratio * float(np.hypot(*shape))))
    first, second = boundary_by_definition(prediction, width), boundary_by_definition(target, width)
    assert boundary_iou(prediction, target, width_ratio=ratio) == iou(first, second)
    ignore = rng.random(shape) > 0.7
    assert boundary_iou(prediction, target, ignore, width_ratio=ratio) == iou(first, second, ignore)


def test_boundary_iou_counts_the_image_border_as_background():
    full = np.ones((100, 100), dtype=bool)  # diagonal 141: boundaries are 3 wide
    inner = box((100, 100), 3, 3, 97, 97)
    assert boundary_iou(full, full) == 1.0
    assert boundary_iou(inner, full) == 0.0


def test_boundary_iou_of_empty_masks():
    empty = np.zeros((5, 7), dtype=bool)
    assert boundary_iou(empty, empty) == 1.0
    assert boundary_iou(~empty, empty) == 0.0


def test_boundary_iou_refuses_a_width_of_nothing():
    mask = np.zeros((5, 7), dtype=bool)
    with pytest.raises(ValueError, match="width_ratio is 0"):
        boundary_iou(mask, mask, width_ratio=0)
    with pytest.raises(ValueError, match=r"prediction has shape \(7, 5\)"):
        boundary_iou(mask.T, mask)
    with pytest.raises(ValueError, match=r"target has shape \(7,\)"):
        iou(mask, mask[0])


def test_clicks_and_failures():
    assert clicks_to_reach(IOUS, 0.9).tolist() == [2, 4, 5]
    assert noc(IOUS, 0.9) == pytest.approx((2 + 4 + 4) / 3)
    assert nof(IOUS, 0.9) == 1
    assert nof_ritm(IOUS, 0.9) == 2


def test_the_threshold_itself_is_reached():
    assert clicks_to_reach([[0.9]], 0.9).tolist() == [1]


def test_an_iou_that_is_no_number_never_reaches():
    assert nof([[float("nan"), float("nan")]], 0.5) == 1


def test_mean_iou_per_click():
    np.testing.assert_allclose(mean_iou_per_click(IOUS), np.mean(IOUS, axis=0))


@pytest.mark.parametrize("metric", [clicks_to_reach, noc, nof, nof_ritm])
def test_tables_and_thresholds_are_checked(metric):
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        metric([0.1, 0.2, 0.3], 0.9)
    with pytest.raises(ValueError, match=r"shape \(0, 20\)"):
        metric(np.zeros((0, 20)), 0.9)
    with pytest.raises(ValueError, match="threshold is 90"):
        metric(IOUS, 90)


def test_mean_iou_refuses_an_empty_table():
    with pytest.raises(ValueError, match=r"shape \(4, 0\)"):
        mean_iou_per_click(np.zeros((4, 0)))


def test_bootstrap_interval_covers_the_mean_of_many_samples():
    rng = np.random.default_rng(5)
    intervals = [bootstrap_interval(rng.normal(3.0, 1.0, 40), resamples=400) for _ in range(200)]
    assert 0.88 <= np.mean([low <= 3.0 <= high for low, high in intervals]) <= 0.98


def test_bootstrap_interval_is_repeatable_and_checks_its_input():
    values = [0.2, 0.9, 0.4]
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval([0.5]) == (0.5, 0.5)
    with pytest.raises(ValueError, match=r"shape \(0,\)"):
        bootstrap_interval([])
