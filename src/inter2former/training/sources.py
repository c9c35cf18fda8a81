"""Puts the sources of a run's batches together, as the settings share out its steps."""

from __future__ import annotations

from collections.abc import Sequence

from inter2former.data.sample import Dataset
from inter2former.data.shards import ShardDataset
from inter2former.data.synthetic import SyntheticConfig, SyntheticSource
from inter2former.data.synthetic_folder import Material
from inter2former.training.batches import CropSource, Mixture
from inter2former.training.crops import CropSampler
from inter2former.training.embedding_cache import EmbeddingCache
from inter2former.training.live import AnnotatedImages, LiveSampler, annotated_target, made_up_target, whole_photo
from inter2former.training.settings import TrainingSettings

__all__ = ["cached_share", "make_source", "photo_source"]


def cached_share(settings: TrainingSettings) -> float:
    """Share of the steps that use cached embeddings."""
    return max(0.0, 1 - settings.live_share - settings.synthetic_share)


def make_source(
    settings: TrainingSettings,
    datasets: Sequence[Dataset],
    *,
    cache: EmbeddingCache,
    shards: Sequence[ShardDataset] = (),
    backgrounds: Sequence[Material] = (),
    foregrounds: Sequence[Material] = (),
) -> CropSource:
    """The source that `live_share` and `synthetic_share` describe.

    Args:
        settings: shares, sizes and the seed.
        datasets: for cached embeddings and for live pictures.
        cache: of embeddings.
        shards: for live pictures only.
        backgrounds: photos for made-up pictures.
        foregrounds: cut-outs for made-up pictures; none: these are procedural.

    Raises:
        ValueError: a share without data for it, or data without a share.
    """
    _check(settings, datasets, shards, backgrounds)
    if cached_share(settings) == 1:
        return CropSampler(datasets, cache, settings)
    parts: list[tuple[CropSource, float]] = []
    if cached_share(settings) > 0:
        parts.append((CropSampler(datasets, cache, settings), cached_share(settings)))
    if settings.live_share > 0:
        images: list[AnnotatedImages] = [*datasets, *shards]
        names = ", ".join(source.name for source in images)
        parts.append((LiveSampler(names, annotated_target(images, settings), settings), settings.live_share))
    if settings.synthetic_share > 0:
        made_up = made_up_target(_generators(settings, backgrounds, foregrounds), settings)
        parts.append((LiveSampler("made-up pictures", made_up, settings), settings.synthetic_share))
    return Mixture(parts, seed=settings.seed)


def photo_source(settings: TrainingSettings, photos: Sequence[Material]) -> CropSource:
    """A source of photos without labels; what `live_share` and `synthetic_share` say has no meaning here.

    Raises:
        ValueError: there are no photos.
    """
    if not photos:
        raise ValueError("there are no photos to train on; give folders of images")
    return LiveSampler(", ".join(folder.name for folder in photos), whole_photo(photos), settings)


def _check(
    settings: TrainingSettings,
    datasets: Sequence[Dataset],
    shards: Sequence[ShardDataset],
    backgrounds: Sequence[Material],
) -> None:
    if shards and not settings.live_share:
        raise ValueError(
            f"{shards[0].name} consists of shards, whose embeddings are not cached; set live_share above 0, or give a "
            "folder"
        )
    if cached_share(settings) and not datasets:
        raise ValueError(
            "there is no data for the steps with cached embeddings; give folders, or set live_share and "
            "synthetic_share so that they add up to 1"
        )
    if settings.live_share and not (datasets or shards):
        raise ValueError("live_share is above 0, but there is no data for it; give folders or shards")
    if settings.synthetic_share and not backgrounds:
        raise ValueError("synthetic_share is above 0, but there are no photos to lay objects over; give backgrounds")
    if backgrounds and not settings.synthetic_share:
        raise ValueError("there are backgrounds for made-up pictures, but synthetic_share is 0; set it, or leave them")


def _generators(
    settings: TrainingSettings, backgrounds: Sequence[Material], foregrounds: Sequence[Material]
) -> list[tuple[SyntheticSource, float]]:
    photos = tuple(file for material in backgrounds for file in material.files)
    cut_outs = tuple(file for material in foregrounds for file in material.files)
    thin = settings.synthetic_thin_share
    shares = (
        (SyntheticConfig(settings.synthetic_size), 1 - thin),
        (SyntheticConfig.thin(settings.synthetic_size), thin),
    )
    return [(SyntheticSource(photos, cut_outs, config, settings.seed), share) for config, share in shares if share]
