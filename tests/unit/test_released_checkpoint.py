"""A released checkpoint goes to safetensors and back without loss; what is not one is refused by name."""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np
import pytest
import torch

from inter2former.checkpoint import load_tensors, save_weights
from inter2former.errors import WeightsError
from inter2former.model.inter2former import Inter2Former
from inter2former.predictor import Predictor
from inter2former.released_checkpoint import convert_back, convert_release

KEY, OTHER = "neck.blocks.0.o_proj.weight", "backbone.pos_embed"


def write(content, path):
    torch.save(content, path)
    return path


def test_round_trip_loses_nothing(small_preset_b, fake_release, tmp_path):
    release = fake_release()
    source = write(release, tmp_path / "release.pth")
    result = convert_release(source, tmp_path / "b.safetensors")
    assert (result.dtype, result.largest_change) == ("float32", 0.0)
    assert result.tensors == len(release) - 7
    convert_back(tmp_path / "b.safetensors", tmp_path / "back.pth")
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    assert list(back) == list(release)
    for key, value in release.items():
        assert back[key].dtype == value.dtype, key
        assert torch.equal(back[key], value), key


def test_a_wrapped_checkpoint_is_unwrapped_and_wrapped_again(small_preset_b, fake_release, tmp_path):
    release = fake_release()
    source = write({"meta": {"epoch": 3}, "state_dict": release, "optimizer": {}}, tmp_path / "release.pth")
    convert_release(source, tmp_path / "b.safetensors")
    convert_back(tmp_path / "b.safetensors", tmp_path / "back.pth")
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    assert list(back) == ["state_dict"]
    assert all(torch.equal(back["state_dict"][key], value) for key, value in release.items())


def test_a_checkpoint_of_parallel_training_loses_its_prefix(small_preset_b, fake_release, tmp_path):
    release = fake_release()
    parallel = {
        f"module.{key}": torch.nn.Parameter(value) if value.is_floating_point() else value
        for key, value in release.items()
    }
    convert_release(write({"state_dict": parallel}, tmp_path / "release.pth"), tmp_path / "b.safetensors")
    convert_back(tmp_path / "b.safetensors", tmp_path / "back.pth")
    back = torch.load(tmp_path / "back.pth", weights_only=True)["state_dict"]
    assert list(back) == list(release)
    assert all(torch.equal(back[key], value) for key, value in release.items())


def test_the_file_says_where_it_comes_from(small_preset_b, fake_release, tmp_path):
    source = write(fake_release(), tmp_path / "release.pth")
    convert_release(source, tmp_path / "b.safetensors")
    metadata = load_tensors(tmp_path / "b.safetensors")[1]
    assert metadata["preset"] == "inter2former-b"
    assert metadata["source"] == "release.pth"
    assert metadata["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert metadata["converter"].startswith("inter2former ")
    config = json.loads(metadata["config"])
    assert config["encoder"]["width"] == 32
    assert config["decoder"]["boundary"] == "release"


def test_the_predictor_loads_the_converted_file(small_preset_b, fake_release, tmp_path, photo):
    convert_release(write(fake_release(), tmp_path / "release.pth"), tmp_path / "b.safetensors")
    predictor = Predictor("inter2former-b", weights=tmp_path / "b.safetensors", size=96)
    predictor.set_image(photo())
    assert predictor.add_click(60, 40).mask.shape == (90, 130)


def test_half_precision_says_what_it_costs(small_preset_b, fake_release, tmp_path):
    release = fake_release()
    source = write(release, tmp_path / "release.pth")
    result = convert_release(source, tmp_path / "b.safetensors", dtype=torch.float16)
    renamed = [
        value for key, value in release.items() if "canny" not in key and key not in ("step", "backbone.rope.freqs")
    ]
    changes = [float((value.half().float() - value).abs().max()) for value in renamed if value.is_floating_point()]
    assert result.largest_change == pytest.approx(max(changes))
    assert (tmp_path / "b.safetensors").stat().st_size < 0.6 * source.stat().st_size
    release[KEY][0, 0] = 1e6
    with pytest.raises(WeightsError, match=r"blocks.0.attention.project.weight holds numbers beyond the range"):
        convert_release(write(release, source), tmp_path / "b.safetensors", dtype=torch.float16)


def test_other_fixed_filters_are_named(small_preset_b, fake_release, tmp_path):
    result = convert_release(write(fake_release(), tmp_path / "release.pth"), tmp_path / "b.safetensors")
    assert len(result.other_constants) == 6


def test_weights_that_were_not_converted_get_the_filters_that_are_computed_here(small_preset_b, fake_release, tmp_path):
    save_weights(Inter2Former(small_preset_b), tmp_path / "trained.safetensors", metadata={})
    convert_back(tmp_path / "trained.safetensors", tmp_path / "release.pth")
    assert convert_release(tmp_path / "release.pth", tmp_path / "b.safetensors").other_constants == ()
    stored = torch.load(tmp_path / "release.pth", weights_only=True)
    assert stored["edge_detector.canny.sobv.weight"].tolist() == [[[[1, 2, 1], [0, 0, 0], [-1, -2, -1]]]]


CHANGES = {
    "missing": (lambda tensors: tensors.pop(KEY), rf"missing {KEY} \(1 in all\)$"),
    "extra": (lambda tensors: tensors.update(surplus=torch.zeros(1)), r"unexpected surplus \(1 in all\)$"),
    "misshapen": (
        lambda tensors: tensors.update({KEY: torch.zeros(256, 31)}),
        rf"misshapen {KEY} is \(256, 31\), wanted \(256, 32\) \(1 in all\)$",
    ),
    "wrong type": (
        lambda tensors: tensors.update({KEY: tensors[KEY].double()}),
        rf"of another type {KEY} is torch.float64, wanted torch.float32 \(1 in all\)$",
    ),
    "no tensor": (lambda tensors: tensors.update({KEY: [1.0]}), rf"no tensor {KEY} is a list \(1 in all\)$"),
    "two things": (
        lambda tensors: (tensors.pop(KEY), tensors.update({OTHER: torch.zeros(3)})),
        rf"missing {KEY} \(1 in all\); misshapen {OTHER} is \(3,\), wanted \(1, 10, 32\) \(1 in all\)$",
    ),
    "many things": (
        lambda tensors: [tensors.pop(key) for key in list(tensors) if key.startswith("neck.blocks.1.")],
        r"missing (neck\.blocks\.1\.\S+; ){4}neck\.blocks\.1\.\S+ \.\.\. \(33 in all\)$",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_checkpoint_that_does_not_fit_is_refused_by_name(small_preset_b, fake_release, tmp_path, change):
    release = fake_release()
    CHANGES[change][0](release)
    with pytest.raises(
        WeightsError, match=r"release.pth does not fit the network 'inter2former-b': " + CHANGES[change][1]
    ):
        convert_release(write(release, tmp_path / "release.pth"), tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()


class Command:
    """Runs a shell command where it is unpickled carelessly."""

    def __reduce__(self):
        return os.system, ("touch ran",)


class Plain:
    """A class that a checkpoint has no business to hold."""


@pytest.mark.parametrize(("thing", "name"), [(Command(), r"\w+\.system"), (Plain(), r"\S+Plain")])
def test_code_is_refused_and_not_run(small_preset_b, fake_release, tmp_path, monkeypatch, thing, name):
    monkeypatch.chdir(tmp_path)
    source = write({"state_dict": fake_release(), "hooks": thing}, tmp_path / "release.pth")
    with pytest.raises(WeightsError, match=rf"release.pth holds Python code \({name}\) beside its tensors"):
        convert_release(source, tmp_path / "b.safetensors")
    assert not (tmp_path / "ran").exists()


def test_what_mmengine_logs_is_passed_over(small_preset_b, fake_release, tmp_path):
    logs = {"loss": np.arange(3.0), "last": np.float64(0.5)}
    source = write({"state_dict": fake_release(), "message_hub": logs}, tmp_path / "release.pth")
    assert convert_release(source, tmp_path / "b.safetensors").tensors


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half an archive", b"\x80\x02}q\x00."])
def test_damaged_files(small_preset_b, fake_release, tmp_path, content):
    (tmp_path / "release.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=r"release.pth (is no checkpoint of PyTorch|does not fit the network)"):
        convert_release(tmp_path / "release.pth", tmp_path / "b.safetensors")


def test_files_that_are_not_there_or_hold_something_else(small_preset_b, fake_release, tmp_path):
    with pytest.raises(WeightsError, match=r"no checkpoint at .*release.pth"):
        convert_release(tmp_path / "release.pth", tmp_path / "b.safetensors")
    with pytest.raises(WeightsError, match="holds a list; wanted a state dict"):
        convert_release(write([torch.zeros(1)], tmp_path / "list.pth"), tmp_path / "b.safetensors")
    with pytest.raises(WeightsError, match="no weights at"):
        convert_back(tmp_path / "b.safetensors", tmp_path / "back.pth")


def test_weights_of_another_network_cannot_become_a_release(small_preset_b, fake_release, tmp_path, random_weights):
    with pytest.raises(WeightsError, match=r"missing encoder.positions; .* unexpected .*skip_laterals"):
        convert_back(random_weights, tmp_path / "back.pth")


@pytest.mark.slow
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_full_size_release(fake_release, tmp_path, wrapped):
    release = fake_release()
    assert len(release) == 432
    source = write({"state_dict": release} if wrapped else release, tmp_path / "release.pth")
    result = convert_release(source, tmp_path / "b.safetensors")
    assert (result.tensors, result.parameters) == (425, 94_190_053 - 100 + 2 * 8 + 2)
    convert_back(tmp_path / "b.safetensors", tmp_path / "back.pth")
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    back = back["state_dict"] if wrapped else back
    assert all(torch.equal(back[key], value) for key, value in release.items())
    Predictor("inter2former-b", weights=tmp_path / "b.safetensors", size=64).set_image(np.zeros((40, 64, 3), np.uint8))
