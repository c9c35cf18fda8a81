"""Parts without a section of their own in the paper: channel norm, SwiGLU, rotary embedding."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inter2former.kernels import reference

__all__ = [
    "ChannelAffine",
    "ChannelNorm",
    "PlaneNorm",
    "SwiGLU",
    "norm_values",
    "rotary_angles",
    "rotary_frequencies",
    "rotary_turns",
    "rotate",
    "rotate_",
    "stacked",
]


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


class PlaneNorm(nn.GroupNorm):
    """Norm over all channels and cells of a map, as released: it sees how large the map is."""

    def __init__(self, width: int) -> None:
        """Build a norm of maps of `width` channels."""
        super().__init__(1, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        if x.device.type != "cpu" or x.is_contiguous():
            return super().forward(x)
        # With channels last, PyTorch's group norm on a CPU sums a plane of 4 x 1024 x 1024 so naively that its result
        # is 0.003 off, and takes 4 times as long. To a layer norm over everything the order of the numbers is one.
        rows = x.permute(0, 2, 3, 1).flatten(2)  # (B, H, W * C)
        normal = F.layer_norm(rows, rows.shape[1:], eps=self.eps)
        weight, bias = self.weight.repeat(x.shape[3]), self.bias.repeat(x.shape[3])
        scaled = torch.addcmul(bias, normal, weight, out=None if torch.is_grad_enabled() else normal)
        return scaled.unflatten(2, (x.shape[3], x.shape[1])).permute(0, 3, 1, 2)


def norm_values(norm: nn.LayerNorm) -> reference.Norm:
    """A layer norm as the kernels take it."""
    return norm.weight, norm.bias, norm.eps


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


def stacked(samples: list[Tensor]) -> Tensor:
    """A batch of samples (B, ...); one sample alone is not copied."""
    return samples[0][None] if len(samples) == 1 else torch.stack(samples)


def rotary_angles(
    height: int,
    width: int,
    head_dim: int,
    *,
    scale: float = 0.5,
    theta: float = 10000.0,
    device: torch.device | None = None,
) -> Tensor:
    """Angles of the two-dimensional rotary embedding for a row-major token grid (paper, section on DHA).

    The first half of the angles turns with the row, the second half with the column; coordinates are token indices
    times `scale`.

    Args:
        height: rows of the token grid.
        width: columns of the token grid.
        head_dim: width of one attention head, a multiple of 4.
        scale: what a token index is multiplied by, so that a token is `scale` units from the next.
        theta: base of the frequencies; the slowest one falls towards 1 / theta.
        device: where they are computed; None: where torch makes new tensors.
    Returns:
        (height * width, head_dim / 2) float32 angles in radians, one per consecutive pair of channels.
    """
    frequency = rotary_frequencies(head_dim, theta=theta, device=device)
    rows, columns = (
        torch.arange(side, dtype=torch.float32, device=device)[:, None] * scale * frequency for side in (height, width)
    )
    grid = torch.cat(
        (rows[:, None].expand(height, width, -1), columns[None].expand(height, width, -1)),
        dim=-1,
    )
    return grid.reshape(height * width, head_dim // 2)


@lru_cache(maxsize=8)
def rotary_turns(height: int, width: int, head_dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of `rotary_angles`, kept from call to call, which all ask for the same grid."""
    # Whoever asks first must not decide that the values can never be part of training.
    with torch.inference_mode(False), torch.no_grad():
        angles = rotary_angles(height, width, head_dim, device=device)
        return angles.cos(), angles.sin()


def rotary_frequencies(head_dim: int, *, theta: float = 10000.0, device: torch.device | None = None) -> Tensor:
    """How fast each pair of channels of one axis turns, in radians per unit of distance: (head_dim / 4,) float32."""
    return theta ** (-torch.arange(0, head_dim // 2, 2, dtype=torch.float32, device=device) / (head_dim // 2))


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn consecutive channel pairs of `x` by minus `angles`, as `kernels.reference.rotate` says.

    Args:
        x: (..., N, heads, head_dim).
        angles: (N, head_dim / 2) radians.
    Returns:
        as `x`.
    """
    return reference.rotate(x, angles.cos(), angles.sin())


def rotate_(x: Tensor, angles: Tensor) -> Tensor:
    """As `rotate`, but in place and not for training: one product of complex numbers instead of seven passes.

    Args:
        x: (..., N, heads, head_dim) float32 or float64, the last dimension contiguous.
        angles: (N, head_dim / 2) radians.
    Returns:
        `x`.
    """
    angles = angles.to(x.dtype)
    torch.view_as_complex(x.unflatten(-1, (-1, 2))).mul_(torch.polar(torch.ones_like(angles), -angles)[:, None])
    return x
