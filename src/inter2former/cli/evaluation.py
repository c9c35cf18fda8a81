"""The evaluation behind `inter2former evaluate`: from options to records, with progress, to a summary."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from contextlib import ExitStack

from inter2former.cli.progress import ProgressBar
from inter2former.clicks.realistic import RealisticClicker
from inter2former.data.layouts import open_dataset
from inter2former.data.sample import Dataset
from inter2former.device import usable_device
from inter2former.evaluation.header import run_header
from inter2former.evaluation.job import Job, Task
from inter2former.evaluation.protocol import protocol_named
from inter2former.evaluation.records import Record, SessionRecord
from inter2former.evaluation.run_folder import RunWriter
from inter2former.evaluation.runner import ENGINES, Engine, evaluate_here, tasks_of
from inter2former.evaluation.segmenters.choice import segmenter_factory
from inter2former.evaluation.summary import Summary, summarise, summarise_run

__all__ = ["evaluated"]


def evaluated(options: argparse.Namespace) -> Summary:
    """Run the evaluation that the options describe, with progress on the error stream.

    Raises:
        DataError, RunError, ValueError, WeightsError: the data set, the folder of the run, an option or the weights
            cannot be used.
    """
    for name in ("clicks", "seeds", "every", "limit", "workers", "threads"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise ValueError(f"--{name} is {value}; it must be at least 1")
    usable_device(options.device)
    job = _job(options)
    images = len(tasks_of(len(job.dataset), shard=options.shard))
    with ExitStack() as stack:
        writer, after = None, None
        if options.out is not None:
            header = run_header(
                job,
                options.protocol,
                images=images,
                threads=options.threads,
                workers=options.workers,
                shard=options.shard,
            )
            writer = stack.enter_context(RunWriter(options.out, header))
            if (finished := writer.finished).index >= 0:
                after = Task(finished.index, finished.sessions, finished.problems)
        tasks = tasks_of(len(job.dataset), shard=options.shard, after=after)
        records = _engine(options)(job, tasks, options.workers, options.threads)
        records = _watched(records, stack.enter_context(ProgressBar(len(tasks), "images")), job.clicks)
        if writer is None:
            return summarise(job.dataset.name, records, job.clicks, job.protocol)
        for record in records:
            writer.write(record)
    return summarise_run(options.out)


def _job(options: argparse.Namespace) -> Job:
    dataset = _dataset(options)
    return Job(
        dataset=dataset.subset(range(len(dataset))[:: options.every][: options.limit]),
        segmenter=segmenter_factory(
            options.model,
            preset=options.preset,
            weights=options.weights,
            size=options.size,
            device=options.device,
            embeddings=options.embeddings,
            encoder=options.encoder,
            precision=options.precision,
        ),
        protocol=protocol_named(options.protocol),
        clicks=options.clicks,
        clicker=RealisticClicker() if options.clicker == "realistic" else None,
        seeds=options.seeds,
        strict_data=options.strict_data,
    )


def _dataset(options: argparse.Namespace) -> Dataset:
    dataset = open_dataset(options.dataset, options.kind, split=options.split, images=options.images)
    if options.split is not None and options.split != dataset.split:
        state = f"is of the split {dataset.split!r}" if dataset.split else "does not say of which split it is"
        raise ValueError(f"--split is {options.split}, but {options.dataset} {state}; leave --split out")
    return dataset


def _engine(options: argparse.Namespace) -> Engine:
    alone = options.workers == 1 and options.engine == "local"
    return evaluate_here if alone else ENGINES[options.engine]


def _watched(records: Iterable[Record], bar: ProgressBar, clicks: int) -> Iterator[Record]:
    """Pass records through and show how many images are done: one is when the next has its first record."""
    images, index, at, total, sessions = 0, -1, min(5, clicks), 0.0, 0
    text = ""
    for record in records:
        if record.index != index:
            images, index = images + (index >= 0), record.index
            bar.show(images, text)
        if isinstance(record, SessionRecord):
            total, sessions = total + float(record.ious(clicks)[at - 1]), sessions + 1
            text = f"mean IoU after {at} clicks {total / sessions:.4f}"
        yield record
    bar.show(images + (index >= 0), text)
