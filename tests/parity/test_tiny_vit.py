"""The image encoder with the public MobileSAM weights equals the stored embedding of a photo."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from inter2former.checkpoint import load_mobile_sam_encoder
from inter2former.config import TinyViTConfig
from inter2former.model.normalise import normalised_input
from inter2former.model.tiny_vit import TinyViT

VARIABLE = "INTER2FORMER_WEIGHTS_DIR"
REPOSITORY = Path(__file__).resolve().parents[2]

# The stored embedding and the weights are float16; the bound is relative to the largest value.
TOLERANCE = 2e-2


def _require(name):
    folder = Path(os.environ.get(VARIABLE) or REPOSITORY.parent / "shared" / "weights")
    if not (folder / name).is_file():
        pytest.skip(f"{name} is not in {folder}; set {VARIABLE} to a folder that holds it")
    return folder / name


def test_embedding_of_a_photo():
    stored = load_file(_require("tiny_vit_fixture.safetensors"))
    encoder = TinyViT(TinyViTConfig())
    load_mobile_sam_encoder(encoder, _require("mobile_sam.fp16.safetensors"))
    photo = stored["image_u8"].repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)
    with torch.inference_mode():
        embedding = encoder(normalised_input(photo.numpy(), stride=16)).embedding
    expected = stored["image_embedding"].float()
    assert embedding.shape == expected.shape
    assert float((embedding - expected).abs().max() / expected.abs().max()) < TOLERANCE
