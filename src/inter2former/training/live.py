"""Batches of pictures that are drawn as they come, real ones augmented or made-up ones; the network encodes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from inter2former.data.sample import Annotation
from inter2former.data.synthetic import SyntheticSource
from inter2former.data.synthetic_folder import Material
from inter2former.data.transforms import Blur, ColourJitter, Crop, Flip, Jpeg, Noise, Picture, ResizeRange, apply
from inter2former.errors import DataError
from inter2former.images import load_image
from inter2former.training.batches import Batch, draw_batch, padded_pixels, padded_target
from inter2former.training.crops import ATTEMPTS, source_probability
from inter2former.training.losses import IGNORE
from inter2former.training.objects import ObjectSampling, draw_objects, merged
from inter2former.training.settings import TrainingSettings

__all__ = ["AnnotatedImages", "LiveSampler", "annotated_target", "made_up_target", "whole_photo"]

_LOOKS = (ColourJitter(), Blur(), Noise(), Jpeg())


class AnnotatedImages(Protocol):
    """Images with their objects, from files or shards."""

    @property
    def name(self) -> str:
        """Of the data set."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def annotation(self, index: int) -> Annotation:
        """The objects of image number `index`."""
        ...

    def image(self, index: int) -> NDArray[np.uint8]:
        """Image number `index`, (H, W, 3) uint8 RGB, upright."""
        ...


class LiveSampler:
    """Draws pictures with one target each, changes them at random and crops them around the target."""

    def __init__(self, name: str, draw: Callable[[Generator], Picture | None], settings: TrainingSettings) -> None:
        """Keep what is needed to draw.

        Args:
            name: what the pictures are, for messages.
            draw: a picture whose label 1 is the target; None where a draw came to nothing.
            settings: sides, sizes and the seed.
        """
        self.name = name
        self.draw = draw
        self.settings = settings

    def batch(self, step: int, *, rank: int = 0, processes: int = 1) -> Batch:
        """The batch of one step; with several processes each draws its share of the same side.

        Raises:
            DataError, ImageReadError: a file cannot be used, or there are hardly any objects large enough.
        """
        return draw_batch(self.settings, step, rank, processes, self._crop)

    def _crop(self, rng: Generator, side: int) -> Batch:
        geometry = (ResizeRange(*self.settings.live_sides), Flip(), Crop(side))
        for _ in range(ATTEMPTS):
            picture = self.draw(rng)
            if picture is None:
                continue
            picture = apply(geometry, picture, rng)
            if np.count_nonzero(picture.labels == 1) < self.settings.min_object_pixels:
                continue
            picture = apply(_LOOKS, picture, rng)
            target = (picture.labels == 1).astype(np.uint8)
            if picture.ignore is not None:
                target[picture.ignore] = IGNORE
            window = padded_target(target, 0, 0, side, fill=IGNORE)
            return Batch(padded_pixels(picture.image, side), None, torch.from_numpy(window)[None, None])
        raise DataError(
            f"no object of {self.settings.min_object_pixels} pixels in {ATTEMPTS} draws from {self.name}; check the "
            "masks, or lower min_object_pixels"
        )


def annotated_target(
    datasets: Sequence[AnnotatedImages], settings: TrainingSettings
) -> Callable[[Generator], Picture | None]:
    """A function that draws an image of some data sets with one target on it.

    Data sets come as often as their weights say, objects as `draw_objects` says.

    Returns:
        draws a picture with labels 0 and 1; None: the image has no object. Raises DataError or ImageReadError where a
        file cannot be used.
    """
    probability = source_probability([dataset.name for dataset in datasets], settings)
    sampling = ObjectSampling(settings.merge_probability, settings.max_merged_objects)

    def draw(rng: Generator) -> Picture | None:
        dataset = datasets[int(rng.choice(len(datasets), p=probability))]
        index = int(rng.integers(len(dataset)))
        annotation = dataset.annotation(index)
        positions = draw_objects(rng, annotation.areas(), sampling)
        if not positions:
            return None
        mask, ignore = merged(annotation, positions)
        image = dataset.image(index)
        if image.shape[:2] != mask.shape:
            raise DataError(
                f"the mask of {annotation.image_path} is {mask.shape[1]}x{mask.shape[0]}, but the upright image is "
                f"{image.shape[1]}x{image.shape[0]}; give the mask the image's size"
            )
        return Picture(image, mask.view(np.uint8), ignore)

    return draw


def whole_photo(material: Sequence[Material]) -> Callable[[Generator], Picture | None]:
    """A function that draws a photo without labels, all of which counts as the target.

    Args:
        material: folders of photos; each photo comes as often as any other.

    Returns:
        draws a picture with label 1 everywhere. Raises ImageReadError where a file cannot be used.
    """
    files = [file for folder in material for file in folder.files]

    def draw(rng: Generator) -> Picture | None:
        image = load_image(files[int(rng.integers(len(files)))])
        return Picture(image, np.ones(image.shape[:2], dtype=np.uint8))

    return draw


def made_up_target(
    sources: Sequence[tuple[SyntheticSource, float]], settings: TrainingSettings
) -> Callable[[Generator], Picture | None]:
    """A function that makes a picture up and draws one target on it.

    Args:
        sources: with the share of the pictures that each makes.
        settings: how objects are merged.

    Returns:
        draws a picture with labels 0 and 1; None: no object was large enough to count.
    """
    shares = np.array([share for _, share in sources], dtype=np.float64)
    sampling = ObjectSampling(settings.merge_probability, settings.max_merged_objects)

    def draw(rng: Generator) -> Picture | None:
        source, _ = sources[int(rng.choice(len(sources), p=shares / shares.sum()))]
        image, labels, _ = source.picture(int(rng.integers(2**31)))
        areas = np.bincount(labels.ravel())[1:].astype(np.float64)
        positions = draw_objects(rng, areas, sampling)
        return Picture(image, _one_target(labels, positions)) if positions else None

    return draw


def _one_target(labels: NDArray[np.integer], positions: list[int]) -> NDArray[np.uint8]:
    return np.isin(labels, np.array(positions) + 1).astype(np.uint8)
