"""`precompute`: every image once, the bad ones named, and what is kept is what `segment` takes."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from inter2former.session.engine import Engine


@pytest.fixture
def photos(tmp_path, photo):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.jpg", "more/c.png")):
        Image.fromarray(photo(seed=number)).save(folder / name)
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image either")
    return folder


def test_each_image_is_encoded_once(run, photos, small, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first = run("precompute", photos, "--cache", cache, "--json", *small)
    assert first.code == 0
    values = json.loads(first.out)
    assert (values["encoded"], values["kept"], len(values["refused"])) == (3, 0, 1)
    assert "broken.png" in values["refused"][0]
    assert "passed over: " in first.err
    assert len(list(cache.glob("*/*.safetensors"))) == 3
    segment = ("segment", photos / "a.png", "--click", "65,45", *small)
    assert run(*segment, "--out", tmp_path / "without.png").code == 0
    monkeypatch.setattr(Engine, "_encoded", lambda *arguments: pytest.fail("it was kept"))
    second = run("precompute", photos, "--cache", cache, *small)
    assert second.out == f"{cache}: 0 images encoded, 3 were there already, 1 passed over\n"
    assert run(*segment, "--cache", cache, "--out", tmp_path / "with.png").code == 0
    assert (tmp_path / "with.png").read_bytes() == (tmp_path / "without.png").read_bytes()


def test_mistakes_in_one_sentence(run, small, tmp_path, photos, monkeypatch):
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, message in ((tmp_path / "absent", "is no folder"), (empty, "no image in")):
        result = run("precompute", folder, "--cache", tmp_path / "cache", *small)
        assert result.code == 2
        assert message in result.err
        assert result.err.count("\n") == 1
    monkeypatch.setattr("inter2former.cli.precompute.SPARE", 1 << 62)
    full = run("precompute", photos, "--cache", tmp_path / "cache", *small)
    assert full.code == 2
    assert "are kept free" in full.err
