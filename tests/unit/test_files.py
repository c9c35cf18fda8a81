"""Files are whole or absent, whoever else writes them; a file is held by one opening at a time."""

from __future__ import annotations

import os
import stat
import sys

import pytest

from inter2former.files import hold, replacing, write_whole


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_is_readable_as_any_other(tmp_path):
    (tmp_path / "plain").touch()
    write_whole(tmp_path / "a.txt", "Käse\n")
    assert (tmp_path / "a.txt").read_bytes() == b"K\xc3\xa4se\n"
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_was_begun_leaves_nothing(tmp_path, error):
    write_whole(tmp_path / "a.txt", "old")

    def write():
        with replacing(tmp_path / "a.txt") as stream:
            stream.write(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_one_file_from_two_writers(tmp_path):
    path = tmp_path / "a.txt"
    with replacing(path) as first:
        first.write(b"first")
        with replacing(path) as second:
            second.write(b"second, longer")
        assert path.read_text() == "second, longer"
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_error_names_the_file(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(tmp_path / "absent" / "a.txt", "text")
    assert caught.value.filename == str(tmp_path / "absent" / "a.txt")
    with pytest.raises(OSError, match="encoder error") as caught, replacing(tmp_path / "a.png"):
        raise OSError("encoder error -2")  # as Pillow does, without a number
    assert caught.value.filename == str(tmp_path / "a.png")
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match=r"No space left on device.*a\.txt"):
        write_whole(tmp_path / "a.txt", "text")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_a_file_is_held_once(tmp_path):
    path = tmp_path / "a.txt"
    with path.open("a") as first, path.open("a") as second:
        assert hold(first)
        assert not hold(second)
    with path.open("a") as third:
        assert hold(third)
