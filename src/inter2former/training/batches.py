"""Training batches: what they hold, where they can come from, and preparing them while the network is busy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from inter2former.config import STRIDE
from inter2former.model.normalise import normalised_input
from inter2former.training.settings import TrainingSettings

__all__ = ["Batch", "CropSource", "Mixture", "Prefetched", "draw_batch", "padded_pixels", "padded_target"]


class Batch(NamedTuple):
    """What one step learns from.

    Attributes:
        image: (B, 3, S, S) normalised crops.
        embedding: (B, C, S/16, S/16) the same crops of the whole images' embeddings; None: the network encodes the
            crops itself.
        target: (B, 1, S, S) uint8: 0 background, 1 object, 255 ignored.
    """

    image: Tensor
    embedding: Tensor | None
    target: Tensor


class CropSource(Protocol):
    """Where batches come from; a batch depends on nothing but the source, the step and the process."""

    def batch(self, step: int, *, rank: int = 0, processes: int = 1) -> Batch:
        """The batch of one step; each of several processes gets its share of crops of one side.

        Raises:
            DataError, ImageReadError: a file cannot be used; the message names it.
        """
        ...


def draw_batch(
    settings: TrainingSettings, step: int, rank: int, processes: int, crop: Callable[[Generator, int], Batch]
) -> Batch:
    """Draw the side of a step's crops, then the crops.

    Args:
        settings: sides, tokens per step and the seed.
        step: of the run.
        rank: of the process.
        processes: among which the step's crops are shared out; all draw the same side.
        crop: draws one crop of a side in pixels, as a batch of one.
    """
    weights = np.array(settings.crop_weights)
    side = int(np.random.default_rng((settings.seed, step)).choice(settings.crop_sides, p=weights / weights.sum()))
    count = max(1, settings.tokens_per_step * STRIDE**2 // (side * side * processes))
    rng = np.random.default_rng((settings.seed, step, rank))
    images, embeddings, targets = zip(*(crop(rng, side) for _ in range(count)), strict=True)
    cached = [embedding for embedding in embeddings if embedding is not None]
    return Batch(torch.cat(images), torch.cat(cached) if cached else None, torch.cat(targets))


def padded_pixels(pixels: NDArray[np.uint8], side: int) -> Tensor:
    """A crop, (h, w, 3) uint8 with sides of at most `side`, normalised; beyond it its rim is repeated.

    Returns:
        (1, 3, side, side) float32.
    """
    below, right = side - pixels.shape[0], side - pixels.shape[1]
    return normalised_input(np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge"), stride=STRIDE)


def padded_target(plane: NDArray[np.uint8], top: int, left: int, side: int, *, fill: int) -> NDArray[np.uint8]:
    """The window of a plane at (top, left), (side, side) uint8; `fill` beyond the plane."""
    window = plane[top : top + side, left : left + side]
    out = np.full((side, side), fill, dtype=np.uint8)
    out[: window.shape[0], : window.shape[1]] = window
    return out


class Mixture:
    """Several sources, one of which gives the batch of a step; all processes draw the same one."""

    def __init__(self, sources: Sequence[tuple[CropSource, float]], *, seed: int) -> None:
        """Keep sources with their shares.

        Raises:
            ValueError: no source has a share above 0, or a share is below 0.
        """
        shares = np.array([share for _, share in sources], dtype=np.float64)
        if not (shares > 0).any() or (shares < 0).any():
            raise ValueError(
                f"the shares of the sources are {shares.tolist()}; wanted numbers >= 0, at least one above"
            )
        self.sources = [source for source, _ in sources]
        self.probability = shares / shares.sum()
        self.seed = seed

    def batch(self, step: int, *, rank: int = 0, processes: int = 1) -> Batch:
        """The batch of the source that this step is given to.

        Raises:
            DataError, ImageReadError: as the source.
        """
        # Numbers that no crop of this step is drawn from: those are (seed, step) and (seed, step, rank).
        index = np.random.default_rng((self.seed, step, 0, 2)).choice(len(self.sources), p=self.probability)
        return self.sources[int(index)].batch(step, rank=rank, processes=processes)


class Prefetched:
    """A source whose next batches are prepared by threads meanwhile; the batches are the same.

    Threads suffice: decoding, resizing and compressing run outside of Python's lock.
    """

    def __init__(self, source: CropSource, threads: int) -> None:
        """Start the threads; as many batches are prepared ahead.

        Raises:
            ValueError: fewer than one thread.
        """
        if threads < 1:
            raise ValueError(f"cannot prepare batches in {threads} threads; give at least 1")
        self.source = source
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="batch")
        self._coming: dict[tuple[int, int, int], Future[Batch]] = {}

    def batch(self, step: int, *, rank: int = 0, processes: int = 1) -> Batch:
        """The source's batch, most often ready.

        Raises:
            DataError, ImageReadError: as the source, at the step that meets the file.
        """
        for ahead in range(step, step + self.threads + 1):
            key = (ahead, rank, processes)
            if key not in self._coming:
                self._coming[key] = self._pool.submit(self.source.batch, ahead, rank=rank, processes=processes)
        # Batches of steps gone by are those of a run that began anew; nobody will ask for them.
        self._coming = {key: coming for key, coming in self._coming.items() if key[0] >= step}
        return self._coming.pop((step, rank, processes)).result()

    def close(self) -> None:
        """Stop the threads; batches that were not asked for are dropped."""
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Prefetched:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
