"""Metrics by hand-made examples and by their definitions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from inter2former.evaluation.metrics import (
    bootstrap_interval,
    bootstrap_ratios,
    boundary_iou,
    clicks_to_converge,
    clicks_to_reach,
    curve_area,
    iou,
    mean_iou_per_click,
    noc,
    nof,
    nof_ritm,
    over_seeds,
    spc_decode,
    spc_total,
    typical,
)
from inter2former.evaluation.overlap import Truth, boundary_width

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
    first, second = (boundary_by_definition(mask & ~ignore, width) for mask in (prediction, target))
    assert boundary_iou(prediction, target, ignore, width_ratio=ratio) == iou(first, second)


def test_boundary_iou_by_hand_with_an_ignored_band():
    """Diagonal 100: boundaries are 2 wide. The object is 20 x 30, its undecided band 4 wide."""
    shape = (60, 80)
    target = box(shape, 20, 20, 40, 50)
    band = box(shape, 16, 16, 44, 54) & ~target
    rim = 20 * 30 - 16 * 26
    assert boundary_iou(target, target, band) == 1.0
    # Wherever the edge lies in the band: the mask is right where it counts.
    assert boundary_iou(box(shape, 17, 18, 43, 53), target, band) == 1.0
    # One row short at the top: of the object's rim that row is missing, and the mask's own reaches one row deeper.
    short, short_rim = box(shape, 21, 20, 40, 50), 19 * 30 - 15 * 26
    common = rim - 30
    assert boundary_iou(short, target, band) == common / (rim + short_rim - common)
    # Too much: rows 10 to 19, of which those from 16 on lie in the band, so a part of 6 x 30 stands alone.
    spill = target | box(shape, 10, 20, 20, 50)
    spilt_rim = rim + 6 * 30 - 2 * 26
    assert boundary_iou(spill, target, band) == rim / spilt_rim


def test_what_is_predicted_in_ignored_pixels_changes_nothing():
    rng = np.random.default_rng(4)
    for _ in range(20):
        prediction, target, ignore, other = rng.random((4, 25, 38)) > 0.4
        changed = np.where(ignore, other, prediction)
        for measure in (iou, boundary_iou):
            assert measure(changed, target, ignore) == measure(prediction, target, ignore)
            assert measure(np.where(ignore, other, target), target, ignore) == 1.0


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


def test_one_truth_serves_many_predictions():
    rng = np.random.default_rng(3)
    target, ignore, *predictions = rng.random((6, 31, 44)) > 0.6
    for ignored in (None, ignore):
        truth = Truth(target, ignored, width_ratio=0.05)
        for prediction in [*predictions, np.zeros_like(target), np.ones_like(target), target]:
            assert truth.iou(prediction) == iou(prediction, target, ignored)
            expected = boundary_iou(prediction, target, ignored, width_ratio=0.05)
            assert truth.boundary_iou(prediction) == expected


@pytest.mark.parametrize("width", [1, 127, 128, 200])
def test_wide_boundaries(width):
    mask = box((450, 430), 5, 7, 440, 425)
    ratio = width / float(np.hypot(*mask.shape))
    assert boundary_width(450, 430, ratio) == width
    inner = mask & ~boundary_by_definition(mask, width)
    assert boundary_iou(inner, mask, width_ratio=ratio) == iou(
        boundary_by_definition(inner, width), boundary_by_definition(mask, width)
    )


def test_area_under_the_curve():
    np.testing.assert_allclose(curve_area(IOUS), [(0.25 + 0.92 + 0.80 + 0.495) / 3, (0.05 + 0.5 + 0.475) / 3, 0.25])
    assert curve_area([[0.3]]).tolist() == [0.3]
    assert np.mean(curve_area(IOUS)) == pytest.approx(curve_area([mean_iou_per_click(IOUS)])[0])


def test_clicks_to_convergence():
    table = [
        [0.50, 0.92, 0.80, 0.99],  # rises until the end
        [0.90, 0.904, 0.80, 0.905],  # never more than half a point better than after the first
        [0.10, 0.60, 0.61, 0.61],
        [0.70, 0.70, 0.70, 0.706],
    ]
    assert clicks_to_converge(table).tolist() == [4, 1, 3, 4]
    assert clicks_to_converge(table, 0.2).tolist() == [2, 1, 2, 1]
    assert clicks_to_converge([[0.4, 0.3, 0.2]], 0).tolist() == [1]
    with pytest.raises(ValueError, match="tolerance is -1"):
        clicks_to_converge(table, -1)


def test_over_seeds():
    assert over_seeds([3.0, 5.0, 4.0]) == (4.0, 1.0, 5.0)
    assert over_seeds([2.5]) == (2.5, 0.0, 2.5)
    with pytest.raises(ValueError, match=r"shape \(0,\)"):
        over_seeds([])


def test_seconds_per_click():
    steps = [0.4, 0.1, 0.2, 0.3, 1.0]
    assert spc_decode(steps) == pytest.approx(0.3)
    assert spc_decode(steps, 95) == pytest.approx(0.4 + 0.8 * 0.6)
    assert spc_total(steps, [2.0, 0.0, 1.0]) == pytest.approx((2.0 + 3.0) / 5)
    assert typical([0.0, 0.6, 0.2, 0.0]) == pytest.approx(0.4)
    for nothing in (spc_decode([]), spc_total([], [1.0]), typical([0.0])):
        assert np.isnan(nothing)


def test_intervals_are_those_of_resampled_means():
    values = np.random.default_rng(0).random(37)
    draws = np.random.default_rng(5).integers(37, size=(300, 37))
    expected = np.quantile(values[draws].mean(axis=1), [0.05, 0.95])
    np.testing.assert_allclose(bootstrap_interval(values, confidence=0.9, resamples=300, seed=5), expected, rtol=1e-12)


def test_intervals_of_ratios():
    rng = np.random.default_rng(1)
    seconds, clicks = rng.random(20), rng.integers(0, 5, 20).astype(float)
    above = np.stack([seconds, seconds, seconds], axis=1)
    below = np.stack([clicks, np.ones(20), np.zeros(20)], axis=1)
    ends = bootstrap_ratios(above, below, resamples=200, seed=2)
    draws = np.random.default_rng(2).integers(20, size=(200, 20))
    expected = np.quantile(seconds[draws].sum(axis=1) / clicks[draws].sum(axis=1), [0.025, 0.975])
    np.testing.assert_allclose(ends[0], expected, rtol=1e-12)
    np.testing.assert_allclose(ends[1], bootstrap_interval(seconds, resamples=200, seed=2), rtol=1e-12)
    assert np.isnan(ends[2]).all()


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
