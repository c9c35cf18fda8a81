"""Weights go out as float16 and come back strictly; what does not fit is named."""

from __future__ import annotations

import os
import stat

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from inter2former.checkpoint import load_mobile_sam_encoder, load_tensors, load_weights, save_weights, shipped_weights
from inter2former.errors import WeightsError


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
