"""Mask logits are mended where they contradict a click, nowhere else, and the later click has the last word."""

from __future__ import annotations

import numpy as np
import pytest

from inter2former.clicks.respect import contradicted, keep_clicks

BOX = (32, 16, 96, 64)
RADIUS = 5


def plane(value=-3.0):
    return np.full((48, 64), value, dtype=np.float32)


def interpolated(logits, x, y):
    """Bilinear value at fractional column and row; beyond the centres of the rim it is the rim's."""
    x, y = np.clip(x, 0, logits.shape[1] - 1), np.clip(y, 0, logits.shape[0] - 1)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, logits.shape[1] - 1), min(top + 1, logits.shape[0] - 1)
    upper = logits[top, left] + (logits[top, right] - logits[top, left]) * (x - left)
    lower = logits[bottom, left] + (logits[bottom, right] - logits[bottom, left]) * (x - left)
    return upper + (lower - upper) * (y - top)


def test_agreeing_logits_come_back_themselves():
    logits = plane()
    logits[20:30, 20:30] = 4
    clicks = [(32 + 25, 16 + 25, True), (40, 20, False)]
    assert keep_clicks(logits, BOX, clicks, radius=RADIUS) is logits
    assert keep_clicks(logits, BOX, [], radius=RADIUS) is logits


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("value", [0.01, 3.0, 40.0])
@pytest.mark.parametrize(("x", "y"), [(60, 40), (60.5, 40.25), (60.999, 40), (33.1, 62.9)])
def test_a_contradicted_click_is_mended(positive, value, x, y):
    sign = 1 if positive else -1
    logits = plane(-sign * value)
    before = logits.copy()
    mended = keep_clicks(logits, BOX, [(x, y, positive)], radius=RADIUS)
    np.testing.assert_array_equal(logits, before)
    assert mended.dtype == np.float32
    column, row = x - BOX[0], y - BOX[1]
    assert not contradicted(mended, column, row, positive)
    # The margin is 1; float32 blends of a few numbers of that size are off by 1e-6 at most.
    assert sign * interpolated(mended, column, row) >= 1 - 1e-5


def test_the_bump_stays_within_the_disc_and_falls_off():
    mended = keep_clicks(plane(), BOX, [(60, 40, True)], radius=RADIUS)
    changed = mended != plane()
    y, x = np.indices(changed.shape)
    distance = np.hypot(x - (60 - BOX[0]), y - (40 - BOX[1]))
    np.testing.assert_array_equal(changed, distance < RADIUS)
    ordered = mended[distance < RADIUS][np.argsort(distance[distance < RADIUS], kind="stable")]
    assert (np.diff(ordered) <= 1e-6).all()


def test_zero_is_background():
    assert contradicted(plane(0.0), 5, 5, positive=True)
    assert not contradicted(plane(0.0), 5, 5, positive=False)


@pytest.mark.parametrize("last", [True, False])
def test_the_later_of_two_near_clicks_wins(last):
    clicks = [(60, 40, not last), (61.5, 40, last)]
    for value in (-3.0, 3.0):
        mended = keep_clicks(plane(value), BOX, clicks, radius=RADIUS)
        assert not contradicted(mended, 61.5 - BOX[0], 40 - BOX[1], last)


def test_clicks_further_apart_than_the_disc_both_hold():
    clicks = [(50, 40, True), (57, 40, False), (50, 32.5, False)]
    for value in (-9.0, 9.0):
        mended = keep_clicks(plane(value), BOX, clicks, radius=RADIUS)
        assert not any(contradicted(mended, x - BOX[0], y - BOX[1], positive) for x, y, positive in clicks)


@pytest.mark.parametrize(("x", "y"), [(31, 40), (31.4, 40), (96.5, 40), (60, 15), (60, 64), (0, 0), (500, 500)])
def test_clicks_outside_the_box_change_nothing(x, y):
    for positive in (True, False):
        logits = plane(-3.0 if positive else 3.0)
        assert keep_clicks(logits, BOX, [(x, y, positive)], radius=RADIUS) is logits


# A pixel's area reaches half a pixel beyond the centres of the rim.
@pytest.mark.parametrize(("x", "y"), [(31.5, 15.5), (31.6, 40), (95.49, 63.49), (95, 16), (60, 63.4), (32, 63)])
def test_clicks_at_the_rim_are_mended(x, y):
    for positive in (True, False):
        mended = keep_clicks(plane(-3.0 if positive else 3.0), BOX, [(x, y, positive)], radius=RADIUS)
        assert not contradicted(mended, x - BOX[0], y - BOX[1], positive)
        assert (interpolated(mended, x - BOX[0], y - BOX[1]) > 0) == positive


@pytest.mark.parametrize("shape", [(1, 1), (1, 16), (16, 1)])
def test_planes_of_one_row_or_column(shape):
    logits = np.full(shape, -2, dtype=np.float32)
    mended = keep_clicks(logits, (0, 0, shape[1], shape[0]), [(0.2, -0.3, True)], radius=RADIUS)
    assert mended[0, 0] >= 1


def test_an_empty_plane_has_nothing_to_mend():
    logits = np.zeros((0, 0), dtype=np.float32)
    assert keep_clicks(logits, (5, 5, 5, 5), [(5, 5, True)], radius=RADIUS) is logits
