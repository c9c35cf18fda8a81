"""The mixture of experts equals a loop over tokens and balances itself."""

from __future__ import annotations

import pytest
import torch

from inter2former.model.moe import HybridMoE

TOKENS, CHANNELS, EXPERTS = 24, 16, 4


def make():
    torch.manual_seed(0)
    layer = HybridMoE(CHANNELS, hidden=32, experts=EXPERTS)
    return layer, torch.randn(2, TOKENS, CHANNELS), torch.rand(2, 4, 6) < 0.5


def one_by_one(layer, tokens, boundary):
    out = []
    for token, flag in zip(tokens.flatten(0, 1), boundary.flatten(), strict=True):
        shared = layer.shared(token[None], layer.shared_norm)
        if flag:
            routing = layer.route(token[None])
            routed = layer.routed(token[None], routing.expert)
            shared = routing.shared_weight * shared + routing.routed_weight * routed
        out.append(shared)
    return torch.cat(out).view_as(tokens)


@pytest.mark.parametrize("which", ["none", "one", "some", "all"])
def test_both_forms_equal_a_loop_over_tokens(which):
    layer, tokens, boundary = make()
    if which != "some":
        boundary[:] = which == "all"
        boundary[1, 2, 3] = which != "none"
    with torch.no_grad():
        expected = one_by_one(layer, tokens, boundary)
        torch.testing.assert_close(layer(tokens, boundary), expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(layer.forward_training(tokens, boundary), expected, rtol=1e-5, atol=1e-6)


def test_bias_moves_against_the_load_until_the_last_step():
    layer, _, _ = make()
    layer.balance_rate, layer.balance_steps = 0.5, 1
    for _ in range(2):
        layer.balance(torch.tensor([5, 1, 1, 1]))
    assert layer.balance_bias.tolist() == [-0.5, 0.5, 0.5, 0.5]
    assert layer.balance_step == 1


def test_bias_chooses_but_does_not_weigh():
    layer, tokens, _ = make()
    before = layer.route(tokens[0])
    layer.balance_bias[2] = 10.0
    after = layer.route(tokens[0])
    assert (after.expert == 2).all()
    same = before.expert == 2
    torch.testing.assert_close(after.routed_weight[same], before.routed_weight[same], rtol=0, atol=0)
    torch.testing.assert_close(after.shared_weight + after.routed_weight, torch.ones(TOKENS, 1))


def test_layer_changes_its_dtype():
    layer, tokens, boundary = make()
    assert layer.to(torch.float64)(tokens.double(), boundary).dtype == torch.float64
