"""The paper's image encoder equals the stored one: the tokens after every block, and the image embedding."""

from __future__ import annotations

import torch

from inter2former.config import WindowedViTConfig
from inter2former.model.windowed_vit import WindowedViT


def test_tokens_and_embedding(load_fixture, cases, weights, renamed, tensor, within):
    tensors, description = load_fixture("hrsam_tiny")
    check = within(description)
    assert cases(tensors)
    for case in cases(tensors):
        settings = description["cases"][case]
        encoder = WindowedViT(_config(settings))
        encoder.load_state_dict(renamed(weights(tensors, case), "backbone.", "encoder."))
        image = tensor(tensors[f"{case}.x"])
        assert image.shape == (settings["batch"], 3, settings["H"], settings["W"])
        with torch.no_grad():
            for index, tokens in enumerate(encoder.block_tokens(image)):
                check(tokens.flatten(0, 1), tensors[f"{case}.tok.{index}"], f"{case} after block {index}")
            features = encoder(image)
        assert index + 1 == settings["depth"]
        assert features.skips == ()
        check(features.embedding, tensors[f"{case}.out"], f"{case} embedding")


def _config(settings):
    return WindowedViTConfig(
        depth=settings["depth"],
        width=settings["embed_dim"],
        heads=settings["num_heads"],
        window=settings["window_size"],
        patch=settings["patch_size"],
        position_grid=settings["img_size"] // settings["patch_size"],
        rotary_scale=settings["rope_ratio"],
        scales=tuple(settings["downsample_sizes"]),
        taps=tuple(settings["out_indices"]),
        embedding=settings["final_embed_dim"],
    )
