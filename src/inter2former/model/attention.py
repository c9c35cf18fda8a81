"""Dynamic hybrid attention (DHA): full attention for boundary tokens, attention over codes for the rest.

The paper's ablation gives all tokens the one or the other; all three read the same query, key and value.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inter2former import kernels
from inter2former.config import DecoderConfig
from inter2former.model.boundary import TokenSplit
from inter2former.model.codebook import BinarySphericalCodebook, Codebook, VectorCodebook
from inter2former.model.layers import norm_values, rotary_angles, rotary_turns, rotate, stacked

__all__ = ["AttentionTraining", "CodeAttention", "FullAttention", "HybridAttention", "TokenAttention", "attention"]


class AttentionTraining(NamedTuple):
    """What attention gives in training.

    Attributes:
        tokens: (B, T, C).
        commitment_loss: scalar.
    """

    tokens: Tensor
    commitment_loss: Tensor


class FullAttention(nn.Module):
    """Every token sees all tokens, with rotary positions."""

    def __init__(self, width: int, inner: int, *, heads: int = 1) -> None:
        """Build an attention of tokens of `width` channels at `inner` channels."""
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * inner)
        self.project = nn.Linear(inner, width)

    def forward(self, tokens: Tensor, split: TokenSplit) -> Tensor:
        """Attend within each sample.

        Args:
            tokens: (B, T, C), T = h * w in row-major order.
            split: which of them are boundary tokens.
        Returns:
            (B, T, C).
        """
        return self.project(self._attended(self.query_key_value(tokens), split))

    def add_to(self, tokens: Tensor, norm: nn.LayerNorm, split: TokenSplit) -> Tensor:
        """`tokens + self(norm(tokens), split)`, with norm and sum as part of the products: how a block infers."""
        projected = kernels.linear(tokens, self.query_key_value.weight, self.query_key_value.bias, norm_values(norm))
        attended = self._attended(projected, split)
        return kernels.linear(attended, self.project.weight, self.project.bias, residual=tokens)

    def forward_training(self, tokens: Tensor, split: TokenSplit) -> AttentionTraining:
        """As `forward`; there is nothing to commit to."""
        return AttentionTraining(self(tokens, split), tokens.new_zeros(()))

    def _attended(self, projected: Tensor, split: TokenSplit) -> Tensor:
        """What tokens see: (B, T, 3 heads d), query, key and value side by side, to (B, T, heads d)."""
        query, key, value = self._parts(projected)
        return _full(query, key, value, self._angles(split))

    def _parts(self, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value, each (B, T, heads, d)."""
        query, key, value = (self._split(part) for part in projected.chunk(3, dim=-1))
        return query, key, value

    def _angles(self, split: TokenSplit) -> Tensor:
        height, width = split.flags.shape[1:]
        return rotary_angles(height, width, self.project.in_features // self.heads, device=split.flags.device)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))


class CodeAttention(FullAttention):
    """Every token sees the codes of all tokens, without positions."""

    def __init__(self, width: int, inner: int, codebook: Codebook, *, heads: int = 1) -> None:
        """Build an attention of tokens of `width` channels at `inner` channels, the codebook's."""
        super().__init__(width, inner, heads=heads)
        self.codebook = codebook

    def forward_training(self, tokens: Tensor, split: TokenSplit) -> AttentionTraining:
        """Attend with gradients, which reach the keys straight through their codes."""
        query, key, value = self._parts(self.query_key_value(tokens))
        quantised = self.codebook.straight_through(key.flatten(2))
        coded = _dense_attention(query, self._split(quantised.keys), value)
        return AttentionTraining(self.project(coded), quantised.commitment_loss)

    def _attended(self, projected: Tensor, split: TokenSplit) -> Tensor:
        height, width = split.flags.shape[1:]
        turns = rotary_turns(height, width, self.project.in_features // self.heads, projected.device)
        code_keys = self._split(self.codebook.all_keys())
        attended = [
            kernels.hybrid_attention(
                query, key, value, turns, boundary, interior, self.codebook.codes(key.flatten(1)), code_keys
            )
            for query, key, value, boundary, interior in zip(*self._parts(projected), *self._places(split), strict=True)
        ]
        return stacked(attended).flatten(2)

    def _places(self, split: TokenSplit) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """For each sample the tokens that see all tokens, none here, and those that see codes."""
        tokens = torch.arange(split.flags[0].numel(), device=split.flags.device)
        return (tokens[:0],) * len(split.flags), (tokens,) * len(split.flags)


class HybridAttention(CodeAttention):
    """Boundary tokens see all tokens, with rotary positions; interior tokens see the codes of all tokens, without.

    Both read the same query, key and value and share the output projection.
    """

    def forward_training(self, tokens: Tensor, split: TokenSplit) -> AttentionTraining:
        """Attend with gradients: both kinds for every token, then the one that applies, so that a batch is one call."""
        query, key, value = self._parts(self.query_key_value(tokens))
        full = _full(query, key, value, self._angles(split))
        quantised = self.codebook.straight_through(key.flatten(2))
        coded = _dense_attention(query, self._split(quantised.keys), value)
        mixed = torch.where(split.flags.flatten(1)[..., None], full, coded)
        return AttentionTraining(self.project(mixed), quantised.commitment_loss)

    def _places(self, split: TokenSplit) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        return split.boundary, split.interior


TokenAttention: TypeAlias = HybridAttention | FullAttention | CodeAttention


def attention(config: DecoderConfig) -> TokenAttention:
    """Build the attention that `config` names; the weights are random."""
    inner = config.width // config.downscale
    if config.attention == "full":
        return FullAttention(config.width, inner)
    codebook = (
        VectorCodebook(inner, config.code_bits)
        if config.attention == "vq"
        else BinarySphericalCodebook(inner, config.code_bits, balance=config.code_balance)
    )
    return (CodeAttention if config.attention == "bsq" else HybridAttention)(config.width, inner, codebook)


def _full(query: Tensor, key: Tensor, value: Tensor, angles: Tensor) -> Tensor:
    """Attention with rotary positions of (B, T, heads, d) over the same tokens: (B, T, heads * d)."""
    return _dense_attention(rotate(query, angles), rotate(key, angles), value)


def _dense_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of (B, T, heads, d) over the same tokens: (B, T, heads * d)."""
    out = F.scaled_dot_product_attention(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2))
    return out.transpose(1, 2).flatten(2)
