"""Clicks and predictions move the states of the reference map, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from inter2former.clicks.reference_map import (
    State,
    apply_prediction,
    blank_map,
    lasso_core,
    stamp_box,
    stamp_clicks,
    stamp_definite,
    stamp_lasso,
    stamp_line,
    stamp_mask,
    stamp_next_click,
)
from inter2former.config import ClickConfig
from inter2former.prompt import Click
from inter2former.shapes import Patch, paint_line


def unknown(height, width):
    return np.full((height, width), State.UNKNOWN, dtype=np.uint8)


def stamp_by_definition(before, clicks, inner_radius, outer_radius):
    """The rule of the docstring, one pixel at a time."""
    after = before.copy()
    order = list(dict.fromkeys(click.positive for click in clicks))
    step = {True: {1: 2, 2: 3}, False: {2: 1, 3: 2}}
    for y, x in np.ndindex(*before.shape):
        distance = {
            kind: min((np.hypot(c.x - x, c.y - y) for c in clicks if c.positive == kind), default=np.inf)
            for kind in (False, True)
        }
        discs = [kind for kind in order if distance[kind] <= inner_radius]
        rings = [kind for kind in (False, True) if distance[kind] <= inner_radius + outer_radius]
        if discs:
            after[y, x] = 4 if discs[-1] else 0
        elif len(rings) == 1 and outer_radius > 0:
            after[y, x] = step[rings[0]].get(int(before[y, x]), before[y, x])
    return after


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (23, 31)])
@pytest.mark.parametrize(("inner", "outer"), [(0, 0), (5, 0), (2.5, 0), (3, 2), (1.5, 4.2), (0, 3)])
def test_stamp_follows_the_definition(shape, inner, outer):
    rng = np.random.default_rng(7)
    height, width = shape
    before = rng.integers(0, 5, shape, dtype=np.uint8)
    for count in (0, 1, 2, 5):
        clicks = [
            Click(int(rng.integers(width)), int(rng.integers(height)), bool(rng.integers(2))) for _ in range(count)
        ]
        np.testing.assert_array_equal(
            stamp_clicks(before, clicks, inner_radius=inner, outer_radius=outer),
            stamp_by_definition(before, clicks, inner, outer),
        )


def test_disc_of_radius_five_has_81_pixels():
    stamped = stamp_clicks(unknown(40, 40), [Click(20, 20)], inner_radius=5)
    assert np.count_nonzero(stamped == State.DEFINITE_FOREGROUND) == 81
    assert np.count_nonzero(stamped == State.UNKNOWN) == 40 * 40 - 81


@pytest.mark.parametrize(
    ("kinds", "centre"),
    [((True, False), 0), ((False, True), 4), ((True, False, True), 0), ((False, True, False), 4)],
)
def test_kind_first_clicked_later_wins(kinds, centre):
    clicks = [Click(10, 10, positive) for positive in kinds]
    assert stamp_clicks(unknown(21, 21), clicks, inner_radius=3)[10, 10] == centre


def test_clicks_off_the_map_reach_in_or_have_no_effect():
    stamped = stamp_clicks(unknown(9, 9), [Click(-2, 4), Click(50, 4, False), Click(4, -50)], inner_radius=3)
    assert stamped[4].tolist() == [4, 4, 2, 2, 2, 2, 2, 2, 2]
    assert not (stamped == State.DEFINITE_BACKGROUND).any()


def test_stamp_leaves_its_input_unchanged():
    before = unknown(12, 12)
    stamp_clicks(before, [Click(5, 5)], inner_radius=3, outer_radius=2)
    assert (before == State.UNKNOWN).all()


def test_stamp_refuses_bad_maps_and_radii():
    with pytest.raises(ValueError, match=r"shape \(1, 4, 4\)"):
        stamp_clicks(np.zeros((1, 4, 4), dtype=np.uint8), [], inner_radius=5)
    with pytest.raises(ValueError, match="dtype float32"):
        stamp_clicks(np.zeros((4, 4), dtype=np.float32), [], inner_radius=5)
    with pytest.raises(ValueError, match="inner_radius=-1 "):
        stamp_clicks(unknown(4, 4), [], inner_radius=-1)
    with pytest.raises(ValueError, match="outer_radius=-2"):
        stamp_clicks(unknown(4, 4), [], inner_radius=1, outer_radius=-2)


def test_a_reversed_pixel_is_unknown_for_one_round():
    certain = np.array([[State.POSSIBLE_FOREGROUND]], dtype=np.uint8)
    background = np.array([[False]])
    once = apply_prediction(certain, background)
    assert once.item() == State.UNKNOWN
    assert apply_prediction(once, background).item() == State.POSSIBLE_BACKGROUND


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64])
@pytest.mark.parametrize("shape", [(2, 5), (1, 1, 2, 5), (2, 5, 1), (2, 0, 5)])
def test_every_state_moves_under_any_shape_and_dtype(dtype, shape):
    states, mask = np.tile(np.arange(5, dtype=np.uint8), (2, 1)), np.repeat([[0], [1]], 5, axis=1).astype(dtype)
    size = int(np.prod(shape))
    moved = apply_prediction(states.ravel()[:size].reshape(shape), mask.ravel()[:size].reshape(shape))
    assert moved.shape == shape
    assert moved.dtype == np.uint8
    assert moved.ravel().tolist() == [0, 1, 1, 2, 4, 0, 2, 3, 3, 4][:size]


def test_labels_that_are_neither_leave_the_state():
    states = np.arange(5, dtype=np.uint8)
    for label in (2, 255):
        np.testing.assert_array_equal(apply_prediction(states, np.full(5, label, dtype=np.uint8)), states)


def test_views_in_any_order_of_memory():
    rng = np.random.default_rng(3)
    states, mask = rng.integers(0, 5, (6, 8), dtype=np.uint8), rng.random((6, 8)) > 0.5
    expected = apply_prediction(states, mask)
    np.testing.assert_array_equal(apply_prediction(states.T, mask.T), expected.T)
    np.testing.assert_array_equal(apply_prediction(states[::-2], mask[::-2]), expected[::-2])


def test_prediction_refuses_what_it_cannot_use():
    with pytest.raises(ValueError, match=r"mask has shape \(3, 4\) but reference_map has \(4, 3\)"):
        apply_prediction(unknown(4, 3), np.zeros((3, 4), dtype=bool))
    with pytest.raises(ValueError, match="mask has dtype float32"):
        apply_prediction(unknown(4, 3), np.zeros((4, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="reference_map has dtype int64"):
        apply_prediction(np.zeros((4, 3), dtype=np.int64), np.zeros((4, 3), dtype=bool))
    with pytest.raises(ValueError, match="state 7"):
        apply_prediction(np.full((4, 3), 7, dtype=np.uint8), np.zeros((4, 3), dtype=bool))


@pytest.mark.parametrize("state", [1, 2])
def test_a_blank_map_holds_the_initial_state(state):
    blank = blank_map(3, 5, ClickConfig(initial_state=state))
    assert blank.dtype == np.uint8
    np.testing.assert_array_equal(blank, np.full((3, 5), state))


@pytest.mark.parametrize("first", [True, False])
def test_the_first_click_has_its_own_outer_radius(first):
    config = ClickConfig(initial_state=1, inner_radius=2, outer_radius=3, first_outer_radius=9)
    before = blank_map(40, 50, config)
    stamped = stamp_next_click(before, Click(20, 18), config, first=first)
    y, x = np.indices(before.shape)
    distance = np.hypot(x - 20, y - 18)
    expected = np.where(distance <= 2, 4, np.where(distance <= 2 + (9 if first else 3), 2, 1))
    np.testing.assert_array_equal(stamped, expected)
    assert (before == 1).all()


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize(
    ("click", "outer"),
    [
        (Click(60, 25), 12),  # 3 times the distance of 10 is beyond the limit
        (Click(53, 25), 9),  # 3 times 3
        (Click(51, 25), 4),  # 3 times 1 is less than the least radius
        (Click(40, 25), 4),  # the answer agrees already
        (Click(53, 44), 12),  # (53, 44) to (50, 40) is a distance of 5
    ],
)
def test_a_later_click_opens_more_the_further_the_answer_is_from_it(click, outer, positive):
    config = ClickConfig(
        initial_state=1, inner_radius=1, outer_radius=4, first_outer_radius=2, outer_growth=3.0, outer_limit=12
    )
    before = np.full((60, 90), 1 if positive else 3, dtype=np.uint8)
    before[10:41, 20:51] = 3 if positive else 1
    click = Click(click.x, click.y, positive)
    np.testing.assert_array_equal(
        stamp_next_click(before, click, config, first=False),
        stamp_clicks(before, [click], inner_radius=1, outer_radius=outer),
    )
    np.testing.assert_array_equal(
        stamp_next_click(before, click, config, first=True),
        stamp_clicks(before, [click], inner_radius=1, outer_radius=2),
    )


def test_where_the_answer_has_nothing_on_the_clicks_side_the_radius_is_the_limit():
    config = ClickConfig(initial_state=1, inner_radius=1, outer_radius=4, outer_growth=3.0, outer_limit=12)
    before = blank_map(60, 90, config)
    np.testing.assert_array_equal(
        stamp_next_click(before, Click(3, 30), config, first=False),
        stamp_clicks(before, [Click(3, 30)], inner_radius=1, outer_radius=12),
    )


def test_a_box_makes_possible_background_unknown_and_nothing_else():
    before = np.tile(np.arange(5, dtype=np.uint8), (6, 2))
    expected = before.copy()
    expected[1:4, 2:9][expected[1:4, 2:9] == State.POSSIBLE_BACKGROUND] = State.UNKNOWN
    kept = before.copy()
    np.testing.assert_array_equal(stamp_box(before, 2, 1, 9, 4), expected)
    np.testing.assert_array_equal(before, kept)


@pytest.mark.parametrize("box", [(4, 2, 16, 8), (-6, -3, 12, 7), (0, 0, 20, 12), (15, 9, 30, 20)])
def test_a_box_without_foreground_gets_a_seed_in_the_middle(box):
    before = np.ones((12, 20), dtype=np.uint8)
    before[5, 10] = State.DEFINITE_BACKGROUND
    left, top, right, bottom = box
    expected = before.copy()
    for y in range(max(top, 0), min(bottom, 12)):
        for x in range(max(left, 0), min(right, 20)):
            across = (x + 0.5 - (left + right) / 2) / ((right - left) / 2)
            down = (y + 0.5 - (top + bottom) / 2) / ((bottom - top) / 2)
            if before[y, x] == State.POSSIBLE_BACKGROUND:
                expected[y, x] = State.POSSIBLE_FOREGROUND if across**2 + down**2 < 0.25 else State.UNKNOWN
    np.testing.assert_array_equal(stamp_box(before, *box), expected)


@pytest.mark.parametrize("box", [(-9, -9, 99, 99), (0, 0, 10, 6)])
def test_a_box_is_clipped(box):
    before = np.ones((6, 10), dtype=np.uint8)
    before[0, 0] = State.DEFINITE_FOREGROUND
    stamped = stamp_box(before, *box)
    assert stamped[0, 0] == State.DEFINITE_FOREGROUND
    assert (stamped.reshape(-1)[1:] == State.UNKNOWN).all()


@pytest.mark.parametrize("box", [(-9, 0, -2, 6), (12, 0, 20, 6), (3, 3, 3, 6), (5, 0, 2, 6)])
def test_a_box_beside_the_map_has_no_effect(box):
    assert (stamp_box(np.ones((6, 10), dtype=np.uint8), *box) == 1).all()


def test_a_box_refuses_another_dtype():
    with pytest.raises(ValueError, match="dtype int64; expected uint8"):
        stamp_box(np.ones((6, 10), dtype=np.int64), 0, 0, 5, 5)


STATES = np.tile(np.arange(5, dtype=np.uint8), (30, 8))


@pytest.mark.parametrize("positive", [True, False])
def test_a_scribble_of_one_point_is_a_click(positive):
    click = stamp_clicks(STATES, [Click(17, 12, positive)], inner_radius=3, outer_radius=5)
    at = np.array([[17.5, 12.5]])
    line = stamp_line(STATES, paint_line(at, 3, 40, 30), paint_line(at, 8, 40, 30), positive=positive)
    np.testing.assert_array_equal(line, click)


def test_a_lasso_leaves_its_rim_open():
    inside = np.zeros((30, 40), dtype=bool)
    inside[5:26, 5:36] = True
    core = lasso_core(inside)
    # The greatest depth is 11, a fifth of it 2.2: two pixels along the line are rim.
    assert core[7:24, 7:34].all()
    assert core.sum() == 17 * 27
    for positive, in_core, in_rim in (
        (True, [0, 3, 3, 3, 4], [0, 2, 2, 3, 4]),
        (False, [0, 1, 1, 1, 1], [0, 1, 2, 2, 4]),
    ):
        stamped = stamp_lasso(STATES, inside, positive=positive)
        np.testing.assert_array_equal(stamped[core], np.array(in_core)[STATES[core]])
        np.testing.assert_array_equal(stamped[inside & ~core], np.array(in_rim)[STATES[inside & ~core]])
        np.testing.assert_array_equal(stamped[~inside], STATES[~inside])
    assert not lasso_core(np.zeros((4, 4), dtype=bool)).any()


def test_definite_pixels_and_masks():
    core = Patch(3, 2, np.array([[True, False], [True, True]]))
    stamped = stamp_definite(STATES, core, positive=True)
    assert stamped[2:4, 3:5].tolist() == [[4, STATES[2, 4]], [4, 4]]
    assert (stamp_definite(STATES, core, positive=False)[2:4, 3:5] == [[0, STATES[2, 4]], [0, 0]]).all()
    assert stamp_mask(np.array([[True, False]])).tolist() == [[3, 1]]
    assert stamp_mask(np.array([[True, False]])).dtype == np.uint8
