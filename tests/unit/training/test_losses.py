"""The focal loss is normalised per sample and ignores what it is told to."""

from __future__ import annotations

import pytest
import torch

from inter2former.training.losses import low_resolution_target, normalised_focal_loss


def example(batch=2, height=5, width=7, channels=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, channels, height, width, generator=generator)
    target = torch.randint(0, 2, (batch, 1, height, width), generator=generator, dtype=torch.uint8)
    return logits, target


def test_all_weights_of_a_sample_add_up_to_its_valid_pixels():
    # Equal logits: every weight is 1 after scaling, and the loss is half the cross-entropy.
    logits, target = torch.zeros(1, 1, 3, 5), torch.ones(1, 1, 3, 5, dtype=torch.uint8)
    assert normalised_focal_loss(logits, target).item() == pytest.approx(0.5 * 0.6931472, rel=1e-5)


def test_samples_do_not_mix():
    logits, target = example(batch=3)
    alone = torch.cat([normalised_focal_loss(logits[i : i + 1], target[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(normalised_focal_loss(logits, target), alone)


def test_ignored_pixels_change_nothing():
    logits, target = example()
    target[:, :, :, 4:] = 255
    cropped = normalised_focal_loss(logits[..., :4], target[..., :4].contiguous())
    torch.testing.assert_close(normalised_focal_loss(logits, target), cropped)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(normalised_focal_loss(logits, target).sum(), logits)
    assert not gradient[..., 4:].any()


@pytest.mark.parametrize("detach", [True, False])
def test_a_sample_without_valid_pixels_is_zero_with_zero_gradient(detach):
    logits, target = example()
    target[0] = 255
    logits.requires_grad_()
    loss = normalised_focal_loss(logits, target, detach_normaliser=detach)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert loss[0] == 0
    assert loss[1] > 0
    assert not gradient[0].any()
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("gamma", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("sign", [-1, 1])
def test_extreme_logits_stay_finite(detach, gamma, sign):
    _, target = example()
    logits = (sign * 200.0 * (2.0 * target - 1)).requires_grad_()
    loss = normalised_focal_loss(logits, target, gamma=gamma, detach_normaliser=detach)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert torch.isfinite(loss).all()
    assert torch.isfinite(gradient).all()


def test_two_channels_stand_for_their_difference():
    logits, target = example(channels=2)
    torch.testing.assert_close(
        normalised_focal_loss(logits, target), normalised_focal_loss(logits[:, 1:] - logits[:, :1], target)
    )


def test_half_precision_is_computed_in_float32():
    logits, target = example()
    halved = logits.to(torch.bfloat16)
    loss = normalised_focal_loss(halved, target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, normalised_focal_loss(halved.float(), target))


def test_loss_refusals():
    logits, target = example()
    with pytest.raises(ValueError, match=r"logits have shape \(2, 3, 5, 7\)"):
        normalised_focal_loss(example(channels=3)[0], target)
    with pytest.raises(ValueError, match=r"target has \(2, 1, 5, 7\)"):
        normalised_focal_loss(logits[..., :6], target)
    with pytest.raises(ValueError, match=r"dtype torch\.int64"):
        normalised_focal_loss(logits, target.long())
    with pytest.raises(ValueError, match=r"alpha=1\.5"):
        normalised_focal_loss(logits, target, alpha=1.5)
    with pytest.raises(ValueError, match=r"gamma=0\.5"):
        normalised_focal_loss(logits, target, gamma=0.5)


def test_low_resolution_target_keeps_small_objects():
    target = torch.zeros(1, 1, 8, 12, dtype=torch.uint8)
    target[0, 0, 5, 11] = 1
    assert low_resolution_target(target, (2, 3)).tolist() == [[[[0, 0, 0], [0, 0, 1]]]]


def test_low_resolution_target_ignores_only_cells_without_a_label():
    target = torch.full((2, 1, 4, 6), 255, dtype=torch.uint8)
    target[0, 0, 0, 0], target[0, 0, 3, 5], target[1, 0, 0, 3] = 0, 1, 0
    small = low_resolution_target(target, (2, 2))
    assert small.dtype == torch.uint8
    assert small[:, 0].tolist() == [[[0, 255], [255, 1]], [[255, 0], [255, 255]]]


def test_low_resolution_target_refusals():
    target = torch.zeros(1, 1, 8, 12, dtype=torch.uint8)
    for size in ((3, 3), (2, 5), (0, 3)):
        with pytest.raises(ValueError, match=f"8x12 target cannot be divided into a grid of {size[0]}x{size[1]}"):
            low_resolution_target(target, size)
    with pytest.raises(ValueError, match=r"shape \(8, 12\)"):
        low_resolution_target(target[0, 0], (2, 3))
