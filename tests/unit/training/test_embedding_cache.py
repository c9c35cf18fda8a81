"""Embeddings are computed once per image content and encoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from inter2former.errors import ImageReadError
from inter2former.frame import WorkingFrame, resize_to_working
from inter2former.model.normalise import normalised_input
from inter2former.training.embedding_cache import EmbeddingCache


@pytest.fixture
def encoder(network):
    """An encoder that counts how often it runs."""
    network.encoder.runs = 0

    def count(*_):
        network.encoder.runs += 1

    network.encoder.register_forward_hook(count)
    return network.encoder


@pytest.fixture
def image_file(tmp_path, photo):
    path = tmp_path / "a.png"
    Image.fromarray(photo(90, 130)).save(path)
    return path


def test_an_embedding_is_computed_once(encoder, image_file, tmp_path):
    cache = EmbeddingCache(tmp_path / "cache", encoder, size=64)
    assert not cache.holds(image_file)
    first = cache.get(image_file)
    assert cache.holds(image_file)
    again = EmbeddingCache(tmp_path / "cache", encoder, size=64).get(image_file)
    assert encoder.runs == 1
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not list(tmp_path.rglob("*.part"))


def test_it_is_what_the_encoder_gives(encoder, image_file, tmp_path, photo):
    cached = EmbeddingCache(tmp_path / "cache", encoder, size=64).get(image_file)
    working = resize_to_working(photo(90, 130), WorkingFrame.fit(130, 90, size=64))
    np.testing.assert_array_equal(cached.image, working)
    with torch.inference_mode():
        expected = encoder(normalised_input(working, stride=16)).embedding[0].half().numpy()
    assert (cached.embedding.dtype, cached.embedding.shape) == (np.float16, (256, 3, 4))
    np.testing.assert_array_equal(cached.embedding, expected)


def test_the_key_is_the_content_not_the_name(encoder, image_file, tmp_path, photo):
    cache = EmbeddingCache(tmp_path / "cache", encoder, size=64)
    cache.get(image_file)
    image_file.rename(tmp_path / "b.png")
    assert cache.holds(tmp_path / "b.png")
    Image.fromarray(photo(90, 130, 1)).save(image_file)
    assert not cache.holds(image_file)


def test_the_key_has_the_encoder_and_the_size(encoder, image_file, tmp_path, new_network):
    EmbeddingCache(tmp_path / "cache", encoder, size=64).get(image_file)
    assert EmbeddingCache(tmp_path / "cache", new_network(0).encoder, size=64).holds(image_file)
    assert not EmbeddingCache(tmp_path / "cache", new_network(1).encoder, size=64).holds(image_file)
    assert not EmbeddingCache(tmp_path / "cache", encoder, size=48).holds(image_file)


def test_an_unreadable_image_is_refused(encoder, tmp_path):
    (tmp_path / "a.png").write_text("no image")
    cache = EmbeddingCache(tmp_path / "cache", encoder, size=64)
    with pytest.raises(ImageReadError, match=r"a\.png: no image that can be read"):
        cache.get(tmp_path / "a.png")
    assert not cache.holds(tmp_path / "a.png")


def test_another_process_may_write_the_same_entry_meanwhile(encoder, image_file, tmp_path, monkeypatch):
    cache, save = EmbeddingCache(tmp_path / "cache", encoder, size=64), np.save

    def overtaken(path, array):
        monkeypatch.setattr(np, "save", save)
        save(path, array)
        EmbeddingCache(tmp_path / "cache", encoder, size=64).get(image_file)

    monkeypatch.setattr(np, "save", overtaken)
    assert cache.get(image_file).image.shape == (44, 64, 3)
    assert encoder.runs == 2
    assert not list(tmp_path.rglob("*.part"))
