"""Dynamic hybrid attention (DHA): full attention for boundary tokens, attention over codes for the rest."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inter2former import kernels
from inter2former.model.codebook import BinarySphericalCodebook
from inter2former.model.layers import rotary_angles, rotate

__all__ = ["AttentionTraining", "HybridAttention"]


class AttentionTraining(NamedTuple):
    """What attention gives in training.

    Attributes:
        tokens: (B, T, C).
        commitment_loss: scalar.
    """

    tokens: Tensor
    commitment_loss: Tensor


class HybridAttention(nn.Module):
    """One attention whose boundary tokens see all tokens and whose interior tokens see the codes of all tokens.

    Boundary tokens: rotary positions, unquantised keys. Interior tokens: no positions, quantised keys. Both read the
    same query, key and value and share the output projection.
    """

    def __init__(self, width: int, *, downscale: int, code_bits: int, heads: int = 1) -> None:
        """Build the attention at `width / downscale` channels."""
        super().__init__()
        inner = width // downscale
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * inner)
        self.project = nn.Linear(inner, width)
        self.codebook = BinarySphericalCodebook(inner, code_bits)

    def forward(self, tokens: Tensor, boundary: Tensor) -> Tensor:
        """Attend within each sample.

        Args:
            tokens: (B, T, C), T = h * w in row-major order.
            boundary: (B, h, w) bool.
        Returns:
            (B, T, C).
        """
        angles = self._angles(boundary)
        code_keys = self._split(self.codebook.all_keys())
        out = []
        for sample, flags in zip(self.query_key_value(tokens), boundary.flatten(1), strict=True):
            query, key, value = (self._split(part) for part in sample.chunk(3, dim=-1))
            at, rest = flags.nonzero()[:, 0], (~flags).nonzero()[:, 0]
            mixed = torch.empty_like(query)
            mixed[at] = kernels.full_attention(rotate(query[at], angles[at]), rotate(key, angles), value)
            codes = self.codebook.codes(key.flatten(1))
            mixed[rest] = kernels.code_attention(query[rest], codes, value, code_keys)
            out.append(mixed.flatten(1))
        return self.project(torch.stack(out))

    def forward_training(self, tokens: Tensor, boundary: Tensor) -> AttentionTraining:
        """Attend with gradients: both kinds for every token, then the one that applies.

        Dense, so that a batch is one call; the keys of interior tokens carry the straight-through gradient.

        Args:
            tokens: (B, T, C).
            boundary: (B, h, w) bool.
        """
        query, key, value = (self._split(part) for part in self.query_key_value(tokens).chunk(3, dim=-1))
        angles = self._angles(boundary)
        full = _dense_attention(rotate(query, angles), rotate(key, angles), value)
        quantised = self.codebook.straight_through(key.flatten(2))
        coded = _dense_attention(query, self._split(quantised.keys), value)
        mixed = torch.where(boundary.flatten(1)[..., None], full, coded)
        return AttentionTraining(self.project(mixed), quantised.commitment_loss)

    def _angles(self, boundary: Tensor) -> Tensor:
        head_dim = self.project.in_features // self.heads
        return rotary_angles(boundary.shape[1], boundary.shape[2], head_dim).to(boundary.device)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))


def _dense_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of (B, T, heads, d) over the same tokens: (B, T, heads * d)."""
    out = F.scaled_dot_product_attention(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2))
    return out.transpose(1, 2).flatten(2)
