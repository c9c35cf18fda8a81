"""Shards of one run, evaluated apart and joined into the run that one process would have made."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Sequence
from pathlib import Path

from inter2former.errors import RunError
from inter2former.evaluation.records import Problem, RunHeader
from inter2former.evaluation.run_folder import RunWriter, differing_field, is_run, read_header, read_records

__all__ = ["merge_runs"]

# A shard covers its own images; the rest says where things were, not what came of them.
_OWN = frozenset({"objects", "shard"})


def merge_runs(folders: Sequence[Path], out: Path) -> RunHeader:
    """Join the shards of one run, in the data set's order.

    Args:
        folders: all shards, each finished.
        out: where the joined run goes; must not hold a run.
    Returns:
        the header of the joined run. Where processors or numbers of processes differed, it says so.
    Raises:
        RunError: the runs do not belong together, one is missing, twice there or not finished, or `out` holds a run.
    """
    if is_run(out):
        raise RunError(f"{out} holds a run already; give another folder")
    headers = [read_header(folder) for folder in folders]
    for folder, header in zip(folders, headers, strict=True):
        if field := differing_field(headers[0], header, but=_OWN):
            raise RunError(f"{folders[0]} and {folder} are no shards of one run: {field}")
    _check_shards(folders, headers)
    _check_records(folders, headers)
    merged = _joined(headers)
    with RunWriter(out, merged) as writer:
        for record in heapq.merge(*(read_records(folder) for folder in folders), key=lambda record: record.index):
            writer.write(record)
    return merged


def _check_shards(folders: Sequence[Path], headers: Sequence[RunHeader]) -> None:
    """Every shard is there once."""
    seen: dict[int, Path] = {}
    shards = 0
    for folder, header in zip(folders, headers, strict=True):
        number, _, count = str(header.settings.get("shard", "")).partition("/")
        if not number.isdecimal() or not count.isdecimal():
            raise RunError(f"{folder} is no shard; shards are written by evaluate --shard I/N --out")
        shards = shards or int(count)
        if int(count) != shards:
            raise RunError(f"{folder} is one of {count} shards, {folders[0]} one of {shards}")
        if int(number) in seen:
            raise RunError(f"{folder} and {seen[int(number)]} are both shard {number}/{shards}; give each once")
        seen[int(number)] = folder
    missing = [f"{number}/{shards}" for number in range(1, shards + 1) if number not in seen]
    if missing:
        raise RunError(f"shard {', '.join(missing)} is missing; evaluate it with --shard and name its folder too")


def _check_records(folders: Sequence[Path], headers: Sequence[RunHeader]) -> None:
    """Every shard is finished, and nothing is there twice."""
    seen: set[tuple[str, int]] = set()
    for folder, header in zip(folders, headers, strict=True):
        images = set()
        for record in read_records(folder):
            images.add(record.index)
            key = (record.id, -1 if isinstance(record, Problem) else record.seed)
            if key in seen:
                raise RunError(f"{folder} holds {record.id} a second time; the shards overlap")
            seen.add(key)
        if len(images) != header.objects:
            raise RunError(
                f"{folder} is not finished: {len(images)} of {header.objects} images; run its evaluation again"
            )


def _joined(headers: Sequence[RunHeader]) -> RunHeader:
    first = headers[0]
    workers = {header.workers for header in headers}
    return dataclasses.replace(
        first,
        objects=sum(header.objects for header in headers),
        settings={name: value for name, value in first.settings.items() if name != "shard"},
        cpu=", ".join(sorted({header.cpu for header in headers})),
        workers=workers.pop() if len(workers) == 1 else 0,
    )
