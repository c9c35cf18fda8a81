"""A network small enough to train in a test, and settings for crops of 64 pixels."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from inter2former.config import TinyViTConfig, preset
from inter2former.data.folder import open_folder
from inter2former.model.inter2former import Inter2Former
from inter2former.training.crops import CropSampler
from inter2former.training.embedding_cache import EmbeddingCache
from inter2former.training.settings import TrainingSettings


def make_network(seed=0):
    compact = preset("inter2former-t")
    config = dataclasses.replace(
        compact,
        encoder=TinyViTConfig(widths=(64, 128, 64, 64), depths=(1, 1, 1, 1), heads=(4, 2, 2)),
        decoder=dataclasses.replace(compact.decoder, depth=1, hidden=32),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Inter2Former(config)


@pytest.fixture
def network():
    """The compact preset with fewer and narrower layers; always the same weights."""
    return make_network()


@pytest.fixture
def new_network():
    """Makes that network again: `new_network(seed)`."""
    return make_network


@pytest.fixture
def settings():
    return TrainingSettings(
        steps=4,
        size=128,
        crop_sides=(64,),
        crop_weights=(1.0,),
        tokens_per_step=32,
        learning_rate=3e-3,
        warmup_steps=1,
        max_extra_clicks=2,
        min_object_pixels=20,
        log_every=1,
    )


@pytest.fixture
def make_sampler(make_folder, tmp_path):
    """Makes a sampler of two photos of discs, with embeddings of a network: `make_sampler(network, settings)`."""
    dataset = open_folder(make_folder())

    def make(network, settings):
        cache = EmbeddingCache(tmp_path / "cache", network.encoder, size=settings.size)
        return CropSampler([dataset], cache, settings)

    return make
