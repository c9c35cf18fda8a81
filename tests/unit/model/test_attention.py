"""Every kind of attention for no, some and all boundary tokens, and the two kernels without a query."""

from __future__ import annotations

import pytest
import torch

from inter2former import kernels
from inter2former.config import DecoderConfig
from inter2former.model.attention import CodeAttention, FullAttention, HybridAttention, attention
from inter2former.model.boundary import TokenSplit
from inter2former.model.codebook import BinarySphericalCodebook, VectorCodebook

HEIGHT, WIDTH, CHANNELS, INNER = 5, 7, 32, 16

BOUNDARIES = {
    "none": lambda flags: flags.fill_(False),
    "one": lambda flags: flags.fill_(False).view(-1)[-1:].fill_(True),
    "some": lambda flags: flags,
    "all": lambda flags: flags.fill_(True),
    "all of one sample, none of the other": lambda flags: (flags[0].fill_(True), flags[1].fill_(False)),
}

KINDS = {
    "hybrid": lambda heads: HybridAttention(CHANNELS, INNER, BinarySphericalCodebook(INNER, 4), heads=heads),
    "full": lambda heads: FullAttention(CHANNELS, INNER, heads=heads),
    "bsq": lambda heads: CodeAttention(CHANNELS, INNER, BinarySphericalCodebook(INNER, 4), heads=heads),
    "vq": lambda heads: HybridAttention(CHANNELS, INNER, VectorCodebook(INNER, 4), heads=heads),
}


def make(kind="hybrid", heads=1, seed=0):
    torch.manual_seed(seed)
    layer = KINDS[kind](heads)
    tokens = torch.randn(2, HEIGHT * WIDTH, CHANNELS)
    boundary = torch.rand(2, HEIGHT, WIDTH) < 0.4
    return layer, tokens, boundary


# Both forms sum the same values in another order: a few units in the last place of numbers around 1.
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("which", BOUNDARIES)
def test_inference_equals_training(which, heads, kind):
    layer, tokens, boundary = make(kind, heads)
    BOUNDARIES[which](boundary)
    split = TokenSplit.of(boundary)
    with torch.no_grad():
        inference, training = layer(tokens, split), layer.forward_training(tokens, split)
    torch.testing.assert_close(inference, training.tokens, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_do_not_mix(kind):
    layer, tokens, boundary = make(kind)
    with torch.no_grad():
        both = layer(tokens, TokenSplit.of(boundary))
        alone = layer(tokens[1:], TokenSplit.of(boundary[1:]))
    torch.testing.assert_close(both[1:], alone, rtol=1e-5, atol=1e-6)


def test_boundary_flag_of_one_token_changes_that_token_alone():
    layer, tokens, boundary = make()
    changed = boundary.clone()
    changed[0, 2, 3] ^= True
    with torch.no_grad():
        out, other = (layer(tokens, TokenSplit.of(flags)) for flags in (boundary, changed))
    difference = (other - out).abs().amax(-1)
    assert difference[0, 2 * WIDTH + 3] > 1e-4
    difference[0, 2 * WIDTH + 3] = 0
    assert difference.max() < 1e-6


def test_hybrid_is_full_attention_at_the_boundary_and_attention_over_codes_elsewhere():
    hybrid, tokens, boundary = make()
    full, coded = FullAttention(CHANNELS, INNER), CodeAttention(CHANNELS, INNER, BinarySphericalCodebook(INNER, 4))
    coded.load_state_dict(hybrid.state_dict())
    full.load_state_dict({key: value for key, value in hybrid.state_dict().items() if "codebook" not in key})
    split = TokenSplit.of(boundary)
    with torch.no_grad():
        out, at_boundary, elsewhere = (layer(tokens, split) for layer in (hybrid, full, coded))
    expected = torch.where(boundary.flatten(1)[..., None], at_boundary, elsewhere)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=2e-6)
    assert (at_boundary - elsewhere).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("name", "kind", "codebook"),
    [
        ("hybrid", HybridAttention, BinarySphericalCodebook),
        ("full", FullAttention, None),
        ("bsq", CodeAttention, BinarySphericalCodebook),
        ("vq", HybridAttention, VectorCodebook),
    ],
)
def test_the_configuration_chooses(name, kind, codebook):
    layer = attention(DecoderConfig(attention=name, code_bits=5))
    assert type(layer) is kind
    assert layer.project.in_features == 256 // 8
    if codebook is None:
        assert not hasattr(layer, "codebook")
    else:
        assert type(layer.codebook) is codebook
        assert layer.codebook.all_keys().shape == (2**5, 32)


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
