"""Edge encoder: image to edge maps at four scales, which the upsampler adds on its way to full resolution."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inter2former import kernels
from inter2former.config import PIXEL_MEAN, PIXEL_STD, EdgeConfig
from inter2former.model.canny import canny_maps
from inter2former.model.layers import PlaneNorm, stacked
from inter2former.model.winograd import WinogradConvolution

__all__ = ["EdgeEncoder", "ResidualBlock"]

PLANES = 5


class EdgeEncoder(nn.Module):
    """Planes computed from the image, a small residual net over them, and maps taken over from the image encoder.

    Level i has the resolution 1 / 2^i and 4^(i+1) channels. The last layer of each contribution starts at zero, so
    that an untrained edge encoder changes nothing.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: EdgeConfig) -> None:
        """Build the encoder that `config` describes."""
        super().__init__()
        self.config = config
        widths = [4 ** (level + 1) for level in range(len(config.skips))]
        own = widths[: len(config.depths)]
        self.stem = nn.Conv2d(PLANES, widths[0], 3, padding=1)
        self.levels = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width, config.norm) for _ in range(depth)))
            for width, depth in zip(own, config.depths, strict=True)
        )
        self.downsamplers = nn.ModuleList(
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairwise(own)
        )
        self.laterals = nn.ModuleList(_zero_convolution(width, width) for width in own)
        self.skip_laterals = nn.ModuleDict(
            {
                str(level): _zero_convolution(channels, widths[level])
                for level, channels in enumerate(config.skips)
                if channels
            }
        )
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(PIXEL_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor, skips: tuple[Tensor, ...] = ()) -> tuple[Tensor, ...]:
        """Compute the edge maps.

        Args:
            image: (B, 3, H, W) normalised; H and W are multiples of 16.
            skips: the image encoder's finer maps, fine to coarse, one for each non-zero entry of `config.skips`.
        Returns:
            edge maps coarse to fine: (B, 256, H/8, W/8), (B, 64, H/4, W/4), (B, 16, H/2, W/2), (B, 4, H, W).
        """
        maps: list[Tensor] = []
        x = self.stem(self.planes(image))
        for index, (level, lateral) in enumerate(zip(self.levels, self.laterals, strict=True)):
            x = level(self.downsamplers[index - 1](x) if index else x)
            maps.append(lateral(x))
        for (name, lateral), skip in zip(self.skip_laterals.items(), skips, strict=True):
            level_index = int(name)
            if level_index < len(maps):
                maps[level_index] = maps[level_index] + lateral(skip)
            else:
                maps.append(lateral(skip))
        return tuple(reversed(maps))

    def planes(self, image: Tensor) -> Tensor:
        """The (B, 5, H, W) planes that the net sees, from the normalised image."""
        if self.config.planes == "colour":
            return stacked([kernels.colour_planes(sample, self.mean.flatten(), self.std.flatten()) for sample in image])
        maps = canny_maps(((image * self.std + self.mean) / 255).clamp(0, 1))
        planes = torch.cat((maps.magnitude, maps.orientation, maps.thin, maps.thresholded, maps.early), dim=1)
        return F.normalize(planes.flatten(2), dim=-1, eps=1e-12).view_as(planes)


class ResidualBlock(nn.Module):
    """Norm, SiLU, 3x3, twice, added to the input."""

    def __init__(self, width: int, norm: str) -> None:
        """Build a block of `width` channels; `norm` as in `EdgeConfig`."""
        super().__init__()
        self.norm1 = PlaneNorm(width) if norm == "group" else nn.Identity()
        self.conv1 = WinogradConvolution(width, width)
        self.norm2 = PlaneNorm(width) if norm == "group" else nn.Identity()
        self.conv2 = WinogradConvolution(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        y = self.conv1(_activated(x, self.norm1))
        y = self.conv2(_activated(y, self.norm2))
        return x + y if torch.is_grad_enabled() else y.add_(x)


def _activated(x: Tensor, norm: nn.Module) -> Tensor:
    """SiLU of the norm of a map."""
    # In place where nobody needs the norm: at 2048 px the system takes longer to give a new map than silu to fill it.
    normal = norm(x)
    return F.silu(normal, inplace=normal is not x and not torch.is_grad_enabled())


def _zero_convolution(width_in: int, width_out: int) -> nn.Conv2d:
    layer = nn.Conv2d(width_in, width_out, 1)
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
