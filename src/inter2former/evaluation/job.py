"""One image after another through the click loop: what every process of a run does."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inter2former.clicks.realistic import RealisticClicker
from inter2former.data.sample import Annotation, Dataset, Sample
from inter2former.errors import DataError, ImageReadError
from inter2former.evaluation.click_loop import evaluate_session
from inter2former.evaluation.protocol import STRICT, Protocol
from inter2former.evaluation.records import Problem, Record, SessionRecord, whole_microseconds
from inter2former.evaluation.segmenter import Segmenter, SegmenterFactory
from inter2former.evaluation.segmenters.mirrored import MirroredSegmenter
from inter2former.images import load_image
from inter2former.machine import peak_memory, use_threads

__all__ = ["ImageEvaluator", "Job", "Task", "image_folder"]


@dataclass(frozen=True, slots=True)
class Job:
    """What is measured and how; can be pickled, so that other processes can do a part of it.

    Attributes:
        dataset: the images.
        segmenter: how each process makes its own.
        protocol: how clicks are simulated and masks compared.
        clicks: per session, at most; >= 1.
        clicker: a simulated person instead of the protocol's rule.
        seeds: simulated users per object, numbered from 0; >= 1.
        strict_data: stop at the first object that cannot be evaluated instead of counting it.

    Raises:
        ValueError: a number out of range, or several seeds where nothing is drawn.
    """

    dataset: Dataset
    segmenter: SegmenterFactory
    protocol: Protocol = STRICT
    clicks: int = 20
    clicker: RealisticClicker | None = None
    seeds: int = 1
    strict_data: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        for name in ("clicks", "seeds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.seeds > 1 and self.clicker is None and self.protocol.tie_break != "random":
            raise ValueError(
                f"seeds is {self.seeds}, but this user draws nothing and would click the same {self.seeds} times; "
                "ask for the realistic clicker, or for one seed"
            )


@dataclass(frozen=True, slots=True)
class Task:
    """One image of a job.

    Attributes:
        index: place of the image in the data set.
        sessions: id and seed of its sessions that an earlier run finished.
        problems: ids of its problems that an earlier run counted.
    """

    index: int
    sessions: frozenset[tuple[str, int]] = frozenset()
    problems: frozenset[str] = frozenset()


class ImageEvaluator:
    """A job with its segmenter made; one per process."""

    def __init__(self, job: Job, threads: int | None = None) -> None:
        """Make the segmenter, or two where the protocol wants the mirror image too.

        Args:
            job: what to do.
            threads: threads of the whole process's tensor operations; None: leave as it is.
        Raises:
            ValueError, WeightsError: the segmenter cannot be made, or less than one thread.
        """
        use_threads(threads)
        self.job = job
        self._segmenter: Segmenter = job.segmenter.make()
        if job.protocol.flip:
            self._segmenter = MirroredSegmenter(self._segmenter, job.segmenter.make())
        self._base = image_folder(job.dataset)

    def evaluate(self, task: Task) -> Iterator[Record]:
        """Evaluate all objects of one image, object by object and for each seed by seed.

        Args:
            task: the image.
        Returns:
            sessions and problems, as soon as they are there.
        Raises:
            DataError: the first problem, where the job is strict about its data.
        """
        for record in self._records(task):
            if isinstance(record, Problem):
                if self.job.strict_data:
                    raise DataError(record.reason)
                if record.id in task.problems:
                    continue
            yield record

    def _records(self, task: Task) -> Iterator[Record]:
        dataset, started = self.job.dataset, time.perf_counter()
        try:
            annotation = dataset.annotation(task.index)
            image: NDArray[np.uint8] | None = load_image(dataset.image_path(task.index))
            assert image is not None
            _check_size(annotation, image)
            if not len(annotation):
                raise DataError(annotation.nothing())
        except (DataError, ImageReadError) as error:
            yield Problem(dataset.identity(task.index), str(error), task.index)
            return
        read, encode = time.perf_counter() - started, 0.0
        for sample in self._samples(annotation):
            if isinstance(sample, Problem):
                yield dataclasses.replace(sample, index=task.index)
                continue
            for seed in range(self.job.seeds):
                if (sample.id, seed) in task.sessions:
                    continue
                if image is not None:
                    encoding = time.perf_counter()
                    self._segmenter.encode(image)
                    encode, image = time.perf_counter() - encoding, None
                yield self._session(sample, seed, task.index, read, encode)
                read = encode = 0.0

    def _samples(self, annotation: Annotation) -> Iterator[Sample | Problem]:
        """The objects that the protocol asks for, or what is wrong with them."""
        if self.job.protocol.objects == "union":
            try:
                yield _union(annotation)
            except DataError as error:
                yield Problem(annotation.id, str(error))
            return
        for position in range(len(annotation)):
            try:
                yield annotation.sample(position)
            except DataError as error:
                yield Problem(annotation.sample_id(position), str(error))

    def _session(self, sample: Sample, seed: int, index: int, read: float, encode: float) -> SessionRecord:
        job = self.job
        record = evaluate_session(
            self._segmenter, sample, job.protocol, clicks=job.clicks, clicker=job.clicker, seed=seed
        )
        return dataclasses.replace(
            record,
            image=_relative(sample.image_path, self._base),
            index=index,
            read_seconds=whole_microseconds(read),
            encode_seconds=whole_microseconds(encode),
            peak_bytes=peak_memory(),
        )


def image_folder(dataset: Dataset) -> Path:
    """The folder that the records' image paths are relative to."""
    return dataset.root if dataset.root.is_dir() else dataset.root.parent


def _relative(path: Path, base: Path) -> str:
    return (path.relative_to(base) if path.is_relative_to(base) else path.absolute()).as_posix()


def _check_size(annotation: Annotation, image: NDArray[np.uint8]) -> None:
    height, width = annotation.shape
    if image.shape[:2] != (height, width):
        raise DataError(
            f"the mask of {annotation.image_path} is {width}x{height}, but the upright image is "
            f"{image.shape[1]}x{image.shape[0]}; give both one size"
        )


def _union(annotation: Annotation) -> Sample:
    """All objects of an image as one."""
    mask = np.zeros(annotation.shape, dtype=np.bool_)
    for position in range(len(annotation)):
        mask |= annotation.mask(position)
    if not mask.any():
        raise DataError(annotation.nothing())
    ignored = annotation.ignored()
    ignore = None if ignored is None else ignored & ~mask
    return Sample(annotation.id, annotation.image_path, mask, ignore, annotation.source)
