"""Every operation that a native kernel may replace, in plain PyTorch: the definition of correct."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["code_attention", "expert_mlp", "full_attention"]


def full_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Ordinary attention of some queries over all tokens of one sample.

    Args:
        query: (S, heads, d), already rotated.
        key: (T, heads, d), already rotated.
        value: (T, heads, d).
    Returns:
        (S, heads, d).
    """
    out = F.scaled_dot_product_attention(
        query.transpose(0, 1)[None], key.transpose(0, 1)[None], value.transpose(0, 1)[None]
    )
    return out[0].transpose(0, 1)


def code_attention(query: Tensor, codes: Tensor, value: Tensor, code_keys: Tensor) -> Tensor:
    """Attention over the codes of one sample's tokens instead of the tokens (paper, section on BSQ attention).

    Tokens of one code have one key, hence one weight: it is enough to sum their values and to count them. The result
    equals attention over the tokens with their keys replaced by the codes' keys.

    Args:
        query: (S, heads, d).
        codes: (T,) int64 in [0, K), the code of every token.
        value: (T, heads, d).
        code_keys: (K, heads, d), the key of every code.
    Returns:
        (S, heads, d).
    """
    present, member = codes.unique(return_inverse=True)
    counts = torch.bincount(member, minlength=len(present)).to(value.dtype)
    sums = value.new_zeros(len(present), *value.shape[1:]).index_add_(0, member, value)
    scores = torch.einsum("shd,khd->hsk", query, code_keys[present]) * query.shape[-1] ** -0.5
    weights = scores.softmax(-1)
    total = torch.einsum("hsk,khd->shd", weights, sums)
    return total / (weights @ counts).transpose(0, 1)[..., None]


def expert_mlp(
    tokens: Tensor,
    expert: Tensor,
    weights: tuple[Tensor, Tensor, Tensor],
    biases: tuple[Tensor, Tensor, Tensor],
    norm: tuple[Tensor, Tensor, float],
) -> Tensor:
    """Run each token through its own expert, a gated MLP (paper, section on HMoE).

    Tokens are sorted by expert, so that each expert is one matrix product.

    Args:
        tokens: (M, C).
        expert: (M,) int64 in [0, E).
        weights: w1 (E, D, C), w2 (E, D, C), w3 (E, C, D).
        biases: b1 (E, D), b2 (E, D), b3 (E, C).
        norm: weight (D,), bias (D,) and epsilon of the layer norm before the last product; the experts share it.
    Returns:
        (M, C).
    """
    order = expert.argsort(stable=True)
    groups = torch.bincount(expert, minlength=weights[0].shape[0]).tolist()
    outputs = []
    for index, group in enumerate(tokens[order].split(groups)):
        if len(group):
            gate = F.silu(F.linear(group, weights[0][index], biases[0][index]))
            hidden = gate * F.linear(group, weights[1][index], biases[1][index])
            hidden = F.layer_norm(hidden, hidden.shape[-1:], norm[0], norm[1], norm[2])
            outputs.append(F.linear(hidden, weights[2][index], biases[2][index]))
    if not outputs:
        return tokens.new_zeros(tokens.shape)
    return torch.empty_like(tokens).index_copy(0, order, torch.cat(outputs))
