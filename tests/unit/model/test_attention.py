"""Hybrid attention for no, some and all boundary tokens, and its two kernels without a query."""

from __future__ import annotations

import pytest
import torch

from inter2former import kernels
from inter2former.model.attention import HybridAttention

HEIGHT, WIDTH, CHANNELS = 5, 7, 32

BOUNDARIES = {
    "none": lambda flags: flags.fill_(False),
    "one": lambda flags: flags.fill_(False).view(-1)[-1:].fill_(True),
    "some": lambda flags: flags,
    "all": lambda flags: flags.fill_(True),
    "all of one sample, none of the other": lambda flags: (flags[0].fill_(True), flags[1].fill_(False)),
}


def make(heads=1, seed=0):
    torch.manual_seed(seed)
    attention = HybridAttention(CHANNELS, downscale=2, code_bits=4, heads=heads)
    tokens = torch.randn(2, HEIGHT * WIDTH, CHANNELS)
    boundary = torch.rand(2, HEIGHT, WIDTH) < 0.4
    return attention, tokens, boundary


# Both forms sum the same values in another order: a few units in the last place of numbers around 1.
@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("which", BOUNDARIES)
def test_inference_equals_training(which, heads):
    attention, tokens, boundary = make(heads)
    BOUNDARIES[which](boundary)
    with torch.no_grad():
        inference, training = attention(tokens, boundary), attention.forward_training(tokens, boundary)
    torch.testing.assert_close(inference, training.tokens, rtol=1e-4, atol=2e-6)


def test_samples_do_not_mix():
    attention, tokens, boundary = make()
    with torch.no_grad():
        both = attention(tokens, boundary)
        alone = attention(tokens[1:], boundary[1:])
    torch.testing.assert_close(both[1:], alone, rtol=1e-5, atol=1e-6)


def test_boundary_flag_of_one_token_changes_that_token_alone():
    attention, tokens, boundary = make()
    changed = boundary.clone()
    changed[0, 2, 3] ^= True
    with torch.no_grad():
        difference = (attention(tokens, changed) - attention(tokens, boundary)).abs().amax(-1)
    assert difference[0, 2 * WIDTH + 3] > 1e-4
    difference[0, 2 * WIDTH + 3] = 0
    assert difference.max() < 1e-6


def test_no_query_gives_no_rows():
    query, value, code_keys = torch.zeros(0, 2, 8), torch.randn(6, 2, 8), torch.randn(4, 2, 8)
    codes = torch.tensor([0, 3, 3, 1, 0, 0])
    assert kernels.full_attention(query, value, value).shape == (0, 2, 8)
    assert kernels.code_attention(query, codes, value, code_keys).shape == (0, 2, 8)


@pytest.mark.parametrize("tokens", [1, 2, 31, 64])
def test_attention_over_codes_equals_attention_over_replaced_keys(tokens):
    torch.manual_seed(tokens)
    query, value, code_keys = torch.randn(5, 2, 8), torch.randn(tokens, 2, 8), torch.randn(16, 2, 8)
    codes = torch.randint(0, 16, (tokens,))
    out = kernels.code_attention(query, codes, value, code_keys)
    torch.testing.assert_close(out, kernels.full_attention(query, code_keys[codes], value), rtol=1e-4, atol=2e-6)
