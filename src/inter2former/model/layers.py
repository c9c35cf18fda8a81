"""Parts without a section of their own in the paper: channel norm, SwiGLU, rotary embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ChannelAffine", "ChannelNorm", "SwiGLU", "rotary_angles", "rotate"]


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a map, cell by cell: it does not see how large the map is."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ChannelAffine(nn.Module):
    """A scale and a shift per channel."""

    def __init__(self, width: int) -> None:
        """Build it as the identity."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class SwiGLU(nn.Module):
    """Gated MLP with a norm before the last layer: `W3 norm(silu(W1 x) * (W2 x))`.

    The norm is handed in because the experts of one layer share it (paper, section on HMoE).
    """

    def __init__(self, width: int, hidden: int) -> None:
        """Build a gated MLP from `width` to `hidden` and back."""
        super().__init__()
        self.w1 = nn.Linear(width, hidden)
        self.w2 = nn.Linear(width, hidden)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, x: Tensor, norm: nn.LayerNorm) -> Tensor:
        """Map tokens (..., width) to the same shape; `norm` acts on (..., hidden)."""
        return self.w3(norm(F.silu(self.w1(x)) * self.w2(x)))


def rotary_angles(height: int, width: int, head_dim: int, *, scale: float = 0.5, theta: float = 10000.0) -> Tensor:
    """Angles of the two-dimensional rotary embedding for a row-major token grid (paper, section on DHA).

    The first half of the angles turns with the row, the second half with the column; coordinates are token indices
    times `scale`.

    Args:
        height: rows of the token grid.
        width: columns of the token grid.
        head_dim: width of one attention head, a multiple of 4.
        scale: what a token index is multiplied by, so that a token is `scale` units from the next.
        theta: base of the frequencies; the slowest one falls towards 1 / theta.
    Returns:
        (height * width, head_dim / 2) float32 angles in radians, one per consecutive pair of channels.
    """
    frequency = theta ** (-torch.arange(0, head_dim // 2, 2, dtype=torch.float32) / (head_dim // 2))
    rows = torch.arange(height, dtype=torch.float32)[:, None] * scale * frequency
    columns = torch.arange(width, dtype=torch.float32)[:, None] * scale * frequency
    grid = torch.cat(
        (rows[:, None].expand(height, width, -1), columns[None].expand(height, width, -1)),
        dim=-1,
    )
    return grid.reshape(height * width, head_dim // 2)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn consecutive channel pairs of `x` by minus `angles`.

    Minus is the released convention, and weights depend on it: attention only sees differences of angles, but the other
    sign would mirror them, a token to the left taking the place of one to the right.

    Args:
        x: (..., N, heads, head_dim).
        angles: (N, head_dim / 2) radians.
    Returns:
        as `x`.
    """
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos + odd * sin, odd * cos - even * sin), dim=-1).flatten(-2)
