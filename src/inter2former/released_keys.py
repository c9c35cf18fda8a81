"""What the tensors of the released checkpoint are called here.

The released names start with the part of the network they belong to: `neck.` (prompt embedding and blocks),
`decode_head.` (upsampling), `edge_detector.` (edge encoder), `backbone.` (image encoder, the windowed ViT).
"""

from __future__ import annotations

import re

__all__ = ["rename"]

# The first pattern that matches the whole key decides; no replacement: nothing here corresponds to the tensor. The
# Canny filters are constants of `model/canny.py`, the rotary frequencies one of `model/layers.py`, and the step counter
# belongs to a training run.
_RULES: tuple[tuple[str, str | None], ...] = (
    (r"step", None),
    (r"backbone\.rope\.freqs", None),
    (r"backbone\.pos_embed", r"encoder.positions"),
    (r"backbone\.patch_embed\.proj\.(weight|bias)", r"encoder.patches.\1"),
    (r"backbone\.(blocks\.\d+\.norm[12]\.(?:weight|bias))", r"encoder.\1"),
    (r"backbone\.(blocks\.\d+)\.attn\.padding", r"encoder.\1.attention.padding"),
    (r"backbone\.(blocks\.\d+)\.attn\.qkv\.(weight|bias)", r"encoder.\1.attention.query_key_value.\2"),
    (r"backbone\.(blocks\.\d+)\.attn\.proj\.(weight|bias)", r"encoder.\1.attention.project.\2"),
    (r"backbone\.(blocks\.\d+)\.mlp\.fc1\.(weight|bias)", r"encoder.\1.widen.\2"),
    (r"backbone\.(blocks\.\d+)\.mlp\.fc2\.(weight|bias)", r"encoder.\1.narrow.\2"),
    (r"backbone\.multi_scale_fusion\.(\d+)\.0\.(weight|bias)", r"encoder.fusions.\1.norm.\2"),
    (r"backbone\.lateral_convs\.(\d+)\.0\.weight", r"encoder.fusions.\1.mix.weight"),
    (r"backbone\.lateral_convs\.(\d+)\.1\.(weight|bias)", r"encoder.fusions.\1.mixed_norm.\2"),
    (r"backbone\.out_conv\.0\.weight", r"encoder.smooth.weight"),
    (r"backbone\.out_conv\.2\.(weight|bias)", r"encoder.norm.\1"),
    (r"edge_detector\.canny\..*", None),
    (r"edge_detector\.conv1\.(weight|bias)", r"edge_encoder.stem.\1"),
    (r"edge_detector\.block_list\.(\d+\.\d+\.(?:norm|conv)[12]\.(?:weight|bias))", r"edge_encoder.levels.\1"),
    (r"edge_detector\.lateral_convs\.(\d+\.(?:weight|bias))", r"edge_encoder.laterals.\1"),
    (r"edge_detector\.downsamplers\.(\d+\.(?:weight|bias))", r"edge_encoder.downsamplers.\1"),
    (r"neck\.ref_embeds\.weight", r"prompt_embedding.states.weight"),
    (r"neck\.ref_conv\.stem\.(\d+\.(?:weight|bias))", r"prompt_embedding.convolution.\1"),
    (r"neck\.(blocks\.\d+\.norm[12]\.(?:weight|bias))", r"\1"),
    (r"neck\.(blocks\.\d+)\.qkv_proj\.(weight|bias)", r"\1.attention.query_key_value.\2"),
    (r"neck\.(blocks\.\d+)\.o_proj\.(weight|bias)", r"\1.attention.project.\2"),
    (r"neck\.(blocks\.\d+)\.bsq_attn\.codebook", r"\1.attention.codebook.vectors"),
    (r"neck\.(blocks\.\d+)\.bsq_attn\.code_proj\.(weight|bias)", r"\1.attention.codebook.project.\2"),
    (r"neck\.(blocks\.\d+)\.ffn\.select_ffn_([wb][123])", r"\1.feed_forward.routed.\2"),
    (r"neck\.(blocks\.\d+)\.ffn\.select_ln\.(weight|bias)", r"\1.feed_forward.routed.norm.\2"),
    (r"neck\.(blocks\.\d+)\.ffn\.shared_ffn\.(w[123]\.(?:weight|bias))", r"\1.feed_forward.shared.\2"),
    (r"neck\.(blocks\.\d+)\.ffn\.shared_ln\.(weight|bias)", r"\1.feed_forward.shared_norm.\2"),
    (r"neck\.(blocks\.\d+)\.ffn\.(shared|expert)_gate\.0\.(weight|bias)", r"\1.feed_forward.\2_gate.\3"),
    (r"neck\.(blocks\.\d+)\.ffn\.exp_bias", r"\1.feed_forward.balance_bias"),
    (r"neck\.(blocks\.\d+)\.ffn\.steps", r"\1.feed_forward.balance_step"),
    (r"decode_head\.upsamplers\.(\d+\.(?:norm|conv)\.(?:weight|bias))", r"upsampling.upsamplers.\1"),
    (r"decode_head\.mlp\.0\.(weight|bias)", r"upsampling.coarse.0.\1"),
    (r"decode_head\.mlp\.2\.(weight|bias)", r"upsampling.coarse.1.\1"),
    (r"decode_head\.mlp\.4\.(weight|bias)", r"upsampling.coarse.2.\1"),
    (r"decode_head\.mlp\.6\.(weight|bias)", r"upsampling.coarse.3.\1"),
)


def rename(key: str) -> str | None:
    """Translate the name of one tensor.

    Args:
        key: a name of the released checkpoint, such as `neck.blocks.0.o_proj.weight`.
    Returns:
        the name in the state dict of `Inter2Former`, or None for a tensor that has no counterpart here.
    Raises:
        ValueError: the released checkpoint has no such tensor.
    """
    for pattern, replacement in _RULES:
        if found := re.fullmatch(pattern, key):
            return None if replacement is None else found.expand(replacement)
    raise ValueError(
        f"no rule for {key!r}; the known names start with 'backbone.', 'neck.', 'decode_head.' or "
        "'edge_detector.', as in the released checkpoint"
    )
