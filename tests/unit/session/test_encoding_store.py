"""Tensors come back as they went; what is damaged counts as missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inter2former.model.inter2former import EncodedImage
from inter2former.session.encoding_store import EncodingStore

IMAGE = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
ENCODED = EncodedImage(
    torch.arange(24.0).reshape(1, 2, 3, 4) / 7,
    (
        torch.tensor([1e-30, float("inf")]).reshape(1, 1, 1, 2),
        torch.arange(36.0).reshape(1, 3, 3, 4).contiguous(memory_format=torch.channels_last),
    ),
)


@pytest.fixture
def store(tmp_path):
    return EncodingStore(tmp_path / "kept", weights_hash="ab" * 32, size=1024)


def only_file(store):
    (path,) = store.folder.iterdir()
    return path


def test_tensors_come_back_bit_by_bit(store):
    assert store.get(IMAGE) is None
    assert not store.holds(IMAGE)
    store.put(IMAGE, ENCODED)
    assert store.holds(IMAGE)
    found = store.get(IMAGE.copy())
    assert len(found.edges) == 2
    for tensor, expected in zip((found.embedding, *found.edges), (ENCODED.embedding, *ENCODED.edges), strict=True):
        assert torch.equal(tensor, expected)
        assert tensor.stride() == expected.stride()


def test_what_cannot_be_written_leaves_nothing(store, monkeypatch):
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        store.put(IMAGE, ENCODED)
    assert not list(store.folder.iterdir())


def test_another_image_network_or_size_has_its_own(store, tmp_path):
    store.put(IMAGE, ENCODED)
    assert store.get(IMAGE[:, ::-1]) is None
    assert store.get(IMAGE.reshape(7, 5, 3)) is None
    for weights_hash, size in (("cd" * 32, 1024), ("ab" * 32, 512)):
        assert EncodingStore(tmp_path / "kept", weights_hash=weights_hash, size=size).get(IMAGE) is None
    assert EncodingStore(tmp_path / "kept", weights_hash="ab" * 32, size=1024).get(IMAGE) is not None


def test_what_is_only_read_is_not_added_to(store, tmp_path):
    store.put(IMAGE, ENCODED)
    reader = EncodingStore(tmp_path / "kept", weights_hash="ab" * 32, size=1024, read_only=True)
    assert torch.equal(reader.get(IMAGE).embedding, ENCODED.embedding)
    reader.put(IMAGE[::-1], ENCODED)
    assert len(list(store.folder.iterdir())) == 1
    with pytest.raises(ValueError, match=r"kept holds no encodings of this network at 512 px; make them first"):
        EncodingStore(tmp_path / "kept", weights_hash="ab" * 32, size=512, read_only=True)
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_damage_is_noticed_wherever_it_is(store):
    store.put(IMAGE, ENCODED)
    path = only_file(store)
    whole = path.read_bytes()
    for place in (3, 40, len(whole) // 2, len(whole) - 1):
        spoilt = bytearray(whole)
        spoilt[place] ^= 0x41
        path.write_bytes(spoilt)
        assert store.get(IMAGE) is None, place
    for length in (0, 5, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert store.get(IMAGE) is None, length
    store.put(IMAGE, ENCODED)
    assert store.get(IMAGE) is not None
    assert only_file(store).read_bytes() == whole
