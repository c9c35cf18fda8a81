"""A click answered from the tokens around it."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from inter2former.config import preset
from inter2former.model.boundary import select_boundary_tokens
from inter2former.model.boxes import Box, cut_sides
from inter2former.model.inter2former import EncodedImage, Inter2Former

SIDE = 256
TOKENS = SIDE // 16
MARGIN = 3


def _network(margin: int | None) -> Inter2Former:
    config = preset("inter2former-t")
    config = dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, window_margin=margin))
    torch.manual_seed(0)
    return Inter2Former(config).eval().requires_grad_(False)


@pytest.fixture
def network():
    return _network(MARGIN)


@pytest.fixture
def encoded():
    torch.manual_seed(1)
    # As `prepare` gives them: the last are a part of the logits.
    edges = [torch.randn(1, 64 // 4**level, SIDE // 8 * 2**level, SIDE // 8 * 2**level) for level in range(4)]
    return EncodedImage(torch.randn(1, 256, TOKENS, TOKENS), tuple(edges))


@pytest.fixture
def reference_map():
    """The rows of tokens 6 and 7, the columns of tokens 7 to 9; the prompt box holds one token more on each side."""
    states = torch.ones(1, 1, SIDE, SIDE, dtype=torch.uint8)
    states[..., 100:125, 115:150] = 3
    states[..., 110, 120] = 4
    states[..., 100:110, 115:120] = 2
    return states


def test_window_is_the_prompt_box_and_the_margin(network, reference_map):
    assert network.window(reference_map) == Box(6 - MARGIN, 5 - MARGIN, 11 + MARGIN, 9 + MARGIN)


def test_window_without_a_prompt_or_a_margin_is_all(network, reference_map):
    whole = Box(0, 0, TOKENS, TOKENS)
    assert network.window(torch.ones_like(reference_map)) == whole
    assert network.window(reference_map.where(reference_map != 3, 1)) == whole  # a click and no mask yet
    assert _network(None).window(reference_map) == whole


def test_window_changes_neither_the_prompt_nor_the_boundary_tokens(network, encoded, reference_map):
    window = network.window(reference_map)
    pixels = window.scaled(16)
    crop = reference_map[:, :, pixels.rows, pixels.columns].contiguous()
    whole = network.prompt_embedding.add_to(encoded.embedding, reference_map)
    part = network.prompt_embedding.add_to(encoded.cropped(window).embedding, crop)
    torch.testing.assert_close(part, whole[:, :, window.rows, window.columns], rtol=1e-5, atol=1e-5)
    flags = select_boundary_tokens(reference_map, rule="exact", stride=16)[0]
    inside = select_boundary_tokens(crop, rule="exact", stride=16)[0]
    assert torch.equal(inside, flags[window.rows, window.columns])
    assert inside.sum() == flags.sum() > 0


def test_an_object_inside_the_window_is_drawn_from_the_window(network, encoded, reference_map):
    encoded.edges[-1].sub_(500)
    window = network.window(reference_map)
    pixels = window.scaled(16)
    crop = reference_map[:, :, pixels.rows, pixels.columns].contiguous()
    (expected,) = network.decode(encoded.cropped(window), crop, Box(2, 2, 9, 8))
    answer = network.answer(encoded, reference_map)
    assert answer.box == expected.box.moved(pixels.left, pixels.top)
    torch.testing.assert_close(answer.logits, expected.logits, rtol=1e-5, atol=1e-5)
    assert answer.box.left <= 120 < answer.box.right
    assert answer.box.top <= 110 < answer.box.bottom


def test_an_object_that_leaves_the_window_is_drawn_from_all_tokens(network, encoded, reference_map):
    encoded.edges[-1].add_(500)
    answer = network.answer(encoded, reference_map)
    (whole,) = network.decode(encoded, reference_map)
    assert answer.box == whole.box == Box(0, 0, SIDE, SIDE)
    torch.testing.assert_close(answer.logits, whole.logits, rtol=1e-5, atol=1e-5)


def test_without_a_margin_all_tokens_answer(encoded, reference_map):
    network = _network(None)
    answer = network.answer(encoded, reference_map)
    (whole,) = network.decode(encoded, reference_map)
    assert answer.box == whole.box
    torch.testing.assert_close(answer.logits, whole.logits, rtol=0, atol=0)


def test_sides_through_which_an_object_goes_on():
    logits = torch.full((32, 48), -1.0)
    logits[5, 0] = logits[31, 20] = 0.5
    assert cut_sides(Box(1, 1, 4, 3), logits, Box(0, 0, 5, 5)) == (True, False, False, True)
    assert cut_sides(Box(1, 1, 4, 3), logits, Box(1, 0, 5, 5)) == (False, False, False, True)
    assert cut_sides(Box(0, 1, 3, 3), logits, Box(0, 0, 5, 3)) == (False, False, False, False)


def test_an_object_seen_beyond_the_limits_alone_leaves_a_box_within_them(network, monkeypatch):
    limits = Box(2, 2, 9, 8)
    for row, column, expected in ((0, 1, limits), (1, 3, limits), (2, 9, limits), (2, 8, Box(7, 2, 9, 4))):
        coarse = torch.full((1, 1, 10, 11), -9.0)
        coarse[0, 0, row, column] = 9.0
        monkeypatch.setattr(network.upsampling, "coarse_logits", lambda x, coarse=coarse: coarse)
        assert network.upsampling.boxes(torch.zeros(1, 256, 10, 11), limits=limits) == [expected]


def test_a_margin_holds_what_upsampling_looks_at():
    with pytest.raises(ValueError, match="window_margin"):
        dataclasses.replace(preset("inter2former-t").decoder, window_margin=1)
