"""The losses of a session's last answers, and gradients where they are wanted."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from inter2former.model.inter2former import EncodedImage
from inter2former.training.clicking import Clicking
from inter2former.training.interaction import SimulatedInteraction
from inter2former.training.losses import normalised_focal_loss
from inter2former.training.optimiser import ScheduledAdamW


@pytest.fixture
def batch(network, settings, make_sampler):
    return make_sampler(network, settings).batch(0)


def step_with_rounds(batch, network, settings, rounds):
    """A step whose draws say that so many clicks follow the first."""
    return next(
        step
        for step in range(200)
        if SimulatedInteraction(batch.target, network.config.clicks, settings, step=step).rounds == rounds
    )


def mask_losses(network, batch, settings, step):
    """The mask loss of each answer of a session, first to last, one `Clicking` at a time."""
    clicking = Clicking(network, settings)
    features = clicking._features(batch.image, batch.embedding)
    edges = network.edge_encoder(batch.image, features.skips)
    encoded = EncodedImage(network.embedding_norm(features.embedding), edges)
    users = SimulatedInteraction(batch.target, network.config.clicks, settings, step=step)
    losses = []
    for _ in range(users.rounds + 1):
        logits = network.forward_training(encoded, users.reference_maps()).logits
        losses.append(float(normalised_focal_loss(logits, batch.target).mean().detach()))
        users.answered((logits[:, 0] > 0).unbind())
    return losses


def test_all_answers_are_learned_from(network, new_network, settings, batch):
    every = dataclasses.replace(settings, learned_answers=3)
    step = step_with_rounds(batch, network, every, 2)
    expected = mask_losses(network, batch, every, step)
    assert len(set(expected)) == 3
    # A new network: learning moves the balance of the experts.
    found = Clicking(new_network(), every).losses(batch, step).terms["mask"]
    assert float(found.detach()) == pytest.approx(sum(expected) / 3, rel=1e-5)


def test_sessions_shorter_than_what_is_learned(network, new_network, settings, batch):
    step = step_with_rounds(batch, network, settings, 0)
    one, many = (
        Clicking(new_network(), dataclasses.replace(settings, learned_answers=count)).losses(batch, step).terms["mask"]
        for count in (1, 5)
    )
    assert float(one.detach()) == float(many.detach())


def test_frozen_layers_get_no_gradient_and_the_others_the_same(network, new_network, settings, batch):
    live = dataclasses.replace(settings, encoder_learning_rate=1e-3, live_share=1.0)
    batch = batch._replace(embedding=None)
    gradients = []
    for trained, frozen in ((network, 0), (new_network(), 3)):
        chosen = dataclasses.replace(live, encoder_frozen_layers=frozen)
        ScheduledAdamW(trained, trained.encoder, chosen)
        torch.stack(list(Clicking(trained, chosen).losses(batch, 1).terms.values())).sum().backward()
        gradients.append({name: parameter.grad for name, parameter in trained.encoder.named_parameters()})
    every, some = gradients
    assert some["stem_in.weight"] is None
    assert some["local_stage.0.expand.weight"] is None
    assert every["stem_in.weight"].abs().max() > 0
    for name in ("window_stages.1.0.widen.weight", "neck.2.weight"):
        assert every[name].abs().max() > 0
        torch.testing.assert_close(some[name], every[name], rtol=1e-4, atol=1e-7)
