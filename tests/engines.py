"""Engines for tests of sessions: a real network as small as its code allows, and one that needs no network."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from types import SimpleNamespace

import cv2
import numpy as np
import torch

from inter2former.config import ClickConfig, EdgeConfig, WindowedViTConfig, preset
from inter2former.frame import WorkingFrame
from inter2former.model.inter2former import Inter2Former
from inter2former.session.engine import Encoding, Engine

TINY_CLICKS = ClickConfig(initial_state=1, inner_radius=2, outer_radius=12, first_outer_radius=24)


@lru_cache(maxsize=1)
def tiny_engine():
    """A network with random weights and a one-block encoder, working size 64."""
    config = dataclasses.replace(
        preset("inter2former-t"),
        encoder=WindowedViTConfig(depth=1, width=32, heads=2, scales=(32,), taps=(0,)),
        edges=EdgeConfig(planes="colour", depths=(0, 0, 0, 0), skips=(0, 0, 0, 0), norm="none"),
        clicks=TINY_CLICKS,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Inter2Former(config).eval().requires_grad_(False)
    return Engine(network, size=64)


class PaperEngine:
    """An engine without a network: its logits are the blurred reference map, with noise that no click agrees with."""

    network = SimpleNamespace(config=SimpleNamespace(clicks=TINY_CLICKS))

    def __init__(self):
        self.answers = 0

    def encode(self, image):
        return Encoding(WorkingFrame.fit(image.shape[1], image.shape[0], size=64, stride=16), None, 0.01)

    def answer(self, encoding, reference_map):
        self.answers += 1
        seed = int(reference_map.astype(np.uint32).sum())
        noise = np.random.default_rng(seed).normal(0, 2, reference_map.shape)
        logits = cv2.blur((reference_map.astype(np.float32) - 1.6) * 4 + noise.astype(np.float32), (5, 5))
        # As the network's: a part of the plane, with every pixel that is definite foreground in it.
        top = 0 if (reference_map[:16] == 4).any() else 16
        right = reference_map.shape[1] - (0 if (reference_map[:, -16:] == 4).any() else 16)
        return np.ascontiguousarray(logits[top:, :right]), (0, top, right, reference_map.shape[0])
