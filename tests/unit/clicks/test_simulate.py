"""The simulated user clicks the deepest pixel in error."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy import ndimage

from inter2former.clicks.simulate import (
    RELEASED,
    RELEASED_TRAINING,
    STRICT,
    ClickRule,
    click_candidates,
    distance_inside,
    next_click,
)
from inter2former.prompt import Click


def box(shape, top, left, bottom, right):
    mask = np.zeros(shape, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (13, 1), (33, 47), (60, 21)])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.95, 1.0])
def test_distances_are_exact(shape, share):
    region = np.random.default_rng(1).random(shape) < share
    expected = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    distance = distance_inside(region)
    assert distance.dtype == np.float32
    # The distance is the correctly rounded root of an integer.
    np.testing.assert_array_equal(distance, expected.astype(np.float32))


def test_equal_distances_are_equal_numbers_everywhere():
    # A row of equal squares in all positions relative to a vector register.
    region = np.zeros((30, 600), dtype=bool)
    for left in range(1, 570, 29):
        region[3:26, left : left + 23] = True
    depths = {float(distance_inside(region)[14, left + 11]) for left in range(1, 570, 29)}
    assert depths == {12.0}
    assert len({float(value) for value in distance_inside(region)[14] if value > 0}) == 12


def test_a_deep_region_is_exact_too():
    assert distance_inside(np.ones((2101, 2101), dtype=bool)).max() == 1051


def test_distance_refuses_other_ranks():
    with pytest.raises(ValueError, match=r"region has shape \(2, 3, 4\)"):
        distance_inside(np.zeros((2, 3, 4), dtype=bool))


def test_first_click_is_the_centre_of_the_object():
    target = box((20, 30), 4, 10, 9, 15)
    assert next_click(np.zeros_like(target), target) == Click(12, 6, True)


def test_surplus_is_clicked_away():
    prediction = box((20, 30), 4, 10, 9, 15)
    assert next_click(prediction, np.zeros_like(prediction)) == Click(12, 6, False)


def test_the_image_border_is_a_border_of_the_region():
    target = np.ones((5, 5), dtype=bool)
    assert next_click(np.zeros_like(target), target) == Click(2, 2, True)


def test_a_tie_between_the_kinds_is_negative():
    target, prediction = box((20, 30), 1, 1, 6, 6), box((20, 30), 10, 20, 15, 25)
    assert next_click(prediction, target) == Click(22, 12, False)


def test_a_tie_between_pixels_goes_to_the_first_in_raster_order():
    target = box((20, 30), 10, 2, 15, 7) | box((20, 30), 1, 20, 6, 25)
    assert next_click(np.zeros_like(target), target) == Click(22, 3, True)


def test_the_deepest_pixel_wins_over_the_larger_area():
    target = box((40, 60), 2, 2, 5, 58) | box((40, 60), 20, 20, 27, 27)
    assert next_click(np.zeros_like(target), target) == Click(23, 23, True)


@pytest.mark.parametrize("rule", [STRICT, RELEASED])
@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (7, 9)])
def test_no_error_no_click(rule, shape):
    mask = np.ones(shape, dtype=bool)
    rng = random.Random(0)
    assert next_click(mask, mask, rule=rule, rng=rng) is None
    candidates, positive = click_candidates(mask, mask, rule=rule)
    assert not candidates.any()
    assert not positive
    assert rng.random() == random.Random(0).random()  # no draw was spent


@pytest.mark.parametrize("rule", [STRICT, RELEASED, RELEASED_TRAINING])
def test_clicks_until_every_pixel_in_error_is_clicked(rule):
    target, prediction = box((6, 7), 1, 1, 4, 4), box((6, 7), 3, 3, 6, 6)
    rng, clicks = random.Random(5), []
    while (click := next_click(prediction, target, previous=clicks, rule=rule, rng=rng)) is not None:
        clicks.append(click)
    assert {(c.y, c.x) for c in clicks} == {tuple(p) for p in np.argwhere(prediction ^ target).tolist()}
    assert len(clicks) == np.count_nonzero(prediction ^ target)
    assert all(click.positive == target[click.y, click.x] for click in clicks)


def test_clicked_pixels_make_holes_only_before():
    target = box((11, 11), 1, 1, 10, 10)
    centre = Click(5, 5)
    after = next_click(np.zeros_like(target), target, previous=[centre])
    assert after == Click(4, 4, True)  # touches the centre: depths were measured without a hole
    candidates, _ = click_candidates(np.zeros_like(target), target, previous=[centre], rule=RELEASED)
    assert np.argwhere(candidates).tolist() == [[3, 3], [3, 7], [7, 3], [7, 7]]  # far from the hole and the rim


def test_ignored_pixels_are_no_error_and_border_the_region():
    target, ignore = box((9, 20), 0, 0, 9, 20), box((9, 20), 0, 0, 9, 11)
    assert next_click(np.zeros_like(target), target, ignore=ignore) == Click(15, 4, True)
    assert next_click(np.zeros_like(target), target, ignore=np.ones_like(target)) is None


def test_labels_other_than_one_are_background():
    target = box((9, 9), 2, 2, 7, 7).astype(np.uint8)
    target[0] = 255
    assert next_click(np.zeros_like(target), target) == Click(4, 4, True)
    assert next_click(np.ones_like(target), target, ignore=target == 255) is not None


def test_random_tie_break_draws_among_the_candidates():
    target = box((5, 40), 1, 1, 4, 39)
    candidates, positive = click_candidates(np.zeros_like(target), target, rule=RELEASED)
    listed = [tuple(pixel) for pixel in np.argwhere(candidates).tolist()]
    assert positive
    for seed in range(20):
        click = next_click(np.zeros_like(target), target, rule=RELEASED, rng=random.Random(seed))
        assert (click.y, click.x) == random.Random(seed).choice(listed)


def test_views_in_any_order_of_memory():
    rng = np.random.default_rng(4)
    prediction, target = rng.random((2, 25, 34)) > 0.3
    for see in (np.transpose, np.flipud, np.fliplr, np.asfortranarray, lambda mask: mask[::2, ::3]):
        expected = next_click(np.ascontiguousarray(see(prediction)), np.ascontiguousarray(see(target)))
        assert next_click(see(prediction), see(target)) == expected


def test_refusals():
    mask = np.zeros((4, 6), dtype=bool)
    with pytest.raises(ValueError, match="give rng"):
        next_click(mask, mask, rule=RELEASED)
    with pytest.raises(ValueError, match=r"prediction has shape \(6, 4\) but target has \(4, 6\)"):
        next_click(mask.T, mask)
    with pytest.raises(ValueError, match=r"ignore has shape \(6, 4\)"):
        next_click(mask, mask, ignore=mask.T)
    with pytest.raises(ValueError, match=r"target has shape \(1, 4, 6\)"):
        click_candidates(mask, mask[None])
    with pytest.raises(ValueError, match=r"click \(6, 2\) lies outside the 6x4 mask; x must be in \[0, 5\]"):
        next_click(mask, mask, previous=[Click(6, 2)])


def test_rules_refuse_unknown_settings():
    with pytest.raises(ValueError, match="clicked_pixels is 'never'"):
        ClickRule("never", "raster")
    with pytest.raises(ValueError, match="tie_break is 'first'"):
        ClickRule("after", "first")
    for ratio in (0.5, float("nan")):
        with pytest.raises(ValueError, match=f"inner_ratio is {ratio}"):
            ClickRule("after", "raster", ratio)
