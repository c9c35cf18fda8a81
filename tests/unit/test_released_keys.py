"""Released tensor names are translated one by one; unknown ones are refused."""

from __future__ import annotations

import pytest

from inter2former.config import preset
from inter2former.released_keys import released_tensors, rename, rename_back


@pytest.mark.parametrize(
    ("released", "ours"),
    [
        ("neck.ref_conv.stem.6.bias", "prompt_embedding.convolution.6.bias"),
        ("neck.blocks.1.ffn.select_ffn_w3", "blocks.1.feed_forward.routed.w3"),
        ("neck.blocks.0.bsq_attn.codebook", "blocks.0.attention.codebook.vectors"),
        ("decode_head.mlp.4.weight", "upsampling.coarse.2.weight"),
        ("edge_detector.block_list.3.1.conv2.weight", "edge_encoder.levels.3.1.conv2.weight"),
        ("edge_detector.canny.sobh.weight", None),
        ("backbone.pos_embed", "encoder.positions"),
        ("backbone.blocks.11.attn.padding", "encoder.blocks.11.attention.padding"),
        ("backbone.lateral_convs.3.0.weight", "encoder.fusions.3.mix.weight"),
        ("backbone.rope.freqs", None),
        ("step", None),
    ],
)
def test_names(released, ours):
    assert rename(released) == ours
    if ours is not None:
        assert rename_back(ours) == released


@pytest.mark.parametrize("key", ["neck.blocks.0.o_proj.scale", "backbone.rope", "decode_head.mlp.1.weight", ""])
def test_unknown_names_are_refused(key):
    with pytest.raises(ValueError, match=f"no rule for '{key}'"):
        rename(key)


def test_names_that_were_never_released_are_refused():
    with pytest.raises(ValueError, match=r"no rule for 'embedding_norm\.weight'"):
        rename_back("embedding_norm.weight")
    with pytest.raises(ValueError, match="the released network has the paper's image encoder"):
        released_tensors(preset("inter2former-t"))
