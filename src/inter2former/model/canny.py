"""Gradient planes of an image, without learned weights: the released Canny maps and those of the compact preset."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["CannyMaps", "canny_maps", "colour_planes", "gaussian_taps"]

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
    blurred = _blur(image, padding="constant", taps=gaussian_taps(torch.float64))
    across, down = _convolved_sobel(blurred)
    magnitude = (across**2 + down**2).sqrt().sum(1, keepdim=True)
    angle = torch.atan2(down.sum(1, keepdim=True), across.sum(1, keepdim=True)) * (180 / torch.pi) + 180
    orientation = (angle / 45).round() * 45
    thin = _thin_by_direction(magnitude, (orientation / 45).to(torch.int64))
    return CannyMaps(blurred, magnitude, orientation, thin, _at_least_threshold(thin), _at_least_threshold(magnitude))


def colour_planes(image: Tensor, normalised: Tensor) -> Tensor:
    """Five planes whose values depend neither on the padding nor on the size of the image.

    The image itself, the gradient's length and the thinned edge. Borders are replicated: a border is no edge. The
    gradient comes from the channel-wise Sobel filter, the direction from the channels' sum, as in `canny_maps`.

    Args:
        image: (B, 3, H, W) float in [0, 1].
        normalised: (B, 3, H, W) the same image as the encoder gets it.
    Returns:
        (B, 5, H, W).
    """
    blurred = _blur(image, padding="replicate", taps=gaussian_taps(image.dtype))
    across, down = _sobel(blurred, padding="replicate")
    magnitude = (across**2 + down**2).sqrt().sum(1, keepdim=True)
    thin = _thin_by_axis(magnitude, across.sum(1, keepdim=True), down.sum(1, keepdim=True))
    return torch.cat((normalised, magnitude, thin), dim=1)


def gaussian_taps(dtype: torch.dtype) -> Tensor:
    """Five taps of a Gaussian of standard deviation 1, computed in `dtype`."""
    taps = torch.exp(-(torch.arange(-2.0, 3.0, dtype=dtype) ** 2) / 2)
    return taps / taps.sum()


def _blur(image: Tensor, *, padding: str, taps: Tensor) -> Tensor:
    """Convolve every channel with five taps across, then down."""
    taps, channels = taps.to(image), image.shape[1]
    padded = F.pad(image, (2, 2, 0, 0), mode=padding)
    image = F.conv2d(padded, taps.view(1, 1, 1, 5).expand(channels, 1, 1, 5), groups=channels)
    padded = F.pad(image, (0, 0, 2, 2), mode=padding)
    return F.conv2d(padded, taps.view(1, 1, 5, 1).expand(channels, 1, 5, 1), groups=channels)


def _convolved_sobel(image: Tensor) -> tuple[Tensor, Tensor]:
    """As `_sobel` over zero padding, summed in the order of a 3x3 convolution."""
    channels = image.shape[1]
    kernel = image.new_tensor(((1, 0, -1), (2, 0, -2), (1, 0, -1)))
    across, down = (k.expand(channels, 1, 3, 3) for k in (kernel, kernel.T))
    return F.conv2d(image, across, padding=1, groups=channels), F.conv2d(image, down, padding=1, groups=channels)


def _sobel(image: Tensor, *, padding: str) -> tuple[Tensor, Tensor]:
    """Differences across and down, left minus right and above minus below, by plain slices: the taps are 1 and 2."""
    p = F.pad(image, (1, 1, 1, 1), mode=padding)
    rows = p[..., :-2, :] + 2 * p[..., 1:-1, :] + p[..., 2:, :]
    columns = p[..., :-2] + 2 * p[..., 1:-1] + p[..., 2:]
    return rows[..., :-2] - rows[..., 2:], columns[..., :-2, :] - columns[..., 2:, :]


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


def _thin_by_axis(magnitude: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """As `_thin_by_direction`, but without angles: the axis follows from the ratio of the two differences."""
    p = F.pad(magnitude, (1, 1, 1, 1), mode="replicate")
    left_right = torch.maximum(p[..., 1:-1, :-2], p[..., 1:-1, 2:])
    above_below = torch.maximum(p[..., :-2, 1:-1], p[..., 2:, 1:-1])
    falling = torch.maximum(p[..., :-2, :-2], p[..., 2:, 2:])
    rising = torch.maximum(p[..., :-2, 2:], p[..., 2:, :-2])
    x, y = across.abs(), down.abs()
    tangent = 0.41421356  # of 22.5 degrees, half a step
    diagonal = torch.where(across * down > 0, falling, rising)
    neighbour = torch.where(y <= tangent * x, left_right, torch.where(x <= tangent * y, above_below, diagonal))
    return magnitude * (magnitude > neighbour)


def _at_least_threshold(x: Tensor) -> Tensor:
    return torch.where(x < THRESHOLD, torch.zeros_like(x), x)
