"""Presets are values: named, frozen, hashable."""

from __future__ import annotations

import dataclasses

import pytest

from inter2former.config import PRESETS, ModelConfig, preset


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
