"""The operations of `reference.py` by the compiled kernels: same arguments, same results up to rounding.

Tensors are on the CPU and real ones are float32; `inter2former.kernels` sends all else to the reference. Whatever
the kernels need laid out in another way is copied here, so a slow call shows here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from inter2former.kernels import _native
from inter2former.kernels.reference import Convolution, Experts, Given, Norm, Samples, gaussian_taps

__all__ = [
    "OPERATIONS",
    "boundary_tokens",
    "colour_planes",
    "convolution_net",
    "embed_prompt",
    "expert_mlp",
    "hybrid_attention",
    "hybrid_experts",
    "interpolated_mask",
    "level",
    "linear",
    "tokens_with",
    "upsample",
]

OPERATIONS = (
    "boundary_tokens",
    "colour_planes",
    "convolution_net",
    "embed_prompt",
    "expert_mlp",
    "hybrid_attention",
    "hybrid_experts",
    "interpolated_mask",
    "linear",
    "tokens_with",
    "upsample",
)
"""The names of the operations that have a kernel; the others are parts of one that has."""


def level() -> str:
    """The level of the instruction set that runs."""
    return _native.level()


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
    """As `reference.linear`."""
    shape = x.shape[:-1] if places is None else places.shape
    out = torch.empty(*shape, len(weight), dtype=torch.float32)
    _native.linear(
        _rows(x.flatten(0, -2)),
        _whole(weight),
        _whole(bias),
        None if norm is None else _norm(norm),
        None if residual is None else _rows(residual.flatten(0, -2)),
        activate,
        None if places is None else places.contiguous(),
        out.flatten(0, -2),
        torch.get_num_threads(),
    )
    return out


def expert_mlp(
    tokens: Tensor,
    expert: Tensor,
    weights: tuple[Tensor, Tensor, Tensor],
    biases: tuple[Tensor, Tensor, Tensor],
    norm: Norm,
) -> Tensor:
    """As `reference.expert_mlp`."""
    out = torch.empty(tokens.shape, dtype=torch.float32)
    experts = _experts(Experts(weights, biases, norm))
    _native.expert_mlp(_whole(tokens), expert.contiguous(), experts, out, torch.get_num_threads())
    return out


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
    """As `reference.hybrid_experts`."""
    out = torch.empty(tokens.shape, dtype=torch.float32)
    _native.hybrid_experts(
        _whole(tokens),
        _norm(norm),
        _experts(shared),
        _experts(routed),
        place.contiguous(),
        expert.contiguous(),
        _whole(shared_weight[:, 0]),
        _whole(routed_weight),
        out,
        torch.get_num_threads(),
    )
    return out


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
    """As `reference.hybrid_attention`."""
    out = torch.empty(query.shape, dtype=torch.float32)
    cosine, sine = turns
    _native.hybrid_attention(
        _heads(query),
        _heads(key),
        _heads(value),
        _whole(cosine),
        _whole(sine),
        boundary.contiguous(),
        interior.contiguous(),
        codes.contiguous(),
        _whole(code_keys),
        out,
        torch.get_num_threads(),
    )
    return out


def boundary_tokens(reference_map: Tensor, *, stride: int, reach: int, unknown: int) -> Tensor:
    """As `reference.boundary_tokens`."""
    height, width = reference_map.shape
    marks = torch.empty(height // stride, width // stride, dtype=torch.bool)
    _native.boundary_tokens(_rows(reference_map), stride, reach, unknown, marks, torch.get_num_threads())
    return marks


def tokens_with(reference_map: Tensor, *, stride: int, states: Sequence[int]) -> Tensor:
    """As `reference.tokens_with`."""
    height, width = reference_map.shape
    marks = torch.empty(height // stride, width // stride, dtype=torch.bool)
    _native.tokens_with(_rows(reference_map), stride, states, marks, torch.get_num_threads())
    return marks


def interpolated_mask(logits: Tensor, columns: Samples, rows: Samples) -> Tensor:
    """As `reference.interpolated_mask`."""
    mask = torch.empty(len(rows[0]), len(columns[0]), dtype=torch.bool)
    _native.interpolated_mask(_rows(logits), columns, rows, mask, torch.get_num_threads())
    return mask


def colour_planes(image: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """As `reference.colour_planes`, to the last bit."""
    planes = torch.empty(5, *image.shape[1:], dtype=torch.float32)
    taps = gaussian_taps(torch.float32)
    _native.colour_planes(image.detach(), _whole(mean), _whole(deviation), taps, planes, torch.get_num_threads())
    return planes


def convolution_net(nodes: tuple[Given | Convolution, ...]) -> tuple[Tensor, ...]:
    """As `reference.convolution_net`; rows of a result lie together, all channels of one beside those of the next."""
    sizes: list[tuple[int, int]] = []
    arrays: list[tuple[Tensor, bool] | tuple[int, Tensor, Tensor, int, bool, int | None, Tensor | None]] = []
    results = []
    for node in nodes:
        if isinstance(node, Given):
            sizes.append((node.map.shape[1], node.map.shape[2]))
            arrays.append((node.map.detach(), node.ones))
            continue
        height, width = (side // node.stride for side in sizes[node.source])
        sizes.append((height, width))
        out = None
        if node.wanted:
            out = torch.empty(height, len(node.bias), width, dtype=torch.float32).transpose(0, 1)
            results.append(out)
        weight, bias = _channels_last(node.weight), _whole(node.bias)
        arrays.append((node.source, weight, bias, node.stride, node.activate, node.residual, out))
    _native.convolution_net(arrays, torch.get_num_threads())
    return tuple(results)


def embed_prompt(
    reference_map: Tensor,
    background: int,
    embeddings: Tensor,
    weights: tuple[Tensor, ...],
    biases: tuple[Tensor, ...],
    tokens: Tensor | None = None,
) -> Tensor:
    """As `reference.embed_prompt`."""
    height, width = (side >> len(weights) for side in reference_map.shape)
    out = torch.empty(height, width, len(biases[-1]), dtype=torch.float32)
    _native.embed_prompt(
        _rows(reference_map),
        background,
        _whole(embeddings),
        [_channels_last(weight) for weight in weights],
        [_whole(bias) for bias in biases],
        None if tokens is None else _grid(tokens),
        out.flatten(0, 1),
        torch.get_num_threads(),
    )
    return out


def upsample(
    tokens: Tensor,
    epsilon: float,
    weights: tuple[Tensor, ...],
    scales: tuple[Tensor, ...],
    shifts: tuple[Tensor, ...],
    terms: tuple[Tensor, ...],
    box: tuple[int, int, int, int],
) -> Tensor:
    """As `reference.upsample`."""
    left, top, right, bottom = box
    # The kernel refuses a box that is empty or off the grid.
    logits = torch.empty(16 * max(bottom - top, 0), 16 * max(right - left, 0), dtype=torch.float32)
    _native.upsample(
        _rows(tokens),
        epsilon,
        [_channels_last(weight) for weight in weights],
        [_whole(scale) for scale in scales],
        [_whole(shift) for shift in shifts],
        [_rows(term) for term in terms],
        box,
        logits,
        torch.get_num_threads(),
    )
    return logits


def _whole(x: Tensor) -> Tensor:
    """Detached and contiguous; kernels neither follow gradients nor take what carries one."""
    return x.detach().contiguous()


def _channels_last(weight: Tensor) -> Tensor:
    """Weights (D, C, 3, 3) of a convolution as contiguous (D, 3, 3, C): no copy where they lie in memory like that."""
    return _whole(weight.permute(0, 2, 3, 1))


def _grid(x: Tensor) -> Tensor:
    """Detached (h, w, C), each of its rows contiguous."""
    x = x.detach()
    return x if x.stride(2) == 1 and x.stride(1) == x.shape[2] else x.contiguous()


def _rows(x: Tensor) -> Tensor:
    """Detached, its last dimension contiguous."""
    x = x.detach()
    return x if x.stride(-1) == 1 else x.contiguous()


def _heads(x: Tensor) -> Tensor:
    """Detached, the channels of all heads of a token side by side."""
    x = x.detach()
    return x if x.stride()[1:] == (x.shape[2], 1) else x.contiguous()


def _norm(norm: Norm) -> Norm:
    weight, bias, epsilon = norm
    return _whole(weight), _whole(bias), epsilon


def _experts(experts: Experts) -> Experts:
    (w1, w2, w3), (b1, b2, b3), norm = experts
    return Experts((_whole(w1), _whole(w2), _whole(w3)), (_whole(b1), _whole(b2), _whole(b3)), _norm(norm))
