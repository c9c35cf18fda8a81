"""`inter2former convert` writes files, says what it did, and refuses in one sentence."""

from __future__ import annotations

import json

import pytest
import torch

from inter2former.cli.__main__ import main


def write(content, path):
    torch.save(content, path)
    return path


def test_there_and_back(small_preset_b, fake_release, tmp_path, capsys):
    source = write(fake_release(), tmp_path / "release.pth")
    weights, back = tmp_path / "b.safetensors", tmp_path / "back.pth"
    assert main(["convert", str(source), str(weights), "--dtype", "float16", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["out"] == str(weights)
    assert result["dtype"] == "float16"
    assert 0 < result["largest_change"] < 1e-3
    assert main(["convert", "--to-release", str(weights), str(back)]) == 0
    assert f"{back}: " in capsys.readouterr().out
    stored = torch.load(back, weights_only=True)
    for key, value in fake_release().items():
        torch.testing.assert_close(stored[key], value, rtol=1e-3, atol=1e-4, msg=key)


def test_a_folder_that_is_missing_is_named(small_preset_b, fake_release, tmp_path, capsys):
    source = write(fake_release(), tmp_path / "release.pth")
    weights, absent = tmp_path / "b.safetensors", tmp_path / "absent" / "b"
    assert main(["convert", str(source), str(weights)]) == 0
    capsys.readouterr()
    for arguments in ([str(source)], ["--to-release", str(weights)]):
        assert main(["convert", *arguments, str(absent)]) == 2
        assert capsys.readouterr().err == f"inter2former convert: {absent}: No such file or directory\n"


def test_constants_that_differ_are_mentioned(small_preset_b, fake_release, tmp_path, capsys):
    source = write(fake_release(), tmp_path / "release.pth")
    assert main(["convert", str(source), str(tmp_path / "b.safetensors")]) == 0
    assert "edge_detector.canny.sobh.weight" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.pth", "b.safetensors"], "no checkpoint at none.pth"),
        (["--to-release", "none.safetensors", "b.pth"], "no weights at none.safetensors"),
        (["--to-release", "--dtype", "float16", "a.safetensors", "b.pth"], "a released checkpoint is float32"),
        (["a.pth", "./a.pth"], "./a.pth is also the source"),
    ],
)
def test_bad_input_gives_one_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["convert", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_missing_tensor_gives_one_sentence(small_preset_b, fake_release, tmp_path, capsys):
    release = fake_release()
    del release["backbone.pos_embed"]
    assert main(["convert", str(write(release, tmp_path / "release.pth")), str(tmp_path / "b.safetensors")]) == 2
    error = capsys.readouterr().err
    assert "missing backbone.pos_embed (1 in all)" in error
    assert error.count("\n") == 1
