"""Prompt embedding and blocks together, in both forms and by both boundary rules, equal the stored decoder neck."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inter2former.config import DecoderConfig, ModelConfig
from inter2former.model.boundary import select_boundary_tokens
from inter2former.model.inter2former import EncodedImage, Inter2Former

NOT_STORED = ("encoder.", "edge_encoder.", "upsampling.")


@pytest.fixture
def network(load_fixture, weights, renamed):
    """`network(rule)`: the stored decoder with that boundary rule, its balance bias as stored."""
    tensors, description = load_fixture("neck_real")
    config, state = description["config"], renamed(weights(tensors), "neck.", "")

    def build(rule):
        decoder = DecoderConfig(
            width=config["embed_dim"],
            depth=config["depth"],
            downscale=config["downscale"],
            hidden=int(config["embed_dim"] * config["mlp_ratio"]),
            code_bits=config["code_size"],
            prompt_widths=tuple(config["ref_dims"]),
            boundary=rule,
        )
        network = Inter2Former(ModelConfig(decoder=decoder))
        missing, unexpected = network.load_state_dict(state, strict=False)
        assert not unexpected
        assert all(key.startswith(NOT_STORED) for key in missing)
        return network

    return build


@pytest.mark.parametrize(("rule", "suffix"), [("release", ""), ("exact", "_exact")])
def test_tokens(load_fixture, cases, tensor, within, network, rule, suffix):
    tensors, description = load_fixture("neck_real")
    assert cases(tensors)
    for case in cases(tensors):
        fresh, check = network(rule), within(description)
        encoded = EncodedImage(tensor(tensors[f"{case}.x"]), ())
        reference_map = tensor(tensors[f"{case}.ref_label"])
        boundary = select_boundary_tokens(reference_map, rule=rule, stride=fresh.prompt_embedding.stride)
        np.testing.assert_array_equal(
            boundary.flatten().nonzero()[:, 0].numpy(), tensors[f"{case}.idxs{suffix}"], err_msg=case
        )
        with torch.no_grad():
            tokens = fresh.prompted_tokens(encoded, reference_map)
            trained = fresh.blocks_training(encoded, reference_map)
        check(tokens, tensors[f"{case}.out{suffix}"], f"{case} inference")
        check(trained.map, tensors[f"{case}.out_train{suffix}"], f"{case} training")
        check(trained.commitment_loss, tensors[f"{case}.vq_loss{suffix}"], f"{case} commitment loss")
        biases = torch.stack([block.feed_forward.balance_bias for block in fresh.blocks])
        check(biases, tensors[f"{case}.exp_bias_after{suffix}"], f"{case} balance bias")
