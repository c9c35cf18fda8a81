"""Hidden patches: how many, that nothing of them can be seen, and that the loss is that of the hidden ones alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from inter2former.config import EdgeConfig, WindowedViTConfig
from inter2former.model.inter2former import Inter2Former
from inter2former.training.batches import Batch
from inter2former.training.masked_images import MaskedImages, hidden_patches, patch_pixels


@pytest.fixture
def encoder_settings(settings):
    return dataclasses.replace(settings, live_share=1.0, encoder_learning_rate=1e-3, hidden_share=0.5)


@pytest.fixture
def windowed(network):
    """The paper's kind of encoder, which sees a second, coarser scale too."""
    encoder = WindowedViTConfig(depth=2, width=32, heads=2, window=4, position_grid=4, scales=(32,), taps=(0, 1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Inter2Former(dataclasses.replace(network.config, encoder=encoder, edges=EdgeConfig()))


def batch_of(image):
    return Batch(image, None, torch.ones(len(image), 1, *image.shape[2:], dtype=torch.uint8))


@pytest.mark.parametrize(("share", "count"), [(0.75, 9), (0.0, 1), (1.0, 12)])
def test_as_many_patches_are_hidden_in_each_image(share, count):
    hidden = hidden_patches(np.random.default_rng(0), 5, (3, 4), share)
    assert hidden.shape == (5, 3, 4)
    np.testing.assert_array_equal(hidden.sum((1, 2)), count)


def test_patches_are_normalised_one_by_one():
    image = torch.randn(2, 3, 32, 48) * torch.linspace(1, 9, 48) + 5
    pixels = patch_pixels(image)
    assert pixels.shape == (2, 3 * 256, 2, 3)
    torch.testing.assert_close(pixels.mean(1), torch.zeros(2, 2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(pixels.std(1), torch.ones(2, 2, 3), atol=1e-4, rtol=0)
    patch = image[1, :, 16:, 32:]
    torch.testing.assert_close(pixels[1, :, 1, 2].view(3, 256), ((patch - patch.mean()) / patch.std()).flatten(1))


@pytest.mark.parametrize("kind", ["network", "windowed"])
def test_hidden_pixels_are_not_seen(kind, request, encoder_settings):
    objective = MaskedImages(request.getfixturevalue(kind), encoder_settings)
    image = torch.randn(1, 3, 64, 64)
    hidden = torch.from_numpy(hidden_patches(np.random.default_rng(1), 1, (4, 4), 0.5))
    cover = hidden.repeat_interleave(16, 1).repeat_interleave(16, 2)[:, None]
    other = torch.where(cover, torch.randn_like(image), image)
    with torch.no_grad():
        torch.testing.assert_close(
            objective.autoencoder(image, hidden), objective.autoencoder(other, hidden), rtol=0, atol=0
        )
        assert not torch.equal(objective.autoencoder(image, hidden), objective.autoencoder(-image, hidden))


def test_only_the_encoder_and_the_new_parts_learn(network, encoder_settings):
    objective = MaskedImages(network, encoder_settings)
    network.encoder.requires_grad_(True)  # as the optimiser does
    loss = objective.losses(batch_of(torch.randn(2, 3, 64, 64)), 0).terms["pixels"]
    loss.backward()
    learning = {name for name, value in objective.module.named_parameters() if value.grad is not None}
    assert {"shown", "head.weight", "network.encoder.stem_in.weight"} < learning
    assert all(name.startswith(("shown", "head.", "network.encoder.")) for name in learning)


def test_the_loss_is_that_of_the_hidden_patches(network, encoder_settings, monkeypatch):
    objective = MaskedImages(network, encoder_settings)
    image = torch.randn(2, 3, 64, 64)
    wanted, shown = patch_pixels(image), []

    def guess(pixels, hidden):
        shown.append(hidden)
        return torch.where(hidden[:, None], wanted + 2, wanted + 100)

    monkeypatch.setattr(objective.autoencoder, "forward", guess)
    assert objective.losses(batch_of(image), 3).terms["pixels"].item() == pytest.approx(4.0, rel=1e-5)
    objective.losses(batch_of(image), 3)
    objective.losses(batch_of(image), 4)
    objective.losses(batch_of(image), 3, piece=1)
    assert torch.equal(shown[0], shown[1])
    assert not torch.equal(shown[0], shown[2])
    assert not torch.equal(shown[0], shown[3])


def test_an_encoder_without_a_rate_is_refused(network, settings):
    with pytest.raises(ValueError, match="encoder_learning_rate is 0, but pre-training trains the encoder alone"):
        MaskedImages(network, settings)
