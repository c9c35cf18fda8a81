"""The native hybrid attention equals the reference: no boundary token, one, all; more keys than one block holds."""

from __future__ import annotations

import pytest
import torch

from inter2former.kernels import native, reference

CODES = 16


def make(tokens, heads, depth, boundary):
    torch.manual_seed(tokens + 1000 * heads + boundary)
    query, key, value = torch.randn(3, tokens, heads, depth)
    angles = 10 * torch.rand(tokens, depth // 2)
    order = torch.randperm(tokens)
    places = order[:boundary].sort().values, order[boundary:].sort().values
    codes, code_keys = torch.randint(0, CODES, (tokens,)), torch.randn(CODES, heads, depth)
    return 2 * query, key, value, (angles.cos(), angles.sin()), *places, codes, code_keys


# Weights add up to 1 and values are around 1; scores around 10 carry an error of 1e-6 into the exponent.
def close(measured, expected):
    torch.testing.assert_close(measured, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("heads", "depth"), [(1, 32), (2, 8), (3, 6), (1, 2), (1, 64)])
@pytest.mark.parametrize(("tokens", "boundary"), [(1, 0), (1, 1), (35, 0), (35, 1), (35, 20), (35, 35)])
def test_every_level_equals_the_reference(level, tokens, boundary, heads, depth):
    arguments = make(tokens, heads, depth, boundary)
    close(native.hybrid_attention(*arguments), reference.hybrid_attention(*arguments))


@pytest.mark.parametrize("tokens", [511, 512, 513, 1100])
def test_blocks_of_keys(level, tokens):
    arguments = make(tokens, 1, 32, 60)
    close(native.hybrid_attention(*arguments), reference.hybrid_attention(*arguments))


@pytest.mark.parametrize("height", [-60.0, 60.0])
def test_scores_far_apart(level, height):
    query, key, value, *rest = make(700, 1, 32, 10)
    key[600:] *= height
    close(native.hybrid_attention(query, key, value, *rest), reference.hybrid_attention(query, key, value, *rest))


def test_every_number_of_threads_gives_the_same_bits(threads):
    arguments = make(600, 2, 16, 100)
    measured = native.hybrid_attention(*arguments)
    torch.set_num_threads(1)
    assert torch.equal(measured, native.hybrid_attention(*arguments))


def test_parts_of_one_array(level):
    tokens, heads, depth = 35, 2, 8
    _, _, _, *rest = make(tokens, heads, depth, 20)
    whole = torch.randn(tokens, 3 * heads * depth)
    parts = [part.unflatten(-1, (heads, depth)) for part in whole.chunk(3, dim=-1)]
    copies = [part.contiguous() for part in parts]
    assert torch.equal(native.hybrid_attention(*parts, *rest), native.hybrid_attention(*copies, *rest))


def test_what_does_not_fit_is_refused():
    query, key, value, turns, boundary, interior, codes, code_keys = make(35, 2, 8, 20)
    with pytest.raises(ValueError, match=r"codes holds 16; it must be in \[0, 16\)"):
        native.hybrid_attention(query, key, value, turns, boundary, interior, codes * 0 + 16, code_keys)
    with pytest.raises(ValueError, match=r"boundary holds 35; it must be in \[0, 35\)"):
        native.hybrid_attention(query, key, value, turns, boundary * 0 + 35, interior, codes, code_keys)
    with pytest.raises(ValueError, match=r"cosine and sine must be \(T, d / 2\)"):
        native.hybrid_attention(query, key, value, (turns[0][:3], turns[1]), boundary, interior, codes, code_keys)
    with pytest.raises(ValueError, match="query, key and value must be"):
        native.hybrid_attention(query, key[:30], value, turns, boundary, interior, codes, code_keys)
