"""The mixture of experts equals a loop over tokens and balances itself."""

from __future__ import annotations

import pytest
import torch

from inter2former.model.boundary import TokenSplit
from inter2former.model.moe import HybridMoE

TOKENS, CHANNELS, EXPERTS = 24, 16, 4


def make(experts_per_token=1):
    torch.manual_seed(0)
    layer = HybridMoE(CHANNELS, hidden=32, experts=EXPERTS, experts_per_token=experts_per_token)
    return layer, torch.randn(2, TOKENS, CHANNELS), torch.rand(2, 4, 6) < 0.5


def one_by_one(layer, tokens, boundary):
    out = []
    for token, flag in zip(tokens.flatten(0, 1), boundary.flatten(), strict=True):
        shared = layer.shared(token[None], layer.shared_norm)
        if flag:
            routing = layer.route(token[None])
            shared = routing.shared_weight * shared
            for expert, weight in zip(routing.expert[0], routing.routed_weight[0], strict=True):
                shared = shared + weight * layer.routed(token[None], expert[None])
        out.append(shared)
    return torch.cat(out).view_as(tokens)


@pytest.mark.parametrize("experts_per_token", [1, 2, EXPERTS])
@pytest.mark.parametrize("which", ["none", "one", "some", "all"])
def test_both_forms_equal_a_loop_over_tokens(which, experts_per_token):
    layer, tokens, boundary = make(experts_per_token)
    if which != "some":
        boundary[:] = which == "all"
        boundary[1, 2, 3] = which != "none"
    with torch.no_grad():
        expected = one_by_one(layer, tokens, boundary)
        split = TokenSplit.of(boundary)
        torch.testing.assert_close(layer(tokens, split), expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(layer.forward_training(tokens, split), expected, rtol=1e-5, atol=1e-6)


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
    split = TokenSplit.of(boundary)
    assert layer.to(torch.float64)(tokens.double(), split).dtype == torch.float64


@pytest.mark.parametrize("experts_per_token", [1, 2, 3])
def test_routing_takes_the_best_scores_and_weighs_them_beside_the_shared_one(experts_per_token):
    layer, tokens, _ = make(experts_per_token)
    with torch.no_grad():
        routing = layer.route(tokens[0])
        scores = layer.expert_gate(tokens[0]).sigmoid()
        best = scores.sort(descending=True)
        assert torch.equal(routing.expert, best.indices[:, :experts_per_token])
        shared = layer.shared_gate(tokens[0]).sigmoid()
        weights = torch.cat((shared, best.values[:, :experts_per_token]), 1).softmax(1)
    torch.testing.assert_close(torch.cat((routing.shared_weight, routing.routed_weight), 1), weights)


def test_every_choice_of_a_token_counts_for_the_balance():
    layer, tokens, _ = make(experts_per_token=2)
    layer.balance_bias.copy_(torch.tensor([2.0, 1.0, 0.0, 0.0]))  # every token takes the first two experts
    before = layer.balance_bias.clone()
    layer.forward_training(tokens, TokenSplit.of(torch.ones(2, 4, 6, dtype=torch.bool)))
    moved = (layer.balance_bias - before) / layer.balance_rate
    torch.testing.assert_close(moved, torch.tensor([-1.0, -1.0, 1.0, 1.0]), rtol=0, atol=1e-3)
