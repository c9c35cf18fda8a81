"""Full attention with rotary positions equals the stored outputs."""

from __future__ import annotations

import torch

from inter2former import kernels
from inter2former.model.layers import rotary_angles, rotate


def test_boundary_tokens_over_all_tokens(load_fixture, cases, tensor, within):
    tensors, description = load_fixture("full_attention_rope")
    check, config = within(description), description["config"]
    assert cases(tensors)
    for case in cases(tensors):
        settings = description["cases"][case]
        height, width, heads = settings["H"], settings["W"], settings["num_heads"]
        query, key, value = (tensor(tensors[f"{case}.{name}"]).unflatten(-1, (heads, -1)) for name in "qkv")
        at = tensor(tensors[f"{case}.idxs"]) % (height * width)
        angles = rotary_angles(height, width, key.shape[-1], scale=config["ratio"], theta=config["theta"])
        samples = zip(
            rotate(query, angles[at]).split(settings["lengths"]),
            rotate(key, angles.repeat(settings["batch"], 1)).split(height * width),
            value.split(height * width),
            strict=True,
        )
        out = torch.cat([kernels.full_attention(*sample) for sample in samples])
        check(out.flatten(1), tensors[f"{case}.out"], case)
