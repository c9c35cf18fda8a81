"""What the tensors of the released checkpoint are called, here and there, and which there are.

The released names start with the part of the network they belong to: `neck.` (prompt embedding and blocks),
`decode_head.` (upsampling), `edge_detector.` (edge encoder), `backbone.` (image encoder, the windowed ViT).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import torch

from inter2former.config import ModelConfig, WindowedViTConfig
from inter2former.model.inter2former import Inter2Former

__all__ = ["FILTERS", "FREQUENCIES", "STEP", "ReleasedTensor", "released_tensors", "rename", "rename_back"]


class ReleasedTensor(NamedTuple):
    """What the released checkpoint holds under one name.

    Attributes:
        shape: of the tensor.
        dtype: float32, or int64 for counters.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype


# Released name and ours: # stands for the same number on both sides, @ for `weight` or `bias`.
_NAMES: tuple[tuple[str, str], ...] = (
    ("backbone.pos_embed", "encoder.positions"),
    ("backbone.patch_embed.proj.@", "encoder.patches.@"),
    ("backbone.blocks.#.norm#.@", "encoder.blocks.#.norm#.@"),
    ("backbone.blocks.#.attn.padding", "encoder.blocks.#.attention.padding"),
    ("backbone.blocks.#.attn.qkv.@", "encoder.blocks.#.attention.query_key_value.@"),
    ("backbone.blocks.#.attn.proj.@", "encoder.blocks.#.attention.project.@"),
    ("backbone.blocks.#.mlp.fc1.@", "encoder.blocks.#.widen.@"),
    ("backbone.blocks.#.mlp.fc2.@", "encoder.blocks.#.narrow.@"),
    ("backbone.multi_scale_fusion.#.0.@", "encoder.fusions.#.norm.@"),
    ("backbone.lateral_convs.#.0.weight", "encoder.fusions.#.mix.weight"),
    ("backbone.lateral_convs.#.1.@", "encoder.fusions.#.mixed_norm.@"),
    ("backbone.out_conv.0.weight", "encoder.smooth.weight"),
    ("backbone.out_conv.2.@", "encoder.norm.@"),
    ("edge_detector.conv1.@", "edge_encoder.stem.@"),
    ("edge_detector.block_list.#.#.norm#.@", "edge_encoder.levels.#.#.norm#.@"),
    ("edge_detector.block_list.#.#.conv#.@", "edge_encoder.levels.#.#.conv#.@"),
    ("edge_detector.lateral_convs.#.@", "edge_encoder.laterals.#.@"),
    ("edge_detector.downsamplers.#.@", "edge_encoder.downsamplers.#.@"),
    ("neck.ref_embeds.weight", "prompt_embedding.states.weight"),
    ("neck.ref_conv.stem.#.@", "prompt_embedding.convolution.#.@"),
    ("neck.blocks.#.norm#.@", "blocks.#.norm#.@"),
    ("neck.blocks.#.qkv_proj.@", "blocks.#.attention.query_key_value.@"),
    ("neck.blocks.#.o_proj.@", "blocks.#.attention.project.@"),
    ("neck.blocks.#.bsq_attn.codebook", "blocks.#.attention.codebook.vectors"),
    ("neck.blocks.#.bsq_attn.code_proj.@", "blocks.#.attention.codebook.project.@"),
    ("neck.blocks.#.ffn.select_ffn_w#", "blocks.#.feed_forward.routed.w#"),
    ("neck.blocks.#.ffn.select_ffn_b#", "blocks.#.feed_forward.routed.b#"),
    ("neck.blocks.#.ffn.select_ln.@", "blocks.#.feed_forward.routed.norm.@"),
    ("neck.blocks.#.ffn.shared_ffn.w#.@", "blocks.#.feed_forward.shared.w#.@"),
    ("neck.blocks.#.ffn.shared_ln.@", "blocks.#.feed_forward.shared_norm.@"),
    ("neck.blocks.#.ffn.shared_gate.0.@", "blocks.#.feed_forward.shared_gate.@"),
    ("neck.blocks.#.ffn.expert_gate.0.@", "blocks.#.feed_forward.expert_gate.@"),
    ("neck.blocks.#.ffn.exp_bias", "blocks.#.feed_forward.balance_bias"),
    ("neck.blocks.#.ffn.steps", "blocks.#.feed_forward.balance_step"),
    ("decode_head.upsamplers.#.norm.@", "upsampling.upsamplers.#.norm.@"),
    ("decode_head.upsamplers.#.conv.@", "upsampling.upsamplers.#.conv.@"),
    ("decode_head.mlp.0.@", "upsampling.coarse.0.@"),
    ("decode_head.mlp.2.@", "upsampling.coarse.1.@"),
    ("decode_head.mlp.4.@", "upsampling.coarse.2.@"),
    ("decode_head.mlp.6.@", "upsampling.coarse.3.@"),
)

STEP = "step"
"""The released training run's counter, which has no counterpart here."""

FREQUENCIES = "backbone.rope.freqs"
"""The rotary frequencies, which are computed here."""

FILTERS: dict[str, tuple[int, ...]] = {
    "edge_detector.canny.g_h.weight": (1, 1, 1, 5),
    "edge_detector.canny.g_v.weight": (1, 1, 5, 1),
    "edge_detector.canny.sobh.weight": (1, 1, 3, 3),
    "edge_detector.canny.sobv.weight": (1, 1, 3, 3),
    "edge_detector.canny.dirf.weight": (8, 1, 3, 3),
}
"""The fixed filters of the edge encoder and their shapes; here they are code."""


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\#", r"(\d+)").replace("@", "(weight|bias)"))


_OURS = tuple((_pattern(released), ours) for released, ours in _NAMES)
_RELEASED = tuple((_pattern(ours), released) for released, ours in _NAMES)


def rename(key: str) -> str | None:
    """Translate the name of one released tensor.

    Args:
        key: a name of the released checkpoint, such as `neck.blocks.0.o_proj.weight`.
    Returns:
        the name in the state dict of `Inter2Former`, or None for a tensor that has no counterpart here.
    Raises:
        ValueError: the released checkpoint has no such tensor.
    """
    if key in FILTERS or key in (STEP, FREQUENCIES):
        return None
    if (translated := _translated(key, _OURS)) is not None:
        return translated
    raise ValueError(
        f"no rule for {key!r}; the known names start with 'backbone.', 'neck.', 'decode_head.' or "
        "'edge_detector.', as in the released checkpoint"
    )


def rename_back(key: str) -> str:
    """Translate a name in the state dict of `Inter2Former` to the released one.

    Raises:
        ValueError: the released checkpoint has no such tensor.
    """
    if (translated := _translated(key, _RELEASED)) is not None:
        return translated
    raise ValueError(f"no rule for {key!r}; the released checkpoint has no such tensor")


def released_tensors(config: ModelConfig) -> dict[str, ReleasedTensor]:
    """The tensors of a released checkpoint for a network, by their released names.

    Args:
        config: of a network with the released parts; `preset("inter2former-b")` for the checkpoint that exists.
    Raises:
        ValueError: the network has parts that were never released.
    """
    if not isinstance(config.encoder, WindowedViTConfig):
        raise ValueError("the released network has the paper's image encoder; take the preset 'inter2former-b'")
    with torch.device("meta"):  # shapes without numbers
        state = Inter2Former(config).state_dict()
    tensors = {rename_back(key): ReleasedTensor(tuple(value.shape), value.dtype) for key, value in state.items()}
    head_dim = config.encoder.width // config.encoder.heads
    fixed = {STEP: ReleasedTensor((), torch.int64), FREQUENCIES: ReleasedTensor((head_dim // 4,), torch.float32)}
    return fixed | tensors | {key: ReleasedTensor(shape, torch.float32) for key, shape in FILTERS.items()}


def _translated(key: str, rules: Iterable[tuple[re.Pattern[str], str]]) -> str | None:
    """The key in the form that the first matching rule gives it; None where no rule matches."""
    for pattern, name in rules:
        if found := pattern.fullmatch(key):
            parts = iter(found.groups())
            return re.sub("[#@]", lambda _, parts=parts: next(parts), name)  # type: ignore[misc]
    return None
