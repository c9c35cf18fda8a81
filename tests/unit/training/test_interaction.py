"""The number of extra clicks falls off geometrically."""

from __future__ import annotations

import numpy as np
import pytest

from inter2former.training.interaction import extra_click_probabilities, sample_extra_clicks


def test_probabilities_fall_by_a_constant_ratio():
    probabilities = extra_click_probabilities()
    assert probabilities.shape == (21,)
    assert probabilities.sum() == pytest.approx(1)
    np.testing.assert_allclose(probabilities[1:] / probabilities[:-1], 0.6)
    assert np.arange(21) @ probabilities == pytest.approx(1.5, abs=0.01)


def test_no_extra_clicks():
    assert sample_extra_clicks(np.random.default_rng(0), maximum=0) == 0


def test_draws_follow_the_probabilities():
    rng = np.random.default_rng(0)
    draws = [sample_extra_clicks(rng, gamma=0.5, maximum=3) for _ in range(4000)]
    # Four standard deviations of a count of 4000 stay below 0.032.
    shares = np.bincount(draws, minlength=4) / len(draws)
    np.testing.assert_allclose(shares, extra_click_probabilities(0.5, 3), atol=0.032)


def test_refusals():
    with pytest.raises(ValueError, match="gamma=0 "):
        extra_click_probabilities(0)
    with pytest.raises(ValueError, match="maximum=-1"):
        sample_extra_clicks(np.random.default_rng(0), maximum=-1)
