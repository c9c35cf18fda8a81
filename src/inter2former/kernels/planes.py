"""The reference of the operations that run over the image's planes once per image: the edge encoder's."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Convolution", "Given", "colour_planes", "convolution_net", "gaussian_taps"]


def colour_planes(image: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Five planes whose values depend neither on the padding nor on the size of the image.

    The image itself, the gradient's length and the thinned edge. Borders are replicated: a border is no edge. The
    gradient is that of the blurred image, its length summed over the channels. An edge is thin where the length exceeds
    both neighbours along the gradient, whose direction is that of the channels' sum.

    Sums are written out so that every implementation rounds alike: thinning compares lengths that are equal up to the
    last bit along straight edges.

    Args:
        image: (3, H, W) normalised.
        mean: (3,), what was subtracted from the pixels in 0..255.
        deviation: (3,), what they were divided by.
    Returns:
        (5, H, W).
    """
    pixels = ((image * deviation[:, None, None] + mean[:, None, None]) / 255).clamp(0, 1)
    taps = gaussian_taps(image.dtype).tolist()
    for pad in ((2, 2, 0, 0), (0, 0, 2, 2)):
        padded = F.pad(pixels[None], pad, mode="replicate")[0]
        dim, length = (2, pixels.shape[2]) if pad[0] else (1, pixels.shape[1])
        pixels = taps[0] * padded.narrow(dim, 0, length)
        for index in range(1, 5):
            pixels = pixels + taps[index] * padded.narrow(dim, index, length)
    p = F.pad(pixels[None], (1, 1, 1, 1), mode="replicate")[0]
    rows = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]
    columns = p[..., :-2] + 2 * p[..., 1:-1] + p[..., 2:]
    across, down = rows[..., :-2] - rows[..., 2:], columns[:, :-2] - columns[:, 2:]
    # By way of float64, because the square root of PyTorch on a CPU is not always the nearest float32.
    lengths = (across * across + down * down).to(torch.float64).sqrt().to(image.dtype)
    magnitude = lengths[0] + lengths[1] + lengths[2]
    thin = _thinned(magnitude, across[0] + across[1] + across[2], down[0] + down[1] + down[2])
    return torch.cat((image, magnitude[None], thin[None]))


def gaussian_taps(dtype: torch.dtype) -> Tensor:
    """Five taps of a Gaussian of standard deviation 1, computed in `dtype`."""
    taps = torch.exp(-(torch.arange(-2.0, 3.0, dtype=dtype) ** 2) / 2)
    return taps / taps.sum()


def _thinned(magnitude: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Keep what exceeds both neighbours along the axis that is nearest to the gradient, of four."""
    p = F.pad(magnitude[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    left_right = torch.maximum(p[1:-1, :-2], p[1:-1, 2:])
    above_below = torch.maximum(p[:-2, 1:-1], p[2:, 1:-1])
    falling = torch.maximum(p[:-2, :-2], p[2:, 2:])
    rising = torch.maximum(p[:-2, 2:], p[2:, :-2])
    x, y = across.abs(), down.abs()
    tangent = 0.41421356  # of 22.5 degrees, half a step
    diagonal = torch.where(across * down > 0, falling, rising)
    neighbour = torch.where(y <= tangent * x, left_right, torch.where(x <= tangent * y, above_below, diagonal))
    return magnitude * (magnitude > neighbour)


class Given(NamedTuple):
    """A map that a net of convolutions starts from.

    Attributes:
        map: (C, H, W).
        ones: add a channel of ones, which ends at the border as the map does.
    """

    map: Tensor
    ones: bool = False


class Convolution(NamedTuple):
    """A map that a net of convolutions makes, with zeros beyond the border of what it is made from.

    Attributes:
        source: the node that it is made from.
        weight: (D, C, k, k), k being 1 or 3.
        bias: (D,).
        stride: 1; or 2, for k = 3 without activation.
        activate: SiLU of the source first.
        residual: a node of the same shape that is added; None: nothing.
        wanted: the map is a result.
    """

    source: int
    weight: Tensor
    bias: Tensor
    stride: int = 1
    activate: bool = False
    residual: int | None = None
    wanted: bool = False


def convolution_net(nodes: tuple[Given | Convolution, ...]) -> tuple[Tensor, ...]:
    """A small net of convolutions over large maps with few channels.

    Args:
        nodes: each counts those before it from 0; their heights divide that of the first.
    Returns:
        the maps that are wanted, (D, H, W) each, in the order of the nodes.
    """
    maps: list[Tensor] = []
    for node in nodes:
        if isinstance(node, Given):
            maps.append(torch.cat((node.map, torch.ones_like(node.map[:1]))) if node.ones else node.map)
            continue
        x = F.silu(maps[node.source]) if node.activate else maps[node.source]
        x = F.conv2d(x[None], node.weight, node.bias, stride=node.stride, padding=node.weight.shape[2] // 2)[0]
        maps.append(x if node.residual is None else x + maps[node.residual])
    return tuple(made for made, node in zip(maps, nodes, strict=True) if isinstance(node, Convolution) and node.wanted)
