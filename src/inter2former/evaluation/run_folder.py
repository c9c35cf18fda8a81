"""A run on disk: written so that a kill loses at most the session in hand, read without holding all of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from inter2former.errors import RunError
from inter2former.evaluation.records import (
    ClickRecord,
    Problem,
    Record,
    RunHeader,
    click_from_json,
    problem_from_json,
    record_to_json,
    session_from_json,
)
from inter2former.files import hold, write_whole

__all__ = [
    "HEADER_FILE",
    "RECORDS_FILE",
    "Finished",
    "RunWriter",
    "differing_field",
    "is_run",
    "read_header",
    "read_records",
    "write_header",
]

HEADER_FILE = "run.json"
RECORDS_FILE = "records.jsonl"

# These shape times, or say where things lay, but not what came of them.
_FREE = frozenset({"cpu", "workers", "embeddings", "folder"})


@dataclass(frozen=True, slots=True)
class Finished:
    """How far a run has come; images are finished in the order of the data set.

    Attributes:
        index: the last image with a record, -1 where there is none. All before it are finished.
        sessions: id and seed of that image's finished sessions.
        problems: ids of that image's problems.
        count: finished sessions and problems of the whole run.
    """

    index: int = -1
    sessions: frozenset[tuple[str, int]] = frozenset()
    problems: frozenset[str] = frozenset()
    count: int = 0


class RunWriter:
    """A run's folder, open for more records; begins a new run or goes on with one that was interrupted.

    Attributes:
        folder: where it lies.
        finished: what the folder already held.
    """

    def __init__(self, folder: Path, header: RunHeader) -> None:
        """Make the folder, or open one that holds the same run and drop what a kill left unfinished.

        Args:
            folder: is made where it is missing.
            header: of the run; what shapes its results must equal what the folder says.
        Raises:
            RunError: another run's folder, a damaged one, or one that another process writes to.
            OSError: it cannot be written.
        """
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / RECORDS_FILE
        self._file: BinaryIO = path.open("ab")
        try:
            # Before the header is looked for: of two processes that begin a run only one may write it.
            if not hold(self._file):
                raise RunError(f"another process writes to {folder}; wait for it, or give another folder")
            _begin(folder, header, empty=not path.stat().st_size)
            self.finished, length = _scan(path)
            self._file.truncate(length)
        except BaseException:
            self._file.close()
            raise

    def write(self, record: Record) -> None:
        """Append a finished session or a problem; it is with the operating system when this returns."""
        self._file.write(b"".join(json.dumps(line).encode("ascii") + b"\n" for line in record_to_json(record)))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _begin(folder: Path, header: RunHeader, *, empty: bool) -> None:
    """Write the header of a new run, or make sure that the folder holds this one."""
    if (folder / HEADER_FILE).exists():
        if field := differing_field(read_header(folder), header):
            raise RunError(f"{folder} holds another run: {field}; give another folder, or delete this one")
    elif not empty:
        raise RunError(f"{folder} holds {RECORDS_FILE} but no {HEADER_FILE}; give another folder")
    else:
        write_header(folder, header)


def is_run(folder: Path) -> bool:
    """Whether the folder holds a run."""
    return (folder / HEADER_FILE).is_file()


def read_header(folder: Path) -> RunHeader:
    """Read the header of a run.

    Raises:
        RunError: the folder holds no run, or the header is damaged.
    """
    path = folder / HEADER_FILE
    try:
        return RunHeader(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise RunError(
            f"{folder} holds no run ({HEADER_FILE} is missing); runs are written by evaluate --out"
        ) from None
    except (ValueError, TypeError) as error:
        raise RunError(f"{path} is damaged: {error}; run the evaluation again into a new folder") from error


def write_header(folder: Path, header: RunHeader) -> None:
    """Write the header; the file appears complete or not at all."""
    write_whole(folder / HEADER_FILE, json.dumps(dataclasses.asdict(header), indent=2) + "\n")


def read_records(folder: Path) -> Iterator[Record]:
    """Read the finished sessions and the problems of a run, in the data set's order, one at a time.

    What a kill left unfinished at the end of the file is passed over.

    Raises:
        RunError: the folder holds no run, or a line before the last is damaged.
    """
    read_header(folder)
    path = folder / RECORDS_FILE
    if path.exists():
        for record, _ in _complete(path):
            yield record


def differing_field(first: RunHeader, second: RunHeader, *, but: frozenset[str] = frozenset()) -> str | None:
    """Name the first field that shapes results and differs between two runs.

    Args:
        first: a header.
        second: another.
        but: fields and settings that may differ too.
    Returns:
        such as "settings.clicks is 20 there and 5 here"; None: the runs belong together. The processor, the number of
        processes, kept embeddings and the place of the data set may differ.
    """
    for name in (field.name for field in dataclasses.fields(RunHeader)):
        if name in _FREE | but:
            continue
        one, other = getattr(first, name), getattr(second, name)
        if name not in ("settings", "versions"):
            pairs = [(name, one, other)]
        else:
            pairs = [(f"{name}.{key}", one.get(key), other.get(key)) for key in sorted({*one, *other} - _FREE - but)]
        for label, left, right in pairs:
            if _plain(left) != _plain(right):
                return f"{label} is {_plain(left)} there and {_plain(right)} here"
    return None


def _plain(value: object) -> str:
    """A value as JSON has it: a tuple and the list that it was read back as are one."""
    return json.dumps(value, sort_keys=True)


def _scan(path: Path) -> tuple[Finished, int]:
    """Find how far a run has come, and the length of the file up to there."""
    finished, length = Finished(), 0
    for record, end in _complete(path):
        length = end
        if record.index != finished.index:
            finished = Finished(record.index, count=finished.count)
        if isinstance(record, Problem):
            finished = replace(finished, problems=finished.problems | {record.id}, count=finished.count + 1)
        else:
            sessions = finished.sessions | {(record.id, record.seed)}
            finished = replace(finished, sessions=sessions, count=finished.count + 1)
    return finished, length


def _complete(path: Path) -> Iterator[tuple[Record, int]]:
    """Yield each finished session and problem with the position in the file where its lines end."""
    clicks: list[ClickRecord] = []
    for number, line, end in _lines(path):
        try:
            if line["kind"] == "click":
                clicks.append(click_from_json(line))
                continue
            if line["kind"] == "session":
                yield session_from_json(line, tuple(clicks)), end
            elif line["kind"] == "problem":
                yield problem_from_json(line), end
            else:
                raise ValueError(f"unknown kind {line['kind']!r}")
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path}, line {number} is damaged: {error}; run the evaluation again") from error
        clicks = []


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any], int]]:
    """Yield number, content and end of each line; one that was cut off at the end of the file is no line."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            end = file.tell()
            try:
                line = json.loads(raw)
                if not isinstance(line, dict):
                    raise ValueError("it is no object")
            except ValueError as error:
                if not file.readline():
                    return
                raise RunError(f"{path}, line {number} is damaged: {error}; run the evaluation again") from error
            if raw.endswith(b"\n"):
                yield number, line, end
