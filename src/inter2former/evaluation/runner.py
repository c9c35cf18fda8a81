"""A data set through the click loop, in one process or several; the records come in the data set's order."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import torch

from inter2former.data.folder import FolderDataset
from inter2former.evaluation.protocol import SessionRecord, evaluate_sample
from inter2former.predictor import Predictor

__all__ = ["PredictorOptions", "evaluate_dataset"]


@dataclass(frozen=True, slots=True)
class PredictorOptions:
    """How each process makes its `Predictor`; the fields are that class's arguments."""

    preset: str = "inter2former-t"
    weights: str | None = None
    size: int = 1024
    threads: int | None = None

    def make(self) -> Predictor:
        """Build the predictor."""
        return Predictor(self.preset, weights=self.weights, size=self.size, threads=self.threads)


def evaluate_dataset(
    dataset: FolderDataset, options: PredictorOptions, *, clicks: int, workers: int = 1
) -> Iterator[SessionRecord]:
    """Evaluate every object of a data set.

    Args:
        dataset: the images.
        options: the network.
        clicks: per object.
        workers: processes; with more than one the threads are shared out, so that latencies are those of fewer threads.
    Returns:
        the records, one per object, in order and as soon as they are there.
    """
    if workers == 1:
        yield from _evaluate_here(dataset, options.make(), range(len(dataset)), clicks)
        return
    threads = max(1, (options.threads or torch.get_num_threads()) // workers)
    shared = PredictorOptions(options.preset, options.weights, options.size, threads)
    # Not forked: a forked process may inherit a lock that a thread of torch holds.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(dataset, shared, clicks)) as pool:
        for records in pool.map(_evaluate_image, range(len(dataset))):
            yield from records


def _evaluate_here(
    dataset: FolderDataset, predictor: Predictor, indices: range, clicks: int
) -> Iterator[SessionRecord]:
    for index in indices:
        for number, sample in enumerate(dataset.annotation(index).samples()):
            yield evaluate_sample(predictor, sample, clicks=clicks, encode=number == 0)


_worker: tuple[FolderDataset, Predictor, int] | None = None


def _start_worker(dataset: FolderDataset, options: PredictorOptions, clicks: int) -> None:
    global _worker  # a process pool hands state to its tasks in no other way
    _worker = dataset, options.make(), clicks


def _evaluate_image(index: int) -> list[SessionRecord]:
    assert _worker is not None
    dataset, predictor, clicks = _worker
    return list(_evaluate_here(dataset, predictor, range(index, index + 1), clicks))
