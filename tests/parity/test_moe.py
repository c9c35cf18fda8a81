"""The mixture of experts, its routing and its balance bias equal the stored ones."""

from __future__ import annotations

import numpy as np
import torch

from inter2former.model.boundary import TokenSplit
from inter2former.model.moe import HybridMoE

RELEASED, OURS = "neck.blocks.0.ffn.", "blocks.0.feed_forward."


def test_inference(load_fixture, cases, weights, renamed, tensor, within):
    tensors, description = load_fixture("hybrid_moe_eval")
    assert cases(tensors)
    for case in cases(tensors):
        # A case without weights of its own has the ones without a prefix.
        state = renamed(weights(tensors, case) or weights(tensors), RELEASED, OURS)
        layer = _layer(description["cases"][case], state)
        x = tensor(tensors[f"{case}.x"])
        index = tensor(tensors.get(f"{case}.index", np.zeros(0, np.int64)))
        with torch.no_grad():
            if f"{case}.expert" in tensors:
                expert = layer.route(x[index]).expert[:, 0]
                np.testing.assert_array_equal(expert.numpy(), tensors[f"{case}.expert"], err_msg=case)
            within(description)(layer(x[None], _split(x, index))[0], tensors[f"{case}.out"], case)


def test_consecutive_training_calls_move_the_bias(load_fixture, weights, renamed, tensor, within):
    tensors, description = load_fixture("hybrid_moe_train_bias")
    check, config = within(description), description["config"]
    layer = _layer(config, renamed(weights(tensors), RELEASED, OURS))
    layer.balance_rate, layer.balance_steps = config["lr"], config["max_update_steps"]
    calls = sum(key.startswith("x.") for key in tensors)
    assert calls
    for call in range(calls):
        x, index = tensor(tensors[f"x.{call}"]), tensor(tensors[f"index.{call}"])
        with torch.no_grad():
            counts = torch.bincount(layer.route(x[index]).expert[:, 0], minlength=config["num_experts"])
            out = layer.forward_training(x[None], _split(x, index))[0]
        np.testing.assert_array_equal(counts.numpy(), tensors[f"counts.{call}"], err_msg=f"call {call}")
        check(out, tensors[f"out.{call}"], f"call {call}")
        check(layer.balance_bias, tensors[f"exp_bias.{call}"], f"call {call}")
        assert int(layer.balance_step) == int(tensors[f"steps.{call}"]), call


def _layer(settings, state):
    layer = HybridMoE(settings["embed_dim"], hidden=settings["hidden_dim"], experts=settings["num_experts"])
    layer.load_state_dict(state)
    return layer


def _split(x, index):
    """The indices as the boundary tokens of one sample whose tokens lie in one row."""
    flags = torch.zeros(1, 1, len(x), dtype=torch.bool)
    flags[0, 0, index] = True
    return TokenSplit.of(flags)
