"""The network on a GPU gives what it gives on the CPU. Opt in with -m gpu; skipped where there is none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from inter2former import kernels
from inter2former.benchmark.session import random_engine
from inter2former.config import preset
from inter2former.model.inter2former import EncodedImage, Inter2Former
from inter2former.predictor import Predictor
from inter2former.prompt import Click
from inter2former.session.engine import Engine
from inter2former.session.tree import Session

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that this PyTorch can use"),
]

CLICKS = (Click(60, 40, True), Click(10, 10, False), Click(75, 50, True))

# A mask may differ where the CPU's logit is this near to 0.
UNDECIDED = 1e-2


def same_masks(on_cpu, on_gpu):
    """Click by click; each click starts from the device's own last answer."""
    for click in CLICKS:
        expected, measured = on_cpu.add(click), on_gpu.add(click)
        different = expected.mask != measured.mask
        assert different.mean() < 1e-3, click
        assert (np.abs(expected.logits)[different] < UNDECIDED).all(), click


def test_masks_of_the_shipped_weights(shipped, photo):
    on_cpu, on_gpu = (Engine.load(weights=shipped, size=512, device=device) for device in ("cpu", "cuda"))
    image = photo()
    same_masks(Session(on_cpu, on_cpu.encode(image)), Session(on_gpu, on_gpu.encode(image)))


def test_masks_of_the_paper_network(small_preset_b, photo):
    on_cpu, on_gpu = (random_engine("inter2former-b", size=256, device=device) for device in ("cpu", "cuda"))
    image = photo()
    same_masks(Session(on_cpu, on_cpu.encode(image)), Session(on_gpu, on_gpu.encode(image)))


def test_predictor_takes_the_device(random_weights, photo):
    predictor = Predictor(weights=random_weights, size=128, device="cuda")
    predictor.set_image(photo())
    assert predictor.add_click(60, 40).mask.shape == (90, 130)


@pytest.mark.parametrize("attention", ["hybrid", "vq"])
def test_training_forward(attention):
    torch.manual_seed(0)
    config = preset("inter2former-t")
    config = dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, attention=attention))
    network, side = Inter2Former(config), 96
    edges = tuple(torch.randn(2, 256 // 4**level, side // 8 * 2**level, side // 8 * 2**level) for level in range(4))
    encoded = EncodedImage(torch.randn(2, 256, side // 16, side // 16), edges)
    states = torch.ones(2, 1, side, side, dtype=torch.uint8)
    states[..., 30:60, 30:60] = 3
    with kernels.reference_only(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        expected = network.forward_training(encoded, states)
        network.cuda()
        moved = EncodedImage(encoded.embedding.cuda(), tuple(edge.cuda() for edge in edges))
        measured = network.forward_training(moved, states.cuda())
    for name in ("logits", "coarse_logits", "commitment_loss"):
        torch.testing.assert_close(getattr(measured, name).cpu(), getattr(expected, name), rtol=1e-3, atol=1e-3)
    measured.logits.square().mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
