"""The journal: one line per prompt and change, only ever appended, on the disk before anybody is told."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from inter2former.errors import ProjectError

__all__ = ["Entry", "Journal", "read_entries"]


class Entry(NamedTuple):
    """One line.

    Attributes:
        value: what it says; `seq` is its number, one more than the line before.
        end: bytes of the journal up to and including this line.
    """

    value: Mapping[str, Any]
    end: int


def read_entries(path: Path, offset: int = 0) -> Iterator[Entry]:
    """Read the journal from a byte on; a last line that was cut off by a crash is not there.

    Args:
        path: of the journal; where it is missing there are no entries.
        offset: where a line begins, such as the `end` of an entry.
    Raises:
        ProjectError: a line that is damaged, with whole lines after it.
    """
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    except OSError as error:
        raise ProjectError(f"{path}: cannot be read ({error.strerror or error}); check the file's rights") from error
    with stream:
        stream.seek(offset)
        end, damaged = offset, 0
        for number, line in enumerate(stream, 1):
            value = _parsed(line)
            if value is None:
                damaged = damaged or number
                continue
            if damaged:
                raise ProjectError(
                    f"{path}: line {damaged} after byte {offset} is damaged; repair or remove that line, or put back a "
                    "good copy of the file"
                )
            end += len(line)
            yield Entry(value, end)


class Journal:
    """The journal opened for appending. Not safe to share between threads: its project has a lock."""

    def __init__(self, path: Path, end: int) -> None:
        """Open, and cut off what a crash left unfinished.

        Args:
            path: of the file; made where it is missing.
            end: bytes of all whole lines.
        Raises:
            ProjectError: it cannot be opened or cut.
        """
        self.path = path
        self.end = end
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            os.ftruncate(self._descriptor, end)
            os.fsync(self._descriptor)
        except OSError as error:
            raise ProjectError(
                f"{path}: cannot be opened ({error.strerror or error}); check the file's rights and free space"
            ) from error

    def append(self, values: Sequence[Mapping[str, Any]]) -> None:
        """Write one line per value; they are on the disk when this returns.

        Raises:
            ProjectError: they cannot be written; the journal is as it was before.
        """
        lines = b"".join(
            json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for value in values
        )
        try:
            os.lseek(self._descriptor, self.end, os.SEEK_SET)
            written = 0
            while written < len(lines):
                written += os.write(self._descriptor, lines[written:])
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, self.end)
            raise ProjectError(
                f"{self.path}: cannot be written ({error.strerror or error}); make room on the disk and try again"
            ) from error
        self.end += len(lines)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _parsed(line: bytes) -> Mapping[str, Any] | None:
    """The object of a whole line; None for half a line or garbage."""
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, Mapping) and type(value.get("seq")) is int else None
