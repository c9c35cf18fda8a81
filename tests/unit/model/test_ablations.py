"""Every row of the ablation builds, infers, trains and keeps its promise about the others."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from inter2former.config import preset
from inter2former.model.inter2former import EncodedImage, Inter2Former
from inter2former.model.upsampling import FullUpsampling

HEIGHT, WIDTH = 96, 128

ROWS = (
    {},
    {"attention": "full"},
    {"attention": "bsq"},
    {"attention": "vq"},
    {"prompt": "dense"},
    {"upsampling": "full"},
    {"feed_forward": "shared"},
    {"boundary": "release"},
    {"code_bits": 4},
    {"experts_per_token": 2},
)


def build(**changed):
    config = preset("inter2former-t")
    torch.manual_seed(0)
    return Inter2Former(dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, **changed)))


@pytest.fixture
def encoded():
    torch.manual_seed(1)
    edges = [torch.randn(2, 256 // 4**level, HEIGHT // 8 * 2**level, WIDTH // 8 * 2**level) for level in range(4)]
    return EncodedImage(torch.randn(2, 256, HEIGHT // 16, WIDTH // 16), tuple(edges))


@pytest.fixture
def reference_map():
    states = torch.ones(2, 1, HEIGHT, WIDTH, dtype=torch.uint8)
    states[0, :, 40:60, 30:70] = 3
    states[:, :, 48, 50] = 4
    states[1, :, :20, :20] = 2
    return states


@pytest.mark.parametrize("changed", ROWS, ids=lambda changed: "-".join(map(str, changed.items())) or "paper")
def test_a_row_infers_and_trains(changed, encoded, reference_map):
    network = build(**changed)
    with torch.inference_mode():
        answers = network.decode(network.prepared(encoded), reference_map)
    assert [tuple(answer.logits.shape) for answer in answers] == [
        (answer.box.bottom - answer.box.top, answer.box.right - answer.box.left) for answer in answers
    ]
    output = network.forward_training(encoded, reference_map)
    assert output.logits.shape == (2, 1, HEIGHT, WIDTH)
    loss = output.logits.square().mean() + output.coarse_logits.square().mean() + output.commitment_loss
    loss.backward()
    once_per_image = ("encoder.", "edge_encoder.", "embedding_norm.")
    without = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None and not name.startswith(once_per_image)
    ]
    assert not without
    # With the whole plane as training computes it, inference agrees with training inside its box.
    whole = output.logits.detach()[:, 0]
    for answer, plane in zip(answers, whole, strict=True):
        torch.testing.assert_close(answer.logits, plane[answer.box.rows, answer.box.columns], rtol=1e-3, atol=1e-4)


def test_dense_prompt_equals_the_dynamic_one(encoded, reference_map):
    dynamic, dense = build(), build(prompt="dense")
    dense.load_state_dict(dynamic.state_dict())
    with torch.inference_mode():
        expected, measured = (network.prompted_tokens(encoded, reference_map) for network in (dynamic, dense))
    torch.testing.assert_close(measured, expected, rtol=1e-4, atol=1e-5)


def test_full_upsampling_equals_the_local_one_inside_its_box(encoded, reference_map):
    local, full = build(), build(upsampling="full")
    assert type(full.upsampling) is FullUpsampling
    full.load_state_dict(local.state_dict())
    with torch.inference_mode():
        inside, whole = (network.decode(network.prepared(encoded), reference_map) for network in (local, full))
    for part, plane in zip(inside, whole, strict=True):
        assert plane.logits.shape == (HEIGHT, WIDTH)
        torch.testing.assert_close(part.logits, plane.logits[part.box.rows, part.box.columns], rtol=1e-4, atol=2e-5)


def test_a_row_has_only_the_parameters_it_uses():
    names = {
        key: set(build(**changed).state_dict()) for key, changed in (("paper", {}), ("full", {"attention": "full"}))
    }
    assert names["paper"] - names["full"] == {
        f"blocks.{block}.attention.codebook.{name}"
        for block in (0, 1)
        for name in ("vectors", "project.weight", "project.bias")
    }
    shared = set(build(feed_forward="shared").state_dict())
    assert {name.split(".")[3] for name in names["paper"] - shared} == {
        "routed", "expert_gate", "shared_gate", "balance_bias", "balance_step",
    }  # fmt: skip
