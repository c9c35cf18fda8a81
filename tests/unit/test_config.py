"""Presets are values: named, frozen, hashable."""

from __future__ import annotations

import dataclasses

import pytest

from inter2former.config import (
    PRESETS,
    ClickConfig,
    DecoderConfig,
    EdgeConfig,
    ModelConfig,
    TinyViTConfig,
    WindowedViTConfig,
    preset,
)


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown preset 'inter2former-x'; the presets are inter2former-b, inter"):
        preset("inter2former-x")


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_frozen_and_hashable(name):
    config = preset(name)
    assert isinstance(config, ModelConfig)
    assert config == preset(name)
    assert len({config, preset(name)}) == 1
    for part in (config, config.encoder, config.edges, config.decoder, config.clicks):
        field = dataclasses.fields(part)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, field, None)


def test_the_compact_decoder_has_the_released_sizes():
    compact, released = preset("inter2former-t").decoder, ModelConfig().decoder
    for name in ("width", "depth", "downscale", "hidden", "code_bits", "prompt_widths"):
        assert getattr(compact, name) == getattr(released, name)


@pytest.mark.parametrize(
    ("kind", "changed", "message"),
    [
        (DecoderConfig, {"attention": "half"}, "attention is 'half'; it must be one of 'hybrid', 'full', 'bsq', 'vq'"),
        (DecoderConfig, {"prompt": "sparse"}, "prompt is 'sparse'; it must be one of 'dynamic', 'dense'"),
        (DecoderConfig, {"upsampling": True}, "upsampling is True; it must be one of 'local', 'full'"),
        (DecoderConfig, {"feed_forward": ""}, "feed_forward is ''; it must be one of 'hybrid', 'shared'"),
        (DecoderConfig, {"boundary": "float"}, "boundary is 'float'; it must be one of 'exact', 'release'"),
        (DecoderConfig, {"code_bits": 13}, "code_bits is 13; it must be in 1..12"),
        (DecoderConfig, {"experts_per_token": 9}, "experts_per_token is 9; it must be in 1..8"),
        (DecoderConfig, {"box_halo": -1}, "box_halo is -1; it must be at least 0"),
        (DecoderConfig, {"hidden": 500}, "hidden is 500; it must be a multiple of downscale, 8"),
        (DecoderConfig, {"width": 272}, "width / downscale is 34; it must be a multiple of 4"),
        (EdgeConfig, {"planes": "sobel"}, "planes is 'sobel'; it must be one of 'canny', 'colour'"),
        (EdgeConfig, {"depths": (1,), "skips": (0, 32, 0)}, r"depths is \(1,\) and skips \(0, 32, 0\); every level"),
        (ClickConfig, {"initial_state": 3}, "initial_state is 3; it must be one of 1, 2"),
        (ClickConfig, {"outer_radius": -2}, "outer_radius is -2; it must be at least 0"),
        (WindowedViTConfig, {"heads": 7}, "width is 768 and heads 7; a head must have a multiple of 4 channels"),
        (WindowedViTConfig, {"taps": (3, 12)}, r"taps is \(3, 12\); each must be a block, 0..11"),
        (ModelConfig, {"padding": "wrap"}, "padding is 'wrap'; it must be one of 'repeat', 'zero'"),
        (
            ModelConfig,
            {"encoder": TinyViTConfig(embedding=128)},
            "encoder.embedding is 128; it must equal decoder.width",
        ),
        (
            ModelConfig,
            {"decoder": DecoderConfig(prompt_widths=(8, 256))},
            r"decoder.prompt_widths is \(8, 256\); it must",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(kind, changed, message):
    with pytest.raises(ValueError, match=message):
        kind(**changed)


def test_a_width_that_cannot_be_quartered_is_refused():
    decoder = DecoderConfig(width=128, prompt_widths=(8, 16, 32, 128))
    with pytest.raises(ValueError, match=r"decoder\.width is 128; it must be a multiple of 256"):
        ModelConfig(TinyViTConfig(embedding=128), decoder=decoder)
