"""`segment`: files written, numbers printed, every mistake in one sentence."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
from PIL import Image

from inter2former.cli.segment import parse_click
from inter2former.prompt import Click

CLICKS = ("--click", "65,45", "--click", "20,12,-")


def test_mask_and_overlay_are_written(run, photo_file, small, tmp_path, predictor):
    out, overlay = tmp_path / "mask.png", tmp_path / "overlay.png"
    result = run("segment", photo_file, *CLICKS, "--out", out, "--overlay", overlay, *small)
    assert result.code == 0
    assert result.out.startswith(f"{out}: ")
    assert result.err == ""
    predictor.add_click(65, 45)
    expected = predictor.add_click(20, 12, False).mask
    with Image.open(out) as mask:
        np.testing.assert_array_equal(np.asarray(mask), expected * np.uint8(255))
    with Image.open(overlay) as picture:
        assert (picture.mode, picture.size) == ("RGB", (130, 90))


def test_json(run, photo_file, small, tmp_path):
    out = tmp_path / "mask.png"
    result = run("segment", photo_file, *CLICKS, "--out", out, "--json", "--threads", 1, *small)
    values = json.loads(result.out)
    with Image.open(out) as mask:
        assert values["area"] == np.count_nonzero(np.asarray(mask))
    assert (values["width"], values["height"]) == (130, 90)
    assert values["clicks"] == [{"x": 65, "y": 45, "positive": True}, {"x": 20, "y": 12, "positive": False}]
    assert len(values["click_ms"]) == 2
    assert min(values["encode_ms"], *values["click_ms"]) > 0
    assert 0 <= values["score"] <= 1


def test_mistakes_in_one_sentence(refused, photo_file, small, tmp_path, random_weights):
    text = tmp_path / "notes.txt"
    text.write_text("no image, no weights")
    out = ("--out", tmp_path / "mask.png")

    def sentence(image=photo_file, clicks=CLICKS, out=out, more=small):
        return refused("segment", image, *clicks, *out, *more)

    assert "absent.jpg: there is no such file" in sentence(image=tmp_path / "absent.jpg")
    assert "notes.txt: no image that can be read" in sentence(image=text)
    assert "click (130, 5) lies outside the 130x90 image" in sentence(clicks=("--click", "130,5"))
    assert "cannot read weights from" in sentence(more=("--weights", text))
    assert "no weights at" in sentence(more=("--weights", tmp_path / "absent"))
    assert "unknown preset 'q'" in sentence(more=(*small, "--preset", "q"))
    assert "size is 3, wanted" in sentence(more=("--weights", random_weights, "--size", 3))
    assert "threads is 0" in sentence(more=(*small, "--threads", 0))
    assert not (tmp_path / "mask.png").exists()
    assert "there is no folder" in sentence(out=("--out", tmp_path / "absent" / "mask.png"))
    assert "masks are saved as PNG" in sentence(out=("--out", tmp_path / "mask.jpg"))
    absent = sentence(more=(*small, "--overlay", tmp_path / "absent" / "o.png"))
    assert "cannot write the overlay to" in absent
    assert absent.endswith("absent/o.png: No such file or directory")
    assert "o.what: give a name that ends in .png" in sentence(more=(*small, "--overlay", tmp_path / "o.what"))
    assert "o.psd: no picture can be saved as PSD" in sentence(more=(*small, "--overlay", tmp_path / "o.psd"))


def test_nothing_is_written_over_the_photo(refused, photo_file, small, tmp_path):
    before, mask = photo_file.read_bytes(), tmp_path / "mask.png"
    (tmp_path / "link.png").symlink_to(photo_file)
    for name in (photo_file, tmp_path / "link.png"):
        assert f"--out is {name}, the image itself" in refused("segment", photo_file, *CLICKS, "--out", name, *small)
    more = ("segment", photo_file, *CLICKS, "--out", mask, *small, "--overlay")
    assert f"--overlay is {photo_file}, the image itself" in refused(*more, photo_file)
    assert f"--overlay is {mask}, also where the mask goes" in refused(*more, mask)
    assert photo_file.read_bytes() == before
    assert not mask.exists()


@pytest.mark.parametrize("text", ["5", "5,6,7", "5,6,-,-", "a,b", "5,,-", "5.5,6", ""])
def test_a_malformed_click_is_wrong_usage(run, photo_file, text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}' is no click; write X,Y in pixels"):
        parse_click(text)
    result = run("segment", photo_file, "--click", text, "--out", "mask.png")
    assert result.code == 2
    assert f"argument --click: '{text}' is no click" in result.err
    assert "Traceback" not in result.err


def test_clicks_are_read():
    assert parse_click("5,6") == parse_click("5,6,+") == Click(5, 6)
    assert parse_click("0, 12,-") == Click(0, 12, positive=False)
