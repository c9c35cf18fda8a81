"""Rotary positions, the coarse net and one upsampler equal the stored ones."""

from __future__ import annotations

import torch
from torch import nn

from inter2former.config import DecoderConfig
from inter2former.model.layers import rotary_angles, rotate
from inter2former.model.upsampling import LocalUpsampling, Upsampler


def test_rotary_positions(load_fixture, cases, tensor, within):
    tensors, description = load_fixture("full_attention_rope")
    check, config = within(description), description["config"]
    for case in cases(tensors):
        settings = description["cases"][case]
        height, width, heads = settings["H"], settings["W"], settings["num_heads"]
        query, key = (tensor(tensors[f"{case}.{name}"]).unflatten(-1, (heads, -1)) for name in "qk")
        angles = rotary_angles(height, width, key.shape[-1], scale=config["ratio"], theta=config["theta"])
        at = tensor(tensors[f"{case}.idxs"]) % (height * width)
        check(rotate(query, angles[at]), tensors[f"{case}.rope_q"], f"{case} query")
        check(rotate(key, angles.repeat(settings["batch"], 1)), tensors[f"{case}.rope_k"], f"{case} key")


def test_coarse_net(load_fixture, weights, tensor, within):
    tensors, description = load_fixture("sim_mlp")
    state = weights(tensors)
    indices = sorted({int(key.split(".")[0]) for key in state})
    head = LocalUpsampling(DecoderConfig())
    # The stored net has other widths than the head's own.
    head.coarse = nn.ModuleList(nn.Conv2d(*state[f"{index}.weight"].shape[1::-1], 1) for index in indices)
    numbered = {f"{indices.index(int(key.split('.')[0]))}.{key.split('.')[1]}": value for key, value in state.items()}
    head.coarse.load_state_dict(numbered)
    with torch.no_grad():
        within(description)(head.coarse_logits(tensor(tensors["x"])), tensors["out"], "out")


def test_upsampler(load_fixture, cases, weights, tensor, within):
    tensors, description = load_fixture("upsample2x")
    assert cases(tensors)
    for case in cases(tensors):
        x, edge = tensor(tensors[f"{case}.x"]), tensor(tensors[f"{case}.edge"])
        stage = Upsampler(
            x.shape[1], norm=torch.nn.GroupNorm(1, x.shape[1]), interpolation="bicubic", last=case == "silu0"
        )
        stage.load_state_dict(weights(tensors, case))
        with torch.no_grad():
            within(description)(stage(x, edge), tensors[f"{case}.out"], case)
