"""Every operation that a native kernel may replace, in plain PyTorch: the definition of correct.

Those that run over the image once, before the first click, are in `planes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from inter2former.kernels.planes import Convolution, Given, colour_planes, convolution_net, gaussian_taps

__all__ = [
    "OPERATIONS",
    "Convolution",
    "Experts",
    "Given",
    "Norm",
    "Samples",
    "boundary_tokens",
    "code_attention",
    "colour_planes",
    "convolution_net",
    "embed_prompt",
    "expert_mlp",
    "full_attention",
    "gaussian_taps",
    "hybrid_attention",
    "hybrid_experts",
    "interpolated_mask",
    "linear",
    "rotate",
    "tokens_with",
    "upsample",
]

OPERATIONS = (
    "boundary_tokens",
    "code_attention",
    "colour_planes",
    "convolution_net",
    "embed_prompt",
    "expert_mlp",
    "full_attention",
    "hybrid_attention",
    "hybrid_experts",
    "interpolated_mask",
    "linear",
    "tokens_with",
    "upsample",
)
"""The names of the operations."""

Norm: TypeAlias = tuple[Tensor, Tensor, float]
"""Weight (C,), bias (C,) and epsilon of a layer norm."""


Samples: TypeAlias = tuple[Tensor, Tensor]
"""Where the pixels of one axis read: index (N,) int64 of a value, and the share (N,) of the one after it."""


class Experts(NamedTuple):
    """Gated MLPs of equal shape, `W3 norm(silu(W1 x) * (W2 x))`.

    Attributes:
        weights: w1 (E, D, C), w2 (E, D, C), w3 (E, C, D).
        biases: b1 (E, D), b2 (E, D), b3 (E, C).
        norm: of the D channels before the last product; the experts share it.
    """

    weights: tuple[Tensor, Tensor, Tensor]
    biases: tuple[Tensor, Tensor, Tensor]
    norm: Norm


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    norm: Norm | None = None,
    residual: Tensor | None = None,
    *,
    activate: bool = False,
    places: Tensor | None = None,
) -> Tensor:
    """A linear layer with what stands around it: `residual + activation(weight norm(x) + bias)`.

    Args:
        x: (..., C).
        weight: (D, C).
        bias: (D,).
        norm: layer norm of each row; None: none.
        residual: (..., D), added to the result; None: nothing.
        activate: SiLU of the layer's result, before the residual; otherwise none.
        places: (M,) int64, which rows of x, that has (N, C) then; None: all.
    Returns:
        (..., D), or (M, D) for the places.
    """
    if places is not None:
        x = x[places]
    if norm is not None:
        x = F.layer_norm(x, x.shape[-1:], *norm)
    out = F.linear(x, weight, bias)
    if activate:
        out = F.silu(out)
    return out if residual is None else residual + out


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn consecutive channel pairs of `x` by minus their angles.

    Minus is the released convention, and weights depend on it: attention only sees differences of angles, but the other
    sign would mirror them, a token to the left taking the place of one to the right.

    Args:
        x: (..., N, heads, head_dim).
        cosine: (N, head_dim / 2), of the angles.
        sine: likewise.
    Returns:
        as `x`.
    """
    cosine, sine = cosine[:, None], sine[:, None]
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cosine + odd * sine, odd * cosine - even * sine), dim=-1).flatten(-2)


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
    # Over all codes, the absent ones at weight 0: to pick out those that occur, a GPU would have to be waited for.
    wide = torch.promote_types(value.dtype, torch.float32)  # counts beyond 256 are inexact in bfloat16
    counts = value.new_zeros(len(code_keys), dtype=wide).index_add_(0, codes, value.new_ones(len(codes), dtype=wide))
    sums = value.new_zeros(len(code_keys), *value.shape[1:], dtype=wide).index_add_(0, codes, value.to(wide))
    scores = torch.einsum("shd,khd->hsk", query, code_keys).to(wide) * query.shape[-1] ** -0.5
    weights = scores.masked_fill(counts == 0, -torch.inf).softmax(-1)
    total = torch.einsum("hsk,khd->shd", weights, sums)
    return (total / (weights @ counts).transpose(0, 1)[..., None]).to(value.dtype)


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
    # Not bincount, for which a GPU is waited for twice more; once is needed, for the sizes of the groups.
    count = len(weights[0])
    sizes = expert.new_zeros(count).index_add_(0, expert, torch.ones_like(expert))
    groups = [len(expert)] if count == 1 else sizes.tolist()
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


def hybrid_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    turns: tuple[Tensor, Tensor],
    boundary: Tensor,
    interior: Tensor,
    codes: Tensor,
    code_keys: Tensor,
) -> Tensor:
    """Attention of one sample: boundary tokens over all tokens, interior ones over codes (paper, section on DHA).

    Args:
        query: (T, heads, d).
        key: likewise, and not yet rotated.
        value: likewise.
        turns: cosine and sine (T, d / 2) of the angles by which boundary queries and their keys are rotated.
        boundary: (S,) int64, the boundary tokens.
        interior: (T - S,) int64, all others.
        codes: (T,) int64 in [0, K), the code of every token.
        code_keys: (K, heads, d), the key of every code.
    Returns:
        (T, heads, d).
    """
    cosine, sine = turns
    mixed = torch.empty_like(query, memory_format=torch.contiguous_format)
    turned = rotate(query[boundary], cosine[boundary], sine[boundary])
    mixed[boundary] = full_attention(turned, rotate(key, cosine, sine), value)
    mixed[interior] = code_attention(query[interior], codes, value, code_keys)
    return mixed


def hybrid_experts(
    tokens: Tensor,
    norm: Norm,
    shared: Experts,
    routed: Experts,
    place: Tensor,
    expert: Tensor,
    shared_weight: Tensor,
    routed_weight: Tensor,
) -> Tensor:
    """Norm, shared and routed experts, and the sum with what came in (paper, section on HMoE).

    Args:
        tokens: (T, C).
        norm: of the tokens, before the experts.
        shared: one expert, for every token.
        routed: E experts.
        place: (S,) int64, the tokens that have routed experts, each once.
        expert: (S, k) int64 in [0, E), theirs.
        shared_weight: (S, 1), the weight of the shared expert for them; it is 1 for all other tokens.
        routed_weight: (S, k), those of the routed experts.
    Returns:
        (T, C).
    """
    normal = F.layer_norm(tokens, tokens.shape[-1:], *norm)
    out = expert_mlp(normal, torch.zeros(len(tokens), dtype=torch.int64, device=tokens.device), *shared)
    count = expert.shape[1]
    each = expert_mlp(normal[place].repeat_interleave(count, dim=0), expert.flatten(), *routed)
    weighted = (routed_weight[..., None] * each.unflatten(0, (-1, count))).sum(1)
    return tokens + out.index_copy(0, place, shared_weight * out[place] + weighted)


def boundary_tokens(reference_map: Tensor, *, stride: int, reach: int, unknown: int) -> Tensor:
    """Mark the tokens around which the map holds more than one state, or which hold an unknown pixel.

    Args:
        reference_map: (H, W) uint8; H and W are multiples of `stride`.
        stride: token side in pixels.
        reach: pixels that the surroundings reach beyond each side of a token, within the map; less than `stride`.
        unknown: the state that alone makes a boundary token.
    Returns:
        (H / stride, W / stride) bool.
    """
    state = reference_map[None].to(torch.float32)
    side = stride + 2 * reach
    highest, lowest = (sign * F.max_pool2d(sign * state, side, stride=stride, padding=reach) for sign in (1, -1))
    open_ = F.max_pool2d((state == unknown).to(torch.float32), stride) > 0
    return ((highest != lowest) | open_)[0]


def tokens_with(reference_map: Tensor, *, stride: int, states: Sequence[int]) -> Tensor:
    """Mark the tokens that hold a pixel of any of some states.

    Args:
        reference_map: (H, W) uint8; H and W are multiples of `stride`.
        stride: token side in pixels.
        states: which, of 0..4.
    Returns:
        (H / stride, W / stride) bool.
    """
    held = torch.zeros_like(reference_map, dtype=torch.bool)
    for state in states:
        held |= reference_map == state
    return held.unflatten(1, (-1, stride)).any(2).unflatten(0, (-1, stride)).any(1)


def interpolated_mask(logits: Tensor, columns: Samples, rows: Samples) -> Tensor:
    """Whether mask logits, interpolated across and then down, are above 0.

    Args:
        logits: (h, w).
        columns: where the result's columns read.
        rows: where its rows read.
    Returns:
        (rows, columns) bool. The numbers behind it are `(after - before) * weight + before`, rounded step by step.
    """
    for dim, (index, weight) in ((1, columns), (0, rows)):
        before = logits.index_select(dim, index)
        after = logits.index_select(dim, (index + 1).clamp(max=logits.shape[dim] - 1))
        logits = (after - before) * (weight if dim else weight[:, None]) + before
    return logits > 0


def embed_prompt(
    reference_map: Tensor,
    background: int,
    embeddings: Tensor,
    weights: tuple[Tensor, ...],
    biases: tuple[Tensor, ...],
    tokens: Tensor | None = None,
) -> Tensor:
    """Embed a reference map that goes on for ever as background (paper, section on DPE), and add it to the tokens.

    The states are embedded; then 3x3 convolutions of stride 2 with ReLU bring them to the token grid.

    Args:
        reference_map: (H, W) uint8 states 0..4; H and W are multiples of 2^layers.
        background: the state beyond the map.
        embeddings: (5, C0).
        weights: of at least two convolutions, (C1, C0, 3, 3) and so on.
        biases: theirs.
        tokens: (h, w, C), to which the embedding is added; None: zeros.
    Returns:
        (h, w, C) with h = H / 2^layers and w = W / 2^layers.
    Raises:
        IndexError, ValueError: another state.
    """
    stride = 2 ** len(weights)
    # A token sees 2^layers - 1 pixels up and left of itself and none down and right.
    padded = F.pad(reference_map, (stride, 0, stride, 0), value=background)
    x = F.embedding(padded.to(torch.int64), embeddings).permute(2, 0, 1)[None]
    for weight, bias in zip(weights, biases, strict=True):
        x = F.relu(F.conv2d(x, weight, bias, stride=2, padding=1))
    embedded = x[0, :, 1:, 1:].permute(1, 2, 0)
    return embedded if tokens is None else tokens + embedded


def upsample(
    tokens: Tensor,
    epsilon: float,
    weights: tuple[Tensor, ...],
    scales: tuple[Tensor, ...],
    shifts: tuple[Tensor, ...],
    terms: tuple[Tensor, ...],
    box: tuple[int, int, int, int],
) -> Tensor:
    """Upsample the tokens of one sample 16 times inside a box (paper, section on DLU), the edges being known.

    Each token is normalised over its channels. Then, four times: scale and shift every channel, double the map
    (bilinear, half-pixel centres), convolve it 3x3 to a quarter of the channels with zeros beyond the border of the
    grid, add what the edges give, and apply SiLU (not after the last stage).

    Args:
        tokens: (h, w, C), C being 256, so that one channel is left after four stages.
        epsilon: of the norm.
        weights: for each stage (C / 4^(s+1), C / 4^s, 3, 3).
        scales: for each stage (C / 4^s,).
        shifts: likewise.
        terms: for each stage (C / 4^(s+1), 2^(s+1) h, 2^(s+1) w), the convolution of the edge map, bias included.
        box: left, top, right, bottom in tokens, half open.
    Returns:
        (16 (bottom - top), 16 (right - left)) mask logits: the crop of what the whole grid would give.
    """
    left, top, right, bottom = box
    # The stages reach 1 + 1/2 + 1/4 + 1/8 tokens beyond the box; what the crop's own border spoils is dropped.
    west, north = max(left - 2, 0), max(top - 2, 0)
    crop = tokens[north : bottom + 2, west : right + 2]
    x = F.layer_norm(crop, crop.shape[-1:], eps=epsilon).permute(2, 0, 1)[None]
    last = len(weights) - 1
    for stage, (weight, scale, shift, term) in enumerate(zip(weights, scales, shifts, terms, strict=True)):
        x = F.interpolate(x * scale[:, None, None] + shift[:, None, None], scale_factor=2, mode="bilinear")
        rows, columns = x.shape[2:]
        above, before = north << (stage + 1), west << (stage + 1)
        x = F.conv2d(x, weight, padding=1) + term[:, above : above + rows, before : before + columns]
        x = x if stage == last else F.silu(x)
    return x[0, 0, 16 * (top - north) :, 16 * (left - west) :][: 16 * (bottom - top), : 16 * (right - left)]
