"""A student that equals its teacher has nothing to learn; another one comes nearer."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch

from inter2former.model.image_features import ImageFeatures
from inter2former.model.mobile_sam import MobileSam
from inter2former.training.batches import Batch
from inter2former.training.distillation import Distillation, draw_clicks


@pytest.fixture
def encoder_settings(settings):
    return dataclasses.replace(settings, live_share=1.0, encoder_learning_rate=1e-3, answer_weight=3.0)


@pytest.fixture
def teacher(network):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return MobileSam(network.config.encoder)


@pytest.fixture
def batch():
    target = torch.zeros(2, 1, 64, 64, dtype=torch.uint8)
    target[:, :, 20:40, 10:30] = 1
    return Batch(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2)), None, target)


def test_a_perfect_student(network, teacher, batch, encoder_settings):
    network.encoder = copy.deepcopy(teacher.encoder)
    losses = Distillation(network, teacher, encoder_settings).losses(batch, 0)
    assert losses.terms["features"].item() == pytest.approx(0, abs=1e-10)
    assert losses.figures["agreement"].item() == 1
    # What is left of the cross-entropy is the entropy of the teacher's own answers.
    assert losses.terms["answers"].item() > 0


def test_features_are_measured_in_the_teachers_variance(network, teacher, batch, encoder_settings, monkeypatch):
    objective = Distillation(network, teacher, encoder_settings)
    wanted = torch.randn(2, 256, 4, 4)
    monkeypatch.setattr(teacher, "encode", lambda image: 0.01 * wanted)
    monkeypatch.setattr(network.encoder, "forward", lambda image: ImageFeatures(torch.zeros_like(wanted), ()))
    assert objective.losses(batch, 0).terms["features"].item() == pytest.approx(1, rel=0.1)


def test_gradients_reach_the_student_and_nobody_else(network, teacher, batch, encoder_settings):
    objective = Distillation(network, teacher, encoder_settings)
    network.encoder.requires_grad_(True)  # as the optimiser does
    losses = objective.losses(batch, 0)
    for name in ("features", "answers"):
        network.zero_grad()
        losses.terms[name].backward(retain_graph=True)
        assert network.encoder.stem_in.weight.grad.abs().sum() > 0
        learning = {key for key, value in network.named_parameters() if value.grad is not None}
        assert all(key.startswith("encoder.") for key in learning)
    assert all(value.grad is None for value in teacher.parameters())


def test_clicks_lie_on_the_object(batch):
    target = batch.target.clone()
    target[1] = 0
    for seed in range(20):
        clicks = draw_clicks(np.random.default_rng(seed), target)
        assert clicks.shape == (2, 1, 2)
        x, y = clicks[0, 0].tolist()
        assert target[0, 0, int(y), int(x)] == 1
        assert (0 < clicks[1]).all()
        assert (clicks[1] < 64).all()
    assert torch.equal(draw_clicks(np.random.default_rng(3), target), draw_clicks(np.random.default_rng(3), target))


def test_an_encoder_without_a_rate_is_refused(network, teacher, settings):
    with pytest.raises(ValueError, match="encoder_learning_rate is 0, but distillation trains the encoder alone"):
        Distillation(network, teacher, settings)
