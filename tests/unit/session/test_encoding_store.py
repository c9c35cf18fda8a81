"""Tensors come back as they went; what is damaged counts as missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inter2former.evaluation.embeddings import EmbeddingStore

IMAGE = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
TENSORS = {"embedding": torch.arange(24.0).reshape(1, 2, 3, 4) / 7, "edges0": torch.tensor([[1e-30, float("inf")]])}


@pytest.fixture
def store(tmp_path):
    return EmbeddingStore(tmp_path / "kept", weights_hash="ab" * 32, size=1024)


def only_file(store):
    (path,) = store.folder.iterdir()
    return path


def test_tensors_come_back_bit_by_bit(store):
    assert store.get(IMAGE) is None
    store.put(IMAGE, TENSORS)
    found = store.get(IMAGE.copy())
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert torch.equal(found[name], tensor)


def test_another_image_network_or_size_has_its_own(store, tmp_path):
    store.put(IMAGE, TENSORS)
    assert store.get(IMAGE[:, ::-1]) is None
    assert store.get(IMAGE.reshape(7, 5, 3)) is None
    for weights_hash, size in (("cd" * 32, 1024), ("ab" * 32, 512)):
        assert EmbeddingStore(tmp_path / "kept", weights_hash=weights_hash, size=size).get(IMAGE) is None
    assert EmbeddingStore(tmp_path / "kept", weights_hash="ab" * 32, size=1024).get(IMAGE) is not None


def test_damage_is_noticed_wherever_it_is(store):
    store.put(IMAGE, TENSORS)
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
    store.put(IMAGE, TENSORS)
    assert store.get(IMAGE) is not None
    assert only_file(store).read_bytes() == whole
