"""What holds for all sessions: undo takes a click back for good, and no answer contradicts a click."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inter2former.predictor import Predictor

SHAPES = [(90, 130), (61, 33), (1, 40), (300, 211)]
RADIUS = 5
INTERPOLATION = 2
few = settings(max_examples=15)


@pytest.fixture(scope="module")
def predictor(random_weights):
    """One that keeps what it encoded: there are few images, and many sessions on each."""
    return Predictor(weights=random_weights, size=128, memory=1 << 28)


@st.composite
def sessions(draw, most=7):
    """Height and width of an image, a seed for its pixels, and clicks on it."""
    height, width = draw(st.sampled_from(SHAPES))
    click = st.tuples(st.integers(0, width - 1), st.integers(0, height - 1), st.booleans())
    return height, width, draw(st.integers(0, 3)), draw(st.lists(click, min_size=1, max_size=most))


@few
@given(sessions(most=3), st.data())
def test_undo_takes_back_what_add_click_did(predictor, photo, session, data):
    height, width, seed, clicks = session
    predictor.set_image(photo(height, width, seed))
    before = [predictor.add_click(*click) for click in clicks][-1]
    following = clicks[0]
    expected = predictor.add_click(*following)
    predictor.undo()
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    predictor.add_click(x, y, data.draw(st.booleans()))
    assert predictor.undo() is before
    assert predictor.prediction is before
    answer = predictor.add_click(*following)
    assert answer.clicks == expected.clicks
    np.testing.assert_array_equal(answer.logits, expected.logits)


@few
@given(sessions())
def test_the_mask_agrees_with_the_clicks(predictor, photo, session):
    height, width, seed, clicks = session
    predictor.set_image(photo(height, width, seed))
    for count, last in enumerate(clicks, 1):
        mask = predictor.add_click(*last).mask
        assert mask[last[1], last[0]] == last[2]
        for index, (x, y, positive) in enumerate(clicks[:count]):
            if not overruled(predictor, (x, y, positive), clicks[index + 1 : count]):
                assert mask[y, x] == positive, f"click {index + 1} of {clicks[:count]}"


def overruled(predictor, click, later):
    """Whether a later click of the other sign is so near that its disc may cover this one."""
    frame = predictor._frame
    at = frame.to_working(*click[:2])
    return any(
        positive != click[2] and math.dist(at, frame.to_working(x, y)) <= RADIUS + INTERPOLATION
        for x, y, positive in later
    )
