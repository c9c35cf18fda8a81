"""What holds for all masks: clicks, reference maps and the counts made from them."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from inter2former.clicks.reference_map import apply_prediction, stamp_clicks
from inter2former.clicks.simulate import RELEASED, RELEASED_TRAINING, STRICT, click_candidates, next_click
from inter2former.evaluation.metrics import boundary_iou, iou, noc, nof, nof_ritm
from inter2former.prompt import Click

shapes = st.tuples(st.integers(1, 24), st.integers(1, 24))
rules = st.sampled_from([STRICT, RELEASED, RELEASED_TRAINING])
thresholds = st.floats(0, 1)
tables = arrays.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 20)), elements=st.floats(0, 1))


@st.composite
def mask_pairs(draw):
    shape = draw(shapes)
    return tuple(draw(arrays.arrays(np.bool_, shape)) for _ in range(3))


@st.composite
def maps_with_clicks(draw):
    shape = draw(shapes)
    click = st.builds(Click, st.integers(0, shape[1] - 1), st.integers(0, shape[0] - 1), st.booleans())
    return draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, 4))), draw(st.lists(click, max_size=5))


@given(mask_pairs(), rules, st.integers(0, 99))
def test_a_click_lies_in_an_error_region_and_corrects_it(masks, rule, seed):
    prediction, target, ignore = masks
    click = next_click(prediction, target, ignore=ignore, rule=rule, rng=random.Random(seed))
    error = (prediction ^ target) & ~ignore
    if click is None:
        assert not error.any()
        return
    assert error[click.y, click.x]
    assert click.positive == target[click.y, click.x]


@given(mask_pairs(), rules)
def test_no_pixel_is_clicked_twice(masks, rule):
    prediction, target, _ = masks
    rng, clicks = random.Random(0), []
    for _ in range(6):
        click = next_click(prediction, target, previous=clicks, rule=rule, rng=rng)
        if click is None:
            break
        assert (click.x, click.y) not in {(c.x, c.y) for c in clicks}
        clicks.append(click)
    assert len(clicks) == min(6, np.count_nonzero(prediction ^ target))


@pytest.mark.parametrize("see", [np.flipud, np.fliplr, np.transpose])
@given(masks=mask_pairs(), rule=rules)
def test_candidates_flip_with_the_masks(see, masks, rule):
    prediction, target, ignore = masks
    candidates, positive = click_candidates(prediction, target, ignore=ignore, rule=rule)
    flipped = click_candidates(see(prediction), see(target), ignore=see(ignore), rule=rule)
    np.testing.assert_array_equal(flipped[0], see(candidates))
    assert flipped[1] == positive


@given(mask_pairs())
def test_the_strict_click_is_the_first_candidate(masks):
    prediction, target, ignore = masks
    candidates, positive = click_candidates(prediction, target, ignore=ignore)
    click = next_click(prediction, target, ignore=ignore)
    expected = [Click(int(x), int(y), positive) for y, x in np.argwhere(candidates)[:1]]
    assert ([] if click is None else [click]) == expected


@given(maps_with_clicks(), st.data())
def test_a_prediction_settles_after_two_rounds(case, data):
    reference_map, _ = case
    mask = data.draw(arrays.arrays(np.bool_, reference_map.shape))
    twice = apply_prediction(apply_prediction(reference_map, mask), mask)
    np.testing.assert_array_equal(apply_prediction(twice, mask), twice)
    definite = (reference_map == 0) | (reference_map == 4)
    np.testing.assert_array_equal(twice[definite], reference_map[definite])


@given(maps_with_clicks(), st.floats(0, 8))
def test_stamping_twice_is_stamping_once(case, radius):
    reference_map, clicks = case
    once = stamp_clicks(reference_map, clicks, inner_radius=radius)
    np.testing.assert_array_equal(stamp_clicks(once, clicks, inner_radius=radius), once)


@given(maps_with_clicks(), st.floats(0, 5), st.floats(0, 5))
def test_a_stamp_flips_with_the_map(case, inner, outer):
    reference_map, clicks = case
    stamped = stamp_clicks(reference_map, clicks, inner_radius=inner, outer_radius=outer)
    turned = stamp_clicks(
        reference_map.T, [Click(c.y, c.x, c.positive) for c in clicks], inner_radius=inner, outer_radius=outer
    )
    np.testing.assert_array_equal(turned, stamped.T)


@given(tables, thresholds, thresholds)
def test_harder_thresholds_need_no_fewer_clicks(table, one, other):
    easy, hard = sorted((one, other))
    assert 1 <= noc(table, easy) <= noc(table, hard) <= table.shape[1]
    assert nof(table, easy) <= nof(table, hard)
    assert nof(table, hard) <= nof_ritm(table, hard)


@given(mask_pairs())
def test_overlaps_are_symmetric_and_bounded(masks):
    prediction, target, ignore = masks
    for measure in (iou, boundary_iou):
        overlap = measure(prediction, target, ignore)
        assert 0 <= overlap <= 1
        assert overlap == measure(target, prediction, ignore)
        assert measure(target, target, ignore) == 1
