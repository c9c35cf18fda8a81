"""From pixels to the network's input: statistics, channel order, padding."""

from __future__ import annotations

import numpy as np
import torch

from inter2former.config import PIXEL_MEAN, PIXEL_STD
from inter2former.model.normalise import normalised_input


def _pixels(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_default_is_rgb_and_repeats_the_border():
    pixels = _pixels(17, 30)
    image = normalised_input(pixels, stride=16)
    assert image.shape == (1, 3, 32, 32)
    expected = (pixels.astype(np.float64) - PIXEL_MEAN) / PIXEL_STD
    np.testing.assert_allclose(image[0, :, :17, :30].permute(1, 2, 0), expected, atol=1e-6)
    assert torch.equal(image[0, :, 17:], image[0, :, 16:17].expand(-1, 15, -1))
    assert torch.equal(image[0, :, :, 30:], image[0, :, :, 29:30].expand(-1, -1, 2))


def test_released_form_has_blue_first_with_the_statistics_of_red_and_zeros_beyond_the_image():
    pixels = _pixels(17, 30)
    image = normalised_input(pixels, stride=16, channel_order="bgr", padding="zero")
    assert torch.equal(image[..., :17, :30], normalised_input(pixels[..., ::-1], stride=1))
    assert not image[..., 17:, :].any()
    assert not image[..., 30:].any()


def test_whole_tokens_are_not_padded():
    pixels = _pixels(32, 16)
    assert torch.equal(normalised_input(pixels, stride=16), normalised_input(pixels, stride=16, padding="zero"))
