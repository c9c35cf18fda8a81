"""Codes for keys: a key becomes one of 2^S (paper, section on BSQ attention; vector quantisation from its ablation)."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inter2former import kernels

__all__ = ["BinarySphericalCodebook", "Codebook", "StraightThroughKeys", "VectorCodebook", "codes_used"]

COMMITMENT_WEIGHT = 0.25


class StraightThroughKeys(NamedTuple):
    """Quantised keys that carry a gradient.

    Attributes:
        keys: (..., D) the codes' keys, with the gradient of the unquantised code.
        commitment_loss: scalar, how far the keys are from what they were quantised to.
    """

    keys: Tensor
    commitment_loss: Tensor


class BinarySphericalCodebook(nn.Module):
    """Codes of S bits and the key that each stands for.

    A key is projected to S numbers; their signs are the code. The code addresses 2S vectors: vector i if bit i is
    set, vector S + i if not; their sum is the quantised key.

    The commitment alone lets all keys end in one or two codes. `balance` weighs a loss against that, which moves the
    projection and not the keys: differs from the paper, and follows the entropy term of Zhao et al., "Image and Video
    Tokenization with Binary Spherical Quantization", 2024.
    """

    corners: Tensor
    used: Tensor

    def __init__(self, width: int, bits: int, *, balance: float = 0.0) -> None:
        """Build the codebook for keys of `width` channels and codes of `bits` bits.

        In training the buffer `used` holds the number of codes that the last keys were spread over.
        """
        super().__init__()
        self.bits = bits
        self.balance = balance
        # The bits of every code, (2^S, S): a click asks for all keys, and this is the longer part of making them.
        places = torch.arange(bits - 1, -1, -1)
        codes = torch.arange(2**bits)
        self.register_buffer("corners", (codes[:, None] >> places & 1).float(), persistent=False)
        self.register_buffer("used", torch.zeros(()), persistent=False)
        self.project = nn.Linear(width, bits)
        self.vectors = nn.Parameter(torch.randn(2 * bits, width))

    def codes(self, keys: Tensor) -> Tensor:
        """The code of each key as an integer, the first projected number being the most significant bit.

        Args:
            keys: (..., D).
        Returns:
            (...) int64 in [0, 2^S).
        """
        return _numbers(kernels.linear(keys, self.project.weight, self.project.bias) >= 0)

    def all_keys(self) -> Tensor:
        """The quantised key of every code: (2^S, D)."""
        return self._address(self.corners)

    def straight_through(self, keys: Tensor) -> StraightThroughKeys:
        """Quantise for training: forward the code's key, backward through the unquantised code.

        Args:
            keys: (..., D).
        """
        code = F.normalize(self.project(keys), dim=-1)
        corner = torch.where(code >= 0, 1.0, -1.0).to(code.dtype) * self.bits**-0.5
        loss = COMMITMENT_WEIGHT * F.mse_loss(code, corner)
        if self.balance > 0:
            loss = loss + self.balance * _imbalance(F.normalize(self.project(keys.detach()), dim=-1))
        self.used.copy_(codes_used(_numbers(code.detach() >= 0), 2**self.bits))
        bits = (code + (corner - code).detach()) * (self.bits**0.5 / 2) + 0.5
        return StraightThroughKeys(self._address(bits), loss)

    def _address(self, bits: Tensor) -> Tensor:
        nothing = self.vectors.new_zeros(self.vectors.shape[1])
        return kernels.linear(torch.cat((bits, 1 - bits), dim=-1), self.vectors.T, nothing)


def _numbers(bits: Tensor) -> Tensor:
    """Numbers from their bits, the highest first: (..., S) bool to (...) int64."""
    return (bits * 2 ** torch.arange(bits.shape[-1] - 1, -1, -1, device=bits.device)).sum(-1)


def codes_used(codes: Tensor, count: int) -> Tensor:
    """The exponential of the entropy of codes: N where N of them are as frequent as each other.

    Args:
        codes: (...) int64 in [0, count).
        count: how many there are.
    Returns:
        scalar in [1, count].
    """
    counts = torch.zeros(count, device=codes.device)
    share = counts.index_add_(0, codes.flatten(), torch.ones_like(codes.flatten(), dtype=counts.dtype)) / codes.numel()
    return torch.exp(-torch.xlogy(share, share).sum())


def _imbalance(codes: Tensor) -> Tensor:
    """How far bits are from being set in every other code and independently of each other.

    Args:
        codes: (..., S) of length 1.
    Returns:
        scalar: 0 where they are, near 1 where all codes are the same.
    """
    bits = codes.flatten(0, -2) * codes.shape[-1] ** 0.5
    # Beside the products of two bits those with 1, which are the bits' means.
    bits = torch.cat((torch.ones_like(bits[:, :1]), bits), dim=1)
    moments = bits.T @ bits / len(bits)
    return (moments - moments.diag().diag()).square().sum() / (moments.numel() - len(moments))


class VectorCodebook(nn.Module):
    """Vector quantisation, which the paper's ablation compares with: a key becomes the nearest of 2^S learned vectors.

    Its table grows with 2^S where the binary-spherical one grows with S, and a vector that is nearest to no key learns
    nothing.
    """

    used: Tensor

    def __init__(self, width: int, bits: int) -> None:
        """As `BinarySphericalCodebook`, with codes of `bits` bits."""
        super().__init__()
        self.register_buffer("used", torch.zeros(()), persistent=False)
        # With the variance of an untrained key, so that many vectors are nearest to some.
        self.vectors = nn.Parameter(torch.randn(2**bits, width) * 3**-0.5)

    def codes(self, keys: Tensor) -> Tensor:
        """The number of the nearest vector: (..., D) to (...) int64 in [0, 2^S)."""
        # The square of the key's own length is the same for all vectors.
        return (self.vectors.square().sum(-1) - 2 * keys @ self.vectors.T).argmin(-1)

    def all_keys(self) -> Tensor:
        """The quantised key of every code: (2^S, D)."""
        return self.vectors

    def straight_through(self, keys: Tensor) -> StraightThroughKeys:
        """Quantise for training: forward the nearest vector, backward as if the key had passed unchanged.

        The loss pulls the vectors towards their keys, and a quarter as much the keys towards their vectors.

        Args:
            keys: (..., D).
        """
        codes = self.codes(keys)
        self.used.copy_(codes_used(codes, len(self.vectors)))
        nearest = self.vectors[codes]
        loss = F.mse_loss(nearest, keys.detach()) + COMMITMENT_WEIGHT * F.mse_loss(keys, nearest.detach())
        return StraightThroughKeys(keys + (nearest - keys).detach(), loss)


Codebook: TypeAlias = BinarySphericalCodebook | VectorCodebook
"""Both have `codes`, `all_keys` and `straight_through`."""
