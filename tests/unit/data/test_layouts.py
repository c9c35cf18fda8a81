"""`open_dataset` knows layouts by what lies there, and says so where it knows none."""

from __future__ import annotations

import numpy as np
import pytest

from inter2former.data.layouts import KINDS, open_dataset
from inter2former.errors import DataError


def test_a_plain_folder(make_folder):
    assert (open_dataset(make_folder()).name, open_dataset(make_folder("other")).split) == ("tiny", "")
    assert open_dataset(make_folder("again"), "folder", split="val").name == "again"


def test_a_relative_path_has_the_folder_s_name(make_folder, monkeypatch):
    monkeypatch.chdir(make_folder())
    assert open_dataset(".").identity(0) == "tiny/0"


def test_what_is_not_known_is_said(tmp_path, write_text, make_folder):
    with pytest.raises(DataError, match=r"there is nothing at .*absent; give the folder or JSON file"):
        open_dataset(tmp_path / "absent")
    with pytest.raises(DataError, match=rf"{tmp_path} is in no known layout \(davis: JPEGImages.*; folder: images and"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match=r"notes\.txt is in no known layout"):
        open_dataset(write_text("notes.txt", "to read"))
    with pytest.raises(ValueError, match=f"no kind of data set 'voc'; the kinds are {', '.join(KINDS)}"):
        open_dataset(tmp_path, "voc")
    with pytest.raises(ValueError, match=r"images is photos, but .*tiny is no JSON file"):
        open_dataset(make_folder(), images="photos")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_is_not_there_is_one_sentence(tmp_path, kind):
    with pytest.raises(DataError, match=str(tmp_path)):
        open_dataset(tmp_path, kind)


def test_a_lists_that_cannot_be_read_is_named(tmp_path, write_image):
    write_image("set/img/a.jpg")
    (tmp_path / "set" / "inst").mkdir()
    (tmp_path / "set" / "val.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"cannot read the list .*val\.txt: .*; give a text file"):
        open_dataset(tmp_path / "set")


def test_subfolders_alone_are_no_plain_folder(make_folder):
    folder = make_folder()
    for path in (folder / "masks").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"tiny has no files in images/ or none in masks/"):
        open_dataset(folder)
    assert np.all([path.suffix == ".png" for path in (folder / "images").iterdir()])
