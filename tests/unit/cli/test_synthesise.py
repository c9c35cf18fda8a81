"""`synthesise`: a folder that the readers take, its terms, and refusals in one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from inter2former.data.folder import open_folder


@pytest.fixture
def photos(make_folder):
    return make_folder("photos")


@pytest.fixture
def cut_outs(tmp_path):
    (tmp_path / "cut-outs").mkdir()
    rgba = np.full((60, 60, 4), 255, dtype=np.uint8)
    rgba[:9, :, 3] = 0
    for index in range(12):
        Image.fromarray(rgba).save(tmp_path / "cut-outs" / f"thing{index}.png")
    return tmp_path / "cut-outs"


def test_a_folder_of_pictures(run, photos, cut_outs, tmp_path):
    out = tmp_path / "made-up"
    result = run("synthesise", out, "--backgrounds", photos, "--foregrounds", cut_outs, "--count", 2, "--size", 96)
    assert result.code == 0
    assert result.out == f"2 pictures in {out}; their terms are not known to allow commercial use, see dataset.json\n"
    dataset = open_folder(out)
    assert len(dataset) == 2
    assert max(dataset.image(0).shape) == 96
    assert dataset.terms == "made of photos: no terms stated; cut-outs: no terms stated"
    assert json.loads((out / "dataset.json").read_text())["commercial_use"] is False


def test_thin_things_only_under_free_terms(run, photos, tmp_path):
    (photos / "dataset.json").write_text('{"terms": "CC0", "commercial_use": true}')
    out = tmp_path / "thin"
    result = run("synthesise", out, "--backgrounds", photos, "--count", 1, "--size", 96, "--thin-only", "--seed", 3)
    assert result.out.endswith("their terms allow commercial use, see dataset.json\n")
    described = json.loads((out / "made_by.json").read_text())
    assert "thin_only=True" in described["config"]
    assert (described["seed"], described["foregrounds"]) == (3, 0)


def test_splits_share_the_cut_outs_out(run, photos, cut_outs, tmp_path):
    counts = {}
    for split in ("train", "held-out", "all"):
        out = tmp_path / split
        options = ["--foregrounds", cut_outs, "--count", 1, "--size", 96, "--split", split]
        assert run("synthesise", out, "--backgrounds", photos, *options).code == 0
        counts[split] = json.loads((out / "made_by.json").read_text())["foregrounds"]
    assert counts["train"] + counts["held-out"] == counts["all"] == 12
    assert 0 < counts["held-out"] < 6


def test_mistakes_in_one_sentence(run, refused, photos, tmp_path):
    def sentence(*more):
        return refused("synthesise", tmp_path / "out", "--backgrounds", photos, "--size", 96, *more)

    assert "--count is 0" in sentence("--count", 0)
    assert "size is 10; it must be at least 64" in sentence("--size", 10)
    assert "absent holds no images of the split train; give a folder" in sentence("--foregrounds", tmp_path / "absent")
    assert "has no transparency" in sentence("--foregrounds", photos, "--split", "all")
    assert not (tmp_path / "out").exists()  # before anything is made
    assert "is also what the pictures are made of" in refused("synthesise", photos, "--backgrounds", photos)
    assert run("synthesise", tmp_path / "out", "--backgrounds", photos, "--split", "x").code == 2
