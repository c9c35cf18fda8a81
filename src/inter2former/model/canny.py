"""The released Canny maps of an image, without learned weights.

The planes of the compact preset are an operation, `kernels.colour_planes`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from inter2former.kernels.reference import gaussian_taps

__all__ = ["CannyMaps", "canny_maps"]

THRESHOLD = 2.0


class CannyMaps(NamedTuple):
    """The steps of the released Canny, each (B, 1, H, W) unless said otherwise.

    Attributes:
        blurred: (B, 3, H, W) in [0, 1].
        magnitude: sum over the channels of the gradient's length.
        orientation: gradient direction in degrees, multiples of 45 in [0, 360].
        thin: magnitude where it exceeds both neighbours along the gradient, else 0.
        thresholded: thin, without what is below 2.
        early: magnitude, without what is below 2.
    """

    blurred: Tensor
    magnitude: Tensor
    orientation: Tensor
    thin: Tensor
    thresholded: Tensor
    early: Tensor


def canny_maps(image: Tensor) -> CannyMaps:
    """The released edge detector's front end, zero padding at the borders included.

    Args:
        image: (B, 3, H, W) float in [0, 1].
    """
    # Taps and Sobel filter as released, to the last bit, because in flat areas the direction is that of the rounding
    # error: where taps or sums round otherwise, edge maps change by up to 0.008 and mask logits by up to 0.003.
    blurred = _blur(image, taps=gaussian_taps(torch.float64))
    across, down = _convolved_sobel(blurred)
    magnitude = (across**2 + down**2).sqrt().sum(1, keepdim=True)
    angle = torch.atan2(down.sum(1, keepdim=True), across.sum(1, keepdim=True)) * (180 / torch.pi) + 180
    orientation = (angle / 45).round() * 45
    thin = _thin_by_direction(magnitude, (orientation / 45).to(torch.int64))
    return CannyMaps(blurred, magnitude, orientation, thin, _at_least_threshold(thin), _at_least_threshold(magnitude))


def _blur(image: Tensor, *, taps: Tensor) -> Tensor:
    """Convolve every channel with five taps across, then down."""
    taps, channels = taps.to(image), image.shape[1]
    padded = F.pad(image, (2, 2, 0, 0))
    image = F.conv2d(padded, taps.view(1, 1, 1, 5).expand(channels, 1, 1, 5), groups=channels)
    padded = F.pad(image, (0, 0, 2, 2))
    return F.conv2d(padded, taps.view(1, 1, 5, 1).expand(channels, 1, 5, 1), groups=channels)


def _convolved_sobel(image: Tensor) -> tuple[Tensor, Tensor]:
    """Differences across and down, left minus right and above minus below, summed in the order of a 3x3 convolution."""
    channels = image.shape[1]
    kernel = image.new_tensor(((1, 0, -1), (2, 0, -2), (1, 0, -1)))
    across, down = (k.expand(channels, 1, 3, 3) for k in (kernel, kernel.T))
    return F.conv2d(image, across, padding=1, groups=channels), F.conv2d(image, down, padding=1, groups=channels)


def _thin_by_direction(magnitude: Tensor, direction: Tensor) -> Tensor:
    """Keep what exceeds both neighbours along the direction, in steps of 45 degrees (0..8, 8 being 0 again).

    Outside the image the magnitude is 0. Directions turn from right to down.
    """
    p = F.pad(magnitude, (1, 1, 1, 1))
    steps = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
    height, width = magnitude.shape[-2:]
    excess = torch.cat(
        [magnitude - p[..., 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in steps], dim=1
    )
    ahead = excess.gather(1, direction % 8)
    behind = excess.gather(1, (direction + 4) % 8)
    return torch.where(torch.minimum(ahead, behind) > 0, magnitude, torch.zeros_like(magnitude))


def _at_least_threshold(x: Tensor) -> Tensor:
    return torch.where(x < THRESHOLD, torch.zeros_like(x), x)
