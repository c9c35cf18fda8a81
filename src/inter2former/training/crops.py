"""From annotated images and cached embeddings to training batches: square crops around an object."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inter2former.config import STRIDE
from inter2former.data.sample import Dataset
from inter2former.errors import DataError
from inter2former.frame import WorkingFrame
from inter2former.training.batches import Batch, draw_batch, padded_pixels, padded_target
from inter2former.training.embedding_cache import EmbeddingCache
from inter2former.training.losses import IGNORE
from inter2former.training.objects import ObjectSampling, draw_objects, merged
from inter2former.training.settings import TrainingSettings

__all__ = ["CropSampler", "source_probability"]

ATTEMPTS = 20


class CropSampler:
    """Draws crops; the draw of a step depends on nothing but the seed, the step and the process."""

    def __init__(self, datasets: Sequence[Dataset], cache: EmbeddingCache, settings: TrainingSettings) -> None:
        """Keep what is needed to draw."""
        self.datasets = datasets
        self.cache = cache
        self.settings = settings
        self.sampling = ObjectSampling(settings.merge_probability, settings.max_merged_objects)
        self.source_probability = source_probability([dataset.name for dataset in datasets], settings)

    def batch(self, step: int, *, rank: int = 0, processes: int = 1) -> Batch:
        """The batch of one step; with several processes each draws its share of the same side.

        Raises:
            DataError: an annotation or mask cannot be read or is not of its image's size, or there are hardly any
                objects large enough.
        """
        return draw_batch(self.settings, step, rank, processes, self._crop)

    def _crop(self, rng: np.random.Generator, side: int) -> Batch:
        settings = self.settings
        for _ in range(ATTEMPTS):
            dataset = self.datasets[int(rng.choice(len(self.datasets), p=self.source_probability))]
            annotation = dataset.annotation(int(rng.integers(len(dataset))))
            positions = draw_objects(rng, annotation.areas(), self.sampling)
            if not positions:
                continue
            mask, ignore = merged(annotation, positions)
            cached = self.cache.get(annotation.image_path)
            frame = WorkingFrame.fit(mask.shape[1], mask.shape[0], size=settings.size, stride=STRIDE)
            content = (frame.content_height, frame.content_width)
            if cached.image.shape[:2] != content:
                raise DataError(
                    f"the mask of {annotation.image_path} is {mask.shape[1]}x{mask.shape[0]}, but the upright image "
                    "has another aspect; give the mask the image's size"
                )
            target = _resized_target(mask, ignore, content)
            top, left = _crop_origin(rng, target, side)
            window = padded_target(target, top, left, side, fill=IGNORE)
            if np.count_nonzero(window == 1) >= settings.min_object_pixels:
                pixels = np.ascontiguousarray(cached.image[top : top + side, left : left + side])
                embedding = _cut_embedding(cached.embedding, top, left, side)
                return Batch(padded_pixels(pixels, side), embedding, torch.from_numpy(window)[None, None])
        raise DataError(
            f"no object of {settings.min_object_pixels} pixels in {ATTEMPTS} draws from "
            f"{', '.join(dataset.name for dataset in self.datasets)}; check the masks, or lower min_object_pixels"
        )


def source_probability(names: Sequence[str], settings: TrainingSettings) -> NDArray[np.float64]:
    """(N,) how likely each data set is drawn, by the weight of its name in the settings."""
    weight_of = dict(settings.source_weights)
    weights = np.array([weight_of.get(name, 1.0) for name in names])
    return np.asarray(weights / weights.sum())


def _resized_target(
    mask: NDArray[np.bool_], ignore: NDArray[np.bool_] | None, shape: tuple[int, int]
) -> NDArray[np.uint8]:
    height, width = shape
    smooth = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    target = (smooth > 0.5).astype(np.uint8)
    if ignore is not None:
        undecided = cv2.resize(ignore.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        target[undecided > 0] = IGNORE
    return target


def _crop_origin(rng: np.random.Generator, target: NDArray[np.uint8], side: int) -> tuple[int, int]:
    """Top and left of a crop, on the token grid, that holds a pixel of the object drawn at random."""
    inside = np.flatnonzero(target == 1)
    if inside.size == 0:
        return 0, 0
    y, x = divmod(int(inside[rng.integers(inside.size)]), target.shape[1])
    return tuple(_origin(rng, at, side, length) for at, length in zip((y, x), target.shape, strict=True))  # type: ignore[return-value]


def _origin(rng: np.random.Generator, at: int, side: int, length: int) -> int:
    """Draw a multiple of the stride from which `side` pixels hold `at` and, if they can, stay on the padded axis."""
    padded = -(-length // STRIDE) * STRIDE
    low, high = max(0, at - side + 1), min(at, max(0, padded - side))
    return STRIDE * int(rng.integers(-(-low // STRIDE), high // STRIDE + 1))


def _cut_embedding(embedding: NDArray[np.float16], top: int, left: int, side: int) -> Tensor:
    """The crop's tokens; beyond the image the last token is repeated, as the pixels are."""
    tokens = side // STRIDE
    rows, columns = slice(top // STRIDE, top // STRIDE + tokens), slice(left // STRIDE, left // STRIDE + tokens)
    window = np.asarray(embedding[:, rows, columns], dtype=np.float32)
    pad = ((0, 0), (0, tokens - window.shape[1]), (0, tokens - window.shape[2]))
    return torch.from_numpy(np.pad(window, pad, mode="edge"))[None]
