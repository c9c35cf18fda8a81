"""`pretrain`, `distil` and `train` one after the other, each going on from what the one before wrote."""

from __future__ import annotations

import itertools
import json

import pytest
import torch
from tests.unit.cli.test_train import SETTINGS
from tests.unit.training.conftest import make_network

from inter2former.checkpoint import load_tensors, save_weights
from inter2former.config import PRESETS

SIDES = {"encoder_learning_rate": 1e-3, "live_sides": [64, 128], "steps": 2}


def given(**changes):
    values = SETTINGS | changes
    return [word for name, value in values.items() for word in ("--set", f"{name}={json.dumps(value)}")]


@pytest.fixture
def narrow_weights(monkeypatch, tmp_path):
    """Path of random weights of the compact preset, which has fewer and narrower layers meanwhile."""
    network = make_network()
    monkeypatch.setitem(PRESETS, "inter2former-t", network.config)
    save_weights(network, tmp_path / "narrow.safetensors", metadata={})
    return tmp_path / "narrow.safetensors"


def test_the_stages_of_the_paper(run, make_folder, narrow_weights, tmp_path, monkeypatch):
    photos = make_folder("photos")
    # A teacher with random weights; files of real ones are read in tests/parity.
    monkeypatch.setattr("inter2former.cli.distil.load_mobile_sam", lambda teacher, path: torch.manual_seed(0))
    first = run(
        "pretrain", "inter2former-t", "--photos", photos, "--weights", narrow_weights,
        "--out", tmp_path / "pretrained", *given(**SIDES),
    )  # fmt: skip
    assert first.code == 0, first.err
    assert "pixels " in first.out
    second = run(
        "distil", "inter2former-t", "--photos", photos, "--teacher", tmp_path / "any.safetensors",
        "--weights", tmp_path / "pretrained" / "weights.safetensors", "--out", tmp_path / "distilled", *given(**SIDES),
    )  # fmt: skip
    assert second.code == 0, second.err
    assert "agreement " in second.out
    third = run(
        "train", "inter2former-t", "--data", photos, "--settings", "fine", "--backgrounds", photos,
        "--weights", tmp_path / "distilled" / "weights.safetensors", "--out", tmp_path / "fine",
        *given(**SIDES, synthetic_size=96, kept_states=1),
    )  # fmt: skip
    assert third.code == 0, third.err
    stages = [load_tensors(narrow_weights)[0]]
    stages += [load_tensors(tmp_path / name / "weights.safetensors")[0] for name in ("pretrained", "distilled", "fine")]
    for before, after in itertools.pairwise(stages):
        assert before.keys() == after.keys()
        assert not torch.equal(before["encoder.stem_in.weight"], after["encoder.stem_in.weight"])
    decoder = [name for name in stages[0] if name.startswith("blocks.")]
    assert all(torch.equal(stages[0][name], stages[2][name]) for name in decoder)
    assert not all(torch.equal(stages[2][name], stages[3][name]) for name in decoder)


def test_mistakes_in_one_sentence(refused, make_folder, random_weights, tmp_path):
    photos = make_folder("photos")
    start = ("pretrain", "inter2former-t", "--weights", random_weights, "--out", tmp_path / "run")
    assert "allowed for photos (no terms stated)" in refused(*start, "--photos", photos, "--commercial-only")
    assert "pre-training trains the encoder alone" in refused(
        *start, "--photos", photos, *given(encoder_learning_rate=0.0, live_share=1.0)
    )
    distil = ("distil", "inter2former-t", "--photos", photos, "--out", tmp_path / "run")
    assert "no weights at" in refused(*distil, "--teacher", tmp_path / "absent")
    assert "does not fit the network" in refused(*distil, "--teacher", random_weights)
