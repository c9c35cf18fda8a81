"""The whole of MobileSAM with the public weights equals the stored answers to three prompts on a photo."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from inter2former.checkpoint import load_mobile_sam
from inter2former.model.mobile_sam import MobileSam
from inter2former.model.normalise import normalised_input

VARIABLE = "INTER2FORMER_WEIGHTS_DIR"
REPOSITORY = Path(__file__).resolve().parents[2]

# Stored logits and weights are float16; the bound is relative to the largest value.
TOLERANCE = 2e-2


def _require(name):
    folder = Path(os.environ.get(VARIABLE) or REPOSITORY.parent / "shared" / "weights")
    if not (folder / name).is_file():
        pytest.skip(f"{name} is not in {folder}; set {VARIABLE} to a folder that holds it")
    return folder / name


@pytest.fixture(scope="module")
def stored():
    return load_file(_require("tiny_vit_fixture.safetensors"))


@pytest.fixture(scope="module")
def network():
    network = MobileSam().requires_grad_(False)
    load_mobile_sam(network, _require("mobile_sam.fp16.safetensors"))
    return network


@pytest.fixture(scope="module")
def embedding(network, stored):
    photo = stored["image_u8"].repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)
    return network.encode(normalised_input(photo.numpy(), stride=1024, padding="zero"))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_answer_to_clicks(network, stored, embedding, number):
    points, labels = stored[f"points{number}"], stored[f"labels{number}"]
    logits, scores = network.decode(embedding, points[None], labels[None])
    expected = stored[f"low_res_logits{number}"].float()
    assert logits[0].shape == expected.shape
    assert float((logits[0] - expected).abs().max() / expected.abs().max()) < TOLERANCE
    # The scores are stored in float32; only the weights' rounding is between them.
    torch.testing.assert_close(scores[0], stored[f"iou{number}"], rtol=0, atol=1e-3)
