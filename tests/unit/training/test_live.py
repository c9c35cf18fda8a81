"""Live batches: pictures from files, shards and the generator, with the target where the object is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from inter2former.data.folder import open_folder
from inter2former.data.shard_writer import write_shards
from inter2former.data.shards import open_shards
from inter2former.data.synthetic import SyntheticConfig, SyntheticSource
from inter2former.data.synthetic_cutouts import list_images
from inter2former.data.synthetic_folder import Material
from inter2former.errors import DataError
from inter2former.training.batches import Mixture
from inter2former.training.crops import CropSampler
from inter2former.training.embedding_cache import EmbeddingCache
from inter2former.training.live import LiveSampler, annotated_target, made_up_target
from inter2former.training.losses import IGNORE
from inter2former.training.sources import make_source


@pytest.fixture
def live(settings):
    return dataclasses.replace(settings, live_share=1.0, live_sides=(60, 200))


@pytest.fixture
def folder(make_folder):
    """White discs on black, so that the target can be seen in the pixels."""
    y, x = np.mgrid[:90, :130]
    disc = (y - 40) ** 2 + (x - 70) ** 2 < 30**2
    return make_folder("discs", {"a": (np.repeat(disc[..., None] * np.uint8(255), 3, axis=2), disc)})


def test_a_batch_is_its_step_and_the_target_is_the_object(folder, live):
    sampler = LiveSampler("discs", annotated_target([open_folder(folder)], live), live)
    for step in range(4):
        batch = sampler.batch(step)
        assert batch.embedding is None
        assert (batch.image.dtype, batch.image.shape) == (torch.float32, (2, 3, 64, 64))
        assert (batch.target.dtype, batch.target.shape) == (torch.uint8, (2, 1, 64, 64))
        for one, again in zip(batch, sampler.batch(step), strict=True):
            assert one is again is None or torch.equal(one, again)
        bright = batch.image.mean(dim=1) > 0
        inside = batch.target[:, 0] != IGNORE
        agreement = (bright == (batch.target[:, 0] == 1))[inside].float().mean()
        assert agreement > 0.96
        assert (batch.target == 1).flatten(1).sum(1).min() >= live.min_object_pixels
    assert not torch.equal(sampler.batch(0).image, sampler.batch(1).image)


def test_shards_give_the_same_batches_as_files(folder, live, tmp_path):
    write_shards(tmp_path / "shards", open_folder(folder))
    from_files = LiveSampler("a", annotated_target([open_folder(folder)], live), live)
    from_shards = LiveSampler("b", annotated_target([open_shards(tmp_path / "shards")], live), live)
    for one, other in zip(from_files.batch(2), from_shards.batch(2), strict=True):
        assert one is other is None or torch.equal(one, other)


def test_undecided_pixels_are_ignored(make_folder, live, photo, disc):
    trimap = np.where(disc(), 255, 0).astype(np.uint8)
    trimap[:, :60] = 128
    sampler = LiveSampler(
        "a", annotated_target([open_folder(make_folder("set", {"a": (photo(), trimap)}))], live), live
    )
    batch = sampler.batch(0)
    assert (batch.target == IGNORE).any()
    assert (batch.target == 1).any()


def test_made_up_pictures(folder, live):
    source = SyntheticSource(list_images(folder / "images"), config=SyntheticConfig(size=128))
    batch = LiveSampler("made up", made_up_target([(source, 1.0)], live), live).batch(0)
    assert (batch.target == 1).flatten(1).any(dim=1).all()
    assert batch.image.shape == (2, 3, 64, 64)


def test_bad_data_is_named(folder, live, make_folder, photo, disc):
    sampler = LiveSampler("discs", annotated_target([open_folder(folder)], live), live)
    with pytest.raises(DataError, match="no object of 5000 pixels in 20 draws from discs"):
        LiveSampler("discs", sampler.draw, dataclasses.replace(live, min_object_pixels=5000)).batch(0)
    Image.fromarray(photo(130, 90)).save(folder / "images" / "a.png")
    with pytest.raises(DataError, match=r"discs.images.a\.png"):
        sampler.batch(0)
    nothing = open_folder(make_folder("dots", {"a": (photo(), disc() & ~disc())}))
    with pytest.raises(DataError, match="no object of 20 pixels in 20 draws from dots"):
        LiveSampler("dots", annotated_target([nothing], live), live).batch(0)


@pytest.fixture
def source_of(folder, network, tmp_path):
    """Puts a source together: `source_of(settings, **what is given)`."""

    def make(settings, datasets=True, **given):
        cache = EmbeddingCache(tmp_path / "cache", network.encoder, size=settings.size)
        return make_source(settings, [open_folder(folder)] if datasets else [], cache=cache, **given)

    return make


def test_shares_decide_what_a_source_is(source_of, settings, live, folder):
    photos = [Material("discs", "", None, list_images(folder / "images"))]
    assert isinstance(source_of(settings), CropSampler)
    assert len(source_of(live).sources) == 1
    mixed = dataclasses.replace(settings, live_share=0.25, synthetic_share=0.5, synthetic_size=96)
    mixture = source_of(mixed, backgrounds=photos)
    assert isinstance(mixture, Mixture)
    np.testing.assert_allclose(mixture.probability, [0.25, 0.25, 0.5])
    embeddings = {mixture.batch(step).embedding is None for step in range(12)}
    assert embeddings == {True, False}


def test_contradictions_are_refused(source_of, settings, live, folder, tmp_path):
    photos = [Material("discs", "", None, list_images(folder / "images"))]
    write_shards(tmp_path / "shards", open_folder(folder))
    shards = [open_shards(tmp_path / "shards")]
    made_up = dataclasses.replace(settings, synthetic_share=1.0)
    with pytest.raises(ValueError, match="discs consists of shards, whose embeddings are not cached"):
        source_of(settings, shards=shards)
    with pytest.raises(ValueError, match="no data for the steps with cached embeddings"):
        source_of(settings, datasets=False)
    with pytest.raises(ValueError, match="live_share is above 0, but there is no data for it"):
        source_of(live, datasets=False)
    with pytest.raises(ValueError, match="synthetic_share is above 0, but there are no photos"):
        source_of(made_up)
    with pytest.raises(ValueError, match="backgrounds for made-up pictures, but synthetic_share is 0"):
        source_of(settings, backgrounds=photos)
    assert source_of(live, datasets=False, shards=shards).batch(0).image.shape == (2, 3, 64, 64)
