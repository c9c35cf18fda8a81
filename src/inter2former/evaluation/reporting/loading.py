"""A run from its folder, for a report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from inter2former.evaluation.protocol import Protocol
from inter2former.evaluation.records import Problem, RunHeader, SessionRecord
from inter2former.evaluation.run_folder import read_header, read_records
from inter2former.evaluation.summary import run_protocol

__all__ = ["LoadedRun", "load_run", "with_masks"]


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run with all its records but for the masks, which would fill the memory; `with_masks` fetches some.

    Attributes:
        header: of the run.
        protocol: that it followed.
        sessions: finished ones, in the order of the data set, without `mask` and `target`.
        problems: what could not be evaluated.
    """

    header: RunHeader
    protocol: Protocol
    sessions: tuple[SessionRecord, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def clicks(self) -> int:
        """How many clicks were allowed per session: the setting, at least as many as any session has."""
        allowed = self.header.settings.get("clicks")
        return max([allowed if isinstance(allowed, int) else 1, *(len(session.clicks) for session in self.sessions)])

    @property
    def seeds(self) -> list[int]:
        """The seeds of the sessions, ascending."""
        return sorted({session.seed for session in self.sessions})

    @property
    def images(self) -> Path:
        """The folder of the data set during the run, which the sessions' image paths are relative to."""
        return Path(str(self.header.settings.get("folder", ".")))


def load_run(folder: Path) -> LoadedRun:
    """Read a run.

    Raises:
        RunError: the folder holds no run or a damaged one, or its protocol is none of this version.
    """
    header = read_header(folder)
    protocol = run_protocol(folder, header)
    sessions: list[SessionRecord] = []
    problems: list[Problem] = []
    for record in read_records(folder):
        if isinstance(record, Problem):
            problems.append(record)
        else:
            sessions.append(replace(record, mask="", target=""))
    return LoadedRun(header, protocol, tuple(sessions), tuple(problems))


def with_masks(folder: Path, sessions: Iterable[SessionRecord]) -> list[SessionRecord]:
    """Read the masks of some sessions of a run.

    Args:
        folder: of the run.
        sessions: that `load_run` gave.
    Returns:
        the same sessions, whole.
    Raises:
        RunError: the folder holds no run, or a damaged one.
    """
    wanted = [(session.id, session.seed) for session in sessions]
    whole: dict[tuple[str, int], SessionRecord] = {}
    for record in read_records(folder):
        if isinstance(record, SessionRecord) and (record.id, record.seed) in wanted:
            whole[record.id, record.seed] = record
    return [whole[key] for key in wanted]
