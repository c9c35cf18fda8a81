from __future__ import annotations

import os

import pytest

from inter2former.session.blob_store import BlobStore


@pytest.fixture
def store(tmp_path):
    return BlobStore(tmp_path / "blobs")


def test_gives_back_what_was_put(store):
    assert store.get("a") is None
    store.put("a", b"graph")
    store.put("b", b"")
    assert (store.get("a").tobytes(), store.get("b").tobytes(), store.problem) == (b"graph", b"", None)
    assert {path.suffix for path in store.folder.iterdir()} == {".blob"}


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"", lambda data: b"?" + data[1:]]
)
def test_a_damaged_entry_counts_as_missing(store, damage):
    store.put("a", b"graph")
    path = store.folder / "a.blob"
    path.write_bytes(damage(path.read_bytes()))
    assert store.get("a") is None


def test_keeps_the_eight_used_last(store):
    for number in range(8):
        store.put(f"{number}", bytes([number]))
        os.utime(store.folder / f"{number}.blob", (number, number))
    store.get("0")  # its last use is now
    store.put("8", b"8")
    assert [store.get(f"{number}") is not None for number in range(9)] == [True, False] + [True] * 7


def test_says_why_nothing_is_kept(tmp_path):
    (tmp_path / "file").write_text("no folder")
    store = BlobStore(tmp_path / "file" / "blobs")
    store.put("a", b"graph")
    assert store.get("a") is None
    assert "file/blobs: Not a directory" in store.problem
