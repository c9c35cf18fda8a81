"""A run from its folder, for a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from inter2former.evaluation.protocol import Protocol
from inter2former.evaluation.records import Problem, RunHeader, SessionRecord
from inter2former.evaluation.run_folder import read_header, read_records
from inter2former.evaluation.summary import run_protocol

__all__ = ["LoadedRun", "load_run"]


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run with all its records.

    Attributes:
        header: of the run.
        protocol: that it followed.
        sessions: finished ones, in the order of the data set.
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
    records = list(read_records(folder))
    sessions = tuple(record for record in records if isinstance(record, SessionRecord))
    problems = tuple(record for record in records if isinstance(record, Problem))
    return LoadedRun(header, protocol, sessions, problems)
