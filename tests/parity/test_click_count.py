"""The number of extra training clicks is drawn as stored, for every stored seed."""

from __future__ import annotations

import numpy as np
import pytest

from inter2former.training.interaction import extra_click_probabilities, sample_extra_clicks


def test_probabilities(load_fixture):
    stored = load_fixture("num_clicks_sampling")[0]["probs"]
    # One rounding of the power, of the sum and of the quotient each: a few float64 epsilons.
    np.testing.assert_allclose(extra_click_probabilities(maximum=stored.size - 1), stored, rtol=1e-14, atol=0)


@pytest.mark.parametrize(("key", "coin"), [("draws", True), ("draws_plain", False)])
def test_draws(load_fixture, key, coin):
    tensors, _ = load_fixture("num_clicks_sampling")
    drawn = []
    for step in range(1, tensors[key].size + 1):
        rng = np.random.default_rng(step)
        if coin:
            rng.random()
        drawn.append(sample_extra_clicks(rng, maximum=tensors["probs"].size - 1))
    assert drawn == tensors[key].tolist()
