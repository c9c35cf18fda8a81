"""The native experts equal the reference: no token, one, all; experts without a token; one and several per token."""

from __future__ import annotations

import pytest
import torch

from inter2former.kernels import native, reference
from inter2former.kernels.reference import Experts


def make_experts(experts, width, hidden):
    weights = (
        torch.randn(experts, hidden, width) * width**-0.5,
        torch.randn(experts, hidden, width) * width**-0.5,
        torch.randn(experts, width, hidden) * hidden**-0.5,
    )
    biases = torch.randn(experts, hidden), torch.randn(experts, hidden), torch.randn(experts, width)
    return Experts(weights, biases, (torch.randn(hidden), torch.randn(hidden), 1e-5))


# Three products and two norms on top of each other, each within some 1e-6 of values around 1.
def close(measured, expected):
    torch.testing.assert_close(measured, expected, rtol=2e-4, atol=5e-5)


@pytest.mark.parametrize(("width", "hidden"), [(16, 4), (20, 12), (33, 17), (256, 64)])
@pytest.mark.parametrize("count", [0, 1, 7, 60])
def test_rows_of_experts(level, count, width, hidden):
    torch.manual_seed(count + width)
    tokens, experts = torch.randn(count, width), make_experts(5, width, hidden)
    for chosen in (torch.randint(0, 5, (count,)), torch.full((count,), 3)):
        close(native.expert_mlp(tokens, chosen, *experts), reference.expert_mlp(tokens, chosen, *experts))


def make_layer(places, per_place, *, tokens=61, width=32, hidden=12):
    torch.manual_seed(places + 100 * per_place)
    norm = torch.randn(width), torch.randn(width), 1e-5
    place = torch.randperm(tokens)[:places]
    expert = (
        torch.stack([torch.randperm(5)[:per_place] for _ in range(places)])
        if places
        else torch.zeros(0, per_place, dtype=torch.int64)
    )
    shared, routed = make_experts(1, width, hidden), make_experts(5, width, hidden)
    weights = torch.rand(places, 1), torch.rand(places, per_place)
    return torch.randn(tokens, width), norm, shared, routed, place, expert, *weights


@pytest.mark.parametrize("per_place", [1, 2])
@pytest.mark.parametrize("places", [0, 1, 20, 61])
def test_hybrid_layer(level, places, per_place):
    arguments = make_layer(places, per_place)
    close(native.hybrid_experts(*arguments), reference.hybrid_experts(*arguments))


def test_every_number_of_threads_gives_the_same_bits(threads):
    arguments = make_layer(40, 2)
    rows = arguments[0], torch.randint(0, 5, (61,)), *arguments[3]
    measured, each = native.hybrid_experts(*arguments), native.expert_mlp(*rows)
    torch.set_num_threads(1)
    assert torch.equal(measured, native.hybrid_experts(*arguments))
    assert torch.equal(each, native.expert_mlp(*rows))


def apart(x):
    """The same numbers with others between them."""
    wide = torch.full((*x.shape, 3), -1, dtype=x.dtype)
    wide[..., 1] = x
    return wide[..., 1]


def test_strides(level):
    tokens, norm, shared, routed, place, expert, *weights = make_layer(20, 2)
    expected = native.hybrid_experts(tokens, norm, shared, routed, place, expert, *weights)
    turned = Experts(tuple(w.mT.contiguous().mT for w in routed.weights), tuple(map(apart, routed.biases)), routed.norm)
    loose = apart(tokens), (apart(norm[0]), apart(norm[1]), norm[2]), shared, turned, apart(place), apart(expert)
    assert torch.equal(native.hybrid_experts(*loose, *map(apart, weights)), expected)
    chosen = torch.arange(61) % 5
    assert torch.equal(
        native.expert_mlp(apart(tokens), apart(chosen), *turned), native.expert_mlp(tokens, chosen, *routed)
    )


def test_what_does_not_fit_is_refused():
    tokens, norm, shared, routed, place, expert, *weights = make_layer(4, 1)
    with pytest.raises(ValueError, match=r"expert holds 5; it must be in \[0, 5\)"):
        native.hybrid_experts(tokens, norm, shared, routed, place, expert * 0 + 5, *weights)
    with pytest.raises(ValueError, match=r"place holds -1; it must be in \[0, 61\)"):
        native.hybrid_experts(tokens, norm, shared, routed, place * 0 - 1, expert, *weights)
    with pytest.raises(ValueError, match="shared must be one expert"):
        native.hybrid_experts(tokens, norm, routed, routed, place, expert, *weights)
    with pytest.raises(ValueError, match="weights and biases must be"):
        native.expert_mlp(tokens[:, :30].contiguous(), torch.zeros(61, dtype=torch.int64), *routed)
