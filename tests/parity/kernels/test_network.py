"""A whole network on the kernels: every level and number of threads gives the masks of the reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.engines import TINY_CLICKS, tiny_engine

from inter2former import kernels
from inter2former.clicks.reference_map import apply_prediction, blank_map, stamp_next_click
from inter2former.prompt import Click

# The accumulated rounding of a float32 network; beyond it from zero every pixel must be the reference's.
DECIDED = 1e-3


def session(engine, photo):
    """The answers to three clicks, each to the reference map that holds the disc as the last mask."""
    encoding = engine.encode(photo)
    side = encoding.frame.padded_height, encoding.frame.padded_width
    reference_map = blank_map(*side, TINY_CLICKS)
    y, x = np.mgrid[: side[0], : side[1]]
    answers = []
    for index, radius in enumerate((10, 14, 20)):
        click = Click(20 + 4 * index, 24, index != 1)
        reference_map = stamp_next_click(reference_map, click, TINY_CLICKS, first=index == 0)
        answers.append(engine.answer(encoding, reference_map))
        reference_map = apply_prediction(reference_map, (y - 24) ** 2 + (x - 22) ** 2 < radius**2)
    return answers


@pytest.fixture(scope="module")
def expected(photo):
    with kernels.reference_only():
        return session(tiny_engine(), photo(48, 64))


@pytest.mark.parametrize("count", [1, 3])
def test_masks_are_those_of_the_reference(level, count, photo, expected, torch_threads):
    torch.set_num_threads(count)
    measured = session(tiny_engine(), photo(48, 64))
    assert len(measured) == len(expected) == 3
    for (logits, box), (reference_logits, reference_box) in zip(measured, expected, strict=True):
        assert box == reference_box
        decided = np.abs(reference_logits) >= DECIDED
        assert decided.mean() > 0.9
        assert np.array_equal((logits > 0)[decided], (reference_logits > 0)[decided])
        np.testing.assert_allclose(logits, reference_logits, rtol=1e-3, atol=1e-3)
