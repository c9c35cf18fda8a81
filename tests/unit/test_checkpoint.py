"""Weights go out as float16 and come back strictly; what does not fit is named."""

from __future__ import annotations

import os
import stat

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from inter2former.checkpoint import (
    load_mobile_sam,
    load_mobile_sam_encoder,
    load_tensors,
    load_weights,
    save_weights,
    shipped_weights,
)
from inter2former.errors import WeightsError
from inter2former.model.sam_decoder import MaskDecoder, PromptEncoder


def small_network(seed=0):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    network.register_buffer("count", torch.tensor(70_000))
    return network


def test_round_trip_is_exact_in_float16(tmp_path):
    network, other = small_network(0), small_network(1)
    other.count.zero_()
    save_weights(network, tmp_path / "w.safetensors", metadata={"step": "7"})
    assert load_weights(other, tmp_path / "w.safetensors") == {"step": "7"}
    for key, value in other.state_dict().items():
        expected = network.state_dict()[key]
        assert value.dtype == expected.dtype
        wanted = expected.half().float() if expected.is_floating_point() else expected
        torch.testing.assert_close(value, wanted, rtol=0, atol=0)


def test_views_and_permuted_tensors_are_saved(tmp_path):
    network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    save_weights(network, tmp_path / "w.safetensors", metadata={})
    tensors, metadata = load_tensors(tmp_path / "w.safetensors")
    torch.testing.assert_close(tensors["weight"], network.weight.half().float(), rtol=0, atol=0)
    assert metadata == {}


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_the_file_has_the_rights_that_the_umask_gives(tmp_path, mask, mode):
    path = tmp_path / "w.safetensors"
    before = os.umask(mask)
    try:
        save_weights(small_network(), path, metadata={})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.safetensors"]


def test_tensors_that_do_not_fit_are_named(tmp_path):
    network, path = small_network(), tmp_path / "w.safetensors"
    tensors = network.state_dict()
    save_file({key: value for key, value in tensors.items() if key != "1.bias"} | {"2.extra": torch.ones(1)}, path)
    with pytest.raises(WeightsError, match=r"missing \['1.bias'\] \(1 in all\), unexpected \['2.extra'\] \(1 in all\)"):
        load_weights(network, path)
    save_file(tensors | {"0.weight": torch.ones(5, 4)}, path)
    with pytest.raises(WeightsError, match=r"0.weight has shape \(5, 4\), expected \(5, 3\)"):
        load_weights(network, path)
    torch.testing.assert_close(network.state_dict(), small_network().state_dict(), rtol=0, atol=0)


def test_damaged_and_missing_files(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(WeightsError, match=r"no weights at .*w\.safetensors; give the path"):
        load_tensors(path)
    save_weights(small_network(), path, metadata={})
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"PK\x03\x04 not these", b""):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"cannot read weights from .*w\.safetensors: "):
            load_tensors(path)
    with pytest.raises(WeightsError, match="cannot read weights from"):
        load_tensors(tmp_path)


def test_no_weights_are_shipped_for_other_names():
    with pytest.raises(WeightsError, match="no weights for 'inter2former-x' come with this package"):
        shipped_weights("inter2former-x")


class Stem(nn.Module):
    """The first layer of the image encoder alone."""

    def __init__(self):
        super().__init__()
        self.stem_in = nn.Conv2d(3, 4, 3, padding=1)


def released_stem():
    torch.manual_seed(0)
    names = ("weight", "bias", "running_mean", "running_var")
    norm = {f"bn.{name}": torch.rand(4) + 0.5 for name in names}
    prefix = "image_encoder.patch_embed.seq.0."
    return {f"{prefix}{name}": value for name, value in ({"c.weight": torch.randn(4, 3, 3, 3)} | norm).items()}


def test_a_batch_norm_is_folded_into_its_convolution(tmp_path):
    tensors, stem = released_stem(), Stem()
    path = tmp_path / "sam.safetensors"
    save_file(tensors | {"prompt_encoder.other": torch.ones(2)}, path)
    load_mobile_sam_encoder(stem, path)
    weight, scale, shift, mean, variance = tensors.values()
    image = torch.randn(2, 3, 8, 8)
    expected = F.batch_norm(F.conv2d(image, weight, padding=1), mean, variance, scale, shift)
    # Folding rounds the 27 weights of a sum once more each, at values around 5.
    torch.testing.assert_close(stem.stem_in(image), expected, rtol=1e-5, atol=1e-5)


def test_an_encoder_without_its_norm_is_refused(tmp_path):
    tensors = released_stem()
    del tensors["image_encoder.patch_embed.seq.0.bn.running_var"]
    save_file(tensors, tmp_path / "sam.safetensors")
    with pytest.raises(WeightsError, match=r"missing image_encoder\.patch_embed\.seq\.0\.bn\.running_var"):
        load_mobile_sam_encoder(Stem(), tmp_path / "sam.safetensors")


def test_a_file_without_an_encoder_is_refused(tmp_path):
    save_file({"mask_decoder.weight": torch.ones(2)}, tmp_path / "sam.safetensors")
    with pytest.raises(WeightsError, match=r"missing \['stem_in.bias', 'stem_in.weight'\]"):
        load_mobile_sam_encoder(Stem(), tmp_path / "sam.safetensors")


class SmallSam(nn.Module):
    """One layer of the encoder, and the prompt encoder and mask decoder at a small width."""

    def __init__(self):
        super().__init__()
        self.encoder = Stem()
        self.prompt_encoder = PromptEncoder(16)
        self.decoder = MaskDecoder(16, heads=2, hidden=24)


# Ours to theirs, the other way round and in another form than the table under test.
OFFICIAL = (
    ("prompt_encoder.positions.frequencies", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    ("prompt_encoder.mask_convolution.", "prompt_encoder.mask_downscaling."),
    ("decoder.last_attention.", "mask_decoder.transformer.final_attn_token_to_image."),
    ("decoder.last_norm.", "mask_decoder.transformer.norm_final_attn."),
    ("decoder.blocks.", "mask_decoder.transformer.layers."),
    ("decoder.upsampling.", "mask_decoder.output_upscaling."),
    *(
        (f"decoder.mask_heads.{mask}.{2 * layer}.", f"mask_decoder.output_hypernetworks_mlps.{mask}.layers.{layer}.")
        for mask in range(4)
        for layer in range(3)
    ),
    *((f"decoder.score_head.{2 * layer}.", f"mask_decoder.iou_prediction_head.layers.{layer}.") for layer in range(3)),
    ("self_attention", "self_attn"),
    ("tokens_to_image", "cross_attn_token_to_image"),
    ("image_to_tokens", "cross_attn_image_to_token"),
    *((f".{ours}.", f".{ours[0]}_proj.") for ours in ("query", "key", "value")),
    (".project.", ".out_proj."),
    (".widen.", ".mlp.lin1."),
    (".narrow.", ".mlp.lin2."),
)


def official_tensors(network):
    tensors = {}
    for ours, value in network.state_dict().items():
        theirs = ours
        for old, new in OFFICIAL:
            theirs = theirs.replace(old, new)
        tensors[theirs] = value.clone()
    kinds, answers = tensors.pop("prompt_encoder.kinds.weight"), tensors.pop("decoder.answers")
    tensors["prompt_encoder.not_a_point_embed.weight"] = kinds[:1].clone()
    for label in range(4):
        tensors[f"prompt_encoder.point_embeddings.{label}.weight"] = kinds[label + 1 : label + 2].clone()
    tensors["prompt_encoder.no_mask_embed.weight"] = tensors.pop("prompt_encoder.no_mask")[None]
    tensors |= {
        "mask_decoder.iou_token.weight": answers[:1].clone(),
        "mask_decoder.mask_tokens.weight": answers[1:].clone(),
    }
    return {key: value for key, value in tensors.items() if not key.startswith("encoder.")} | released_stem()


def test_a_mobile_sam_is_loaded_whole(tmp_path):
    torch.manual_seed(3)
    source = SmallSam()
    save_file(official_tensors(source), tmp_path / "sam.safetensors")
    torch.manual_seed(4)
    loaded = SmallSam()
    load_mobile_sam(loaded, tmp_path / "sam.safetensors")
    expected = {key: value for key, value in source.state_dict().items() if not key.startswith("encoder.")}
    actual = {key: value for key, value in loaded.state_dict().items() if not key.startswith("encoder.")}
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    stem = Stem()
    load_mobile_sam_encoder(stem, tmp_path / "sam.safetensors")
    torch.testing.assert_close(loaded.encoder.state_dict(), stem.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("lost", ["prompt_encoder.point_embeddings.2.weight", "mask_decoder.iou_token.weight"])
def test_a_mobile_sam_without_a_row_of_a_table_is_refused(tmp_path, lost):
    tensors = official_tensors(SmallSam())
    del tensors[lost]
    save_file(tensors, tmp_path / "sam.safetensors")
    with pytest.raises(WeightsError, match=f"missing {lost}"):
        load_mobile_sam(SmallSam(), tmp_path / "sam.safetensors")


def test_a_mobile_sam_with_more_than_the_network_has_is_refused(tmp_path):
    save_file(
        official_tensors(SmallSam()) | {"mask_decoder.hf_token.weight": torch.ones(1, 16)}, tmp_path / "sam.safetensors"
    )
    with pytest.raises(WeightsError, match=r"unexpected \['decoder.hf_token.weight'\] \(1 in all\)"):
        load_mobile_sam(SmallSam(), tmp_path / "sam.safetensors")
