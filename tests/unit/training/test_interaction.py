"""The number of extra clicks falls off geometrically, and simulated users click where the network is wrong."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from inter2former.clicks.reference_map import State
from inter2former.model.inter2former import EncodedImage
from inter2former.training.interaction import (
    SimulatedInteraction,
    extra_click_probabilities,
    sample_extra_clicks,
    simulate_interaction,
)
from inter2former.training.losses import IGNORE

SIDE = 64


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


@pytest.fixture
def encoded():
    torch.manual_seed(1)
    edges = [torch.randn(2, 256 // 4**level, SIDE // 8 * 2**level, SIDE // 8 * 2**level) for level in range(4)]
    return EncodedImage(torch.randn(2, 256, SIDE // 16, SIDE // 16), tuple(edges))


@pytest.fixture
def target():
    planes = torch.zeros(2, 1, SIDE, SIDE, dtype=torch.uint8)
    planes[0, :, 10:40, 5:50] = 1
    planes[1, :, 30:60, 20:44] = 1
    planes[1, :, :, 48:] = IGNORE
    return planes


def simulate(network, encoded, target, settings, seed=5, **changes):
    users = SimulatedInteraction(target, network.config.clicks, dataclasses.replace(settings, **changes), step=seed)
    simulate_interaction(network, network.prepared(encoded), users, users.rounds)
    return users.reference_maps()


def definite(reference_map, state):
    return (reference_map == state).flatten(1).sum(dim=1)


def test_unsteady_clicks_lie_all_over_the_error(network, encoded, target, settings):
    one_click = {"box_probability": 0.0, "max_extra_clicks": 0}
    alone = {
        share: {
            tuple((simulate(network, encoded, target, settings, seed=seed, unsteady_share=share, **one_click)
                   == State.DEFINITE_FOREGROUND)[0, 0].nonzero().float().mean(0).tolist())
            for seed in range(12)
        }
        for share in (0.0, 1.0)
    }  # fmt: skip
    spread = {share: np.ptp(np.array(sorted(centres)), axis=0) for share, centres in alone.items()}
    assert (spread[1.0] > spread[0.0]).any()
    # Deep clicks keep to the middle of the object's 30 rows: at least 1/1.7 of the greatest depth from its rim.
    assert spread[0.0][0] <= 14 < spread[1.0][0]


def test_the_first_click_is_in_the_object(network, encoded, target, settings):
    maps = simulate(network, encoded, target, settings, box_probability=0.0, max_extra_clicks=0)
    assert (maps.dtype, maps.shape) == (torch.uint8, target.shape)
    assert not (maps == State.DEFINITE_BACKGROUND).any()
    # The deepest pixels lie further than the disc's radius from the rim, so the whole disc is in the object.
    assert ((maps == State.DEFINITE_FOREGROUND) <= (target == 1)).all()
    assert definite(maps, State.DEFINITE_FOREGROUND).tolist() == [81, 81]


def test_a_box_instead_of_the_first_click(network, encoded, target, settings):
    maps = simulate(network, encoded, target, settings, box_probability=1.0, max_extra_clicks=0)
    # The box is unknown, with a seed of possible foreground in its middle.
    assert set(maps.unique().tolist()) == {State.POSSIBLE_BACKGROUND, State.UNKNOWN, State.POSSIBLE_FOREGROUND}
    for boxed, wanted in zip(maps != State.POSSIBLE_BACKGROUND, target == 1, strict=True):
        assert (boxed & wanted).sum() / (boxed | wanted).sum() > 0.6


def test_extra_clicks_leave_their_discs(network, encoded, target, settings):
    maps = simulate(network, encoded, target, settings, extra_click_gamma=100.0, max_extra_clicks=4)
    clicked = definite(maps, State.DEFINITE_FOREGROUND) + definite(maps, State.DEFINITE_BACKGROUND)
    # The network's weights are random: it is wrong every time.
    assert (clicked > 81).all()


def test_the_same_draws_give_the_same_maps(network, encoded, target, settings):
    first = simulate(network, encoded, target, settings)
    assert torch.equal(simulate(network, encoded, target, settings), first)
    assert any(not torch.equal(simulate(network, encoded, target, settings, seed=seed), first) for seed in range(3))


def test_simulation_leaves_no_gradient(network, encoded, target, settings):
    simulate(network, encoded, target, settings)
    assert all(parameter.grad is None for parameter in network.parameters())
