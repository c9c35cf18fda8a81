"""The simulated user equals the stored one: distances, candidates, and the pixel chosen with the stored seed."""

from __future__ import annotations

import random

import numpy as np
import pytest

from inter2former.clicks.simulate import RELEASED, RELEASED_TRAINING, click_candidates, distance_inside, next_click
from inter2former.prompt import Click


@pytest.fixture(scope="module")
def sessions(load_fixture, cases):
    """(case, tensors of the case, clicks before) for every case."""
    tensors, description = load_fixture("click_simulation")
    found = []
    for case in cases(tensors):
        own = {key.removeprefix(f"{case}."): values for key, values in tensors.items() if key.startswith(f"{case}.")}
        previous = [Click(x, y, bool(positive)) for y, x, positive in description["cases"][case]["prev"]]
        found.append((case, own, previous))
    assert found
    return found


def test_distances(sessions):
    compared = 0
    for case, own, previous in sessions:
        if "nd" not in own:
            continue
        compared += 1
        free = np.ones(own["gt"].shape, dtype=bool)
        for click in previous:
            free[click.y, click.x] = False
        predicted, truth = own["pred"] == 1, own["gt"] == 1
        for key, region in (("nd", truth & ~predicted), ("pd", predicted & ~truth)):
            distance = distance_inside(region & free)
            np.testing.assert_allclose(distance, own[key], rtol=0, atol=1e-5, err_msg=f"{case}.{key}")
    assert compared


@pytest.mark.parametrize(("rule", "suffix"), [(RELEASED, "1"), (RELEASED_TRAINING, "17")])
def test_candidates(sessions, rule, suffix):
    for case, own, previous in sessions:
        candidates, _ = click_candidates(own["pred"], own["gt"], previous=previous, rule=rule)
        np.testing.assert_array_equal(candidates, own[f"cand{suffix}"] == 1, err_msg=case)


@pytest.mark.parametrize(("rule", "suffix"), [(RELEASED, ""), (RELEASED_TRAINING, "17")])
def test_chosen_pixels(sessions, rule, suffix):
    for case, own, previous in sessions:
        rng = random.Random(int(case.lstrip("c")))
        click = next_click(own["pred"], own["gt"], previous=previous, rule=rule, rng=rng)
        chosen = [-1, -1, -1] if click is None else [click.y, click.x, int(click.positive)]
        assert chosen == own[f"chosen{suffix}"].tolist(), case
