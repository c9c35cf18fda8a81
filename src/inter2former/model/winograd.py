"""3x3 convolution with a quarter of the products, for wide maps on a CPU.

Method: Winograd's minimal filtering F(4x4, 3x3), after Lavin and Gray, "Fast Algorithms for Convolutional Neural
Networks", CVPR 2016. A map is cut into tiles of 6x6 that overlap by two; tiles and kernels are transformed by small
matrices with few non-zero entries; what was a convolution is then a product of channels at each of 36 places, so 36
matrix products take the place of 16 * 9 multiplications for each 4x4 of the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["WinogradConvolution", "kernel_tiles", "winograd_convolution"]

TILE = 4
REACH = 6

# More input channels than this and the products outweigh the transforms: 256 channels 2.2 times as fast as a direct
# convolution on one Zen 3 core, 64 channels no faster.
LEAST_CHANNELS = 128

STRIP_FLOATS = 2**21
"""Transformed numbers at a time: their 8 MB and as many of the result stay in the cache."""

_KERNEL_TRANSFORM = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)


class WinogradConvolution(nn.Conv2d):
    """A 3x3 convolution with padding 1 that takes the short way in inference on a CPU, if it has many channels."""

    def __init__(self, width_in: int, width_out: int) -> None:
        """Build a convolution of `width_in` to `width_out` channels; initialised as `nn.Conv2d`."""
        super().__init__(width_in, width_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width_in, H, W) to (B, width_out, H, W)."""
        direct = torch.is_grad_enabled() or x.device.type != "cpu" or self.in_channels < LEAST_CHANNELS
        if direct or self.bias is None:
            return super().forward(x)
        return winograd_convolution(x, kernel_tiles(self.weight), self.bias)


def kernel_tiles(weight: Tensor) -> Tensor:
    """Transform kernels (O, I, 3, 3) to (36, I, O)."""
    transform = weight.new_tensor(_KERNEL_TRANSFORM)
    kernels = weight.permute(2, 3, 1, 0).flatten(0, 1)  # (9, I, O)
    return (torch.kron(transform, transform) @ kernels.flatten(1)).unflatten(1, kernels.shape[1:])


def winograd_convolution(x: Tensor, tiles: Tensor, bias: Tensor) -> Tensor:
    """Equal to `F.conv2d(x, weight, bias, padding=1)` up to rounding, which is about three times as large.

    Args:
        x: (B, I, H, W) float.
        tiles: from `kernel_tiles(weight)`.
        bias: (O,).
    Returns:
        (B, O, H, W) in channels-last memory.
    """
    height, width = x.shape[2:]
    rows, columns = -(-height // TILE), -(-width // TILE)
    # One pixel of zeros around, as for the direct convolution, and at the right and bottom up to whole tiles.
    padding = (0, 0, 1, 1 + columns * TILE - width, 1, 1 + rows * TILE - height)
    padded = F.pad(x.permute(0, 2, 3, 1), padding)
    out = x.new_empty(len(x), rows * TILE, columns * TILE, len(bias))
    step = max(1, STRIP_FLOATS // (REACH**2 * columns * max(tiles.shape[1:])))
    for sample, plane in zip(out, padded, strict=True):
        for first in range(0, rows, step):
            top, bottom = first * TILE, min(first + step, rows) * TILE
            _convolve_strip(plane[top : bottom + 2], tiles, sample[top:bottom])
    out = out[:, :height, :width].add_(bias)
    return out.permute(0, 3, 1, 2)


def _convolve_strip(plane: Tensor, tiles: Tensor, out: Tensor) -> None:
    """Rows of tiles: (4r + 2, 4c + 2, I) to (4r, 4c, O)."""
    rows, columns = out.shape[0] // TILE, out.shape[1] // TILE
    half = plane.new_empty(REACH, rows, plane.shape[1], plane.shape[2])
    _transform_input([plane[i::TILE][:rows] for i in range(REACH)], half)
    data = plane.new_empty(REACH, REACH, rows, columns, plane.shape[2])
    _transform_input([half[:, :, i::TILE][:, :, :columns] for i in range(REACH)], data.unbind(1))
    products = torch.bmm(data.view(REACH**2, rows * columns, -1), tiles).view(REACH, REACH, rows, columns, -1)
    half = plane.new_empty(TILE, *products.shape[1:])
    _transform_output(products, half)
    cells = out.unflatten(1, (columns, TILE)).unflatten(0, (rows, TILE))  # (r, 4, c, 4, O)
    _transform_output(half.unbind(1), cells.permute(3, 1, 0, 2, 4))


def _transform_input(d: Sequence[Tensor] | Tensor, out: Sequence[Tensor] | Tensor) -> None:
    """Six places of the input along one axis to six sums of them."""
    torch.add(torch.add(d[4], d[2], alpha=-5), d[0], alpha=4, out=out[0])
    even, odd = torch.add(d[4], d[2], alpha=-4), torch.add(d[3], d[1], alpha=-4)
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])
    even, odd = d[4] - d[2], d[3] - d[1]
    torch.add(even, odd, alpha=2, out=out[3])
    torch.add(even, odd, alpha=-2, out=out[4])
    torch.add(torch.add(d[5], d[3], alpha=-5), d[1], alpha=4, out=out[5])


def _transform_output(m: Sequence[Tensor] | Tensor, out: Sequence[Tensor] | Tensor) -> None:
    """Six places of the products along one axis to four places of the result."""
    sum_1, sum_2, difference_1, difference_2 = m[1] + m[2], m[3] + m[4], m[1] - m[2], m[3] - m[4]
    torch.add(sum_1, sum_2, out=out[0]).add_(m[0])
    torch.add(difference_1, difference_2, alpha=2, out=out[1])
    torch.add(sum_1, sum_2, alpha=4, out=out[2])
    torch.add(difference_1, difference_2, alpha=8, out=out[3]).add_(m[5])
