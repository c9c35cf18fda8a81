"""Files that are whole or absent: written beside their place, brought to the disk, then renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from inter2former.errors import ProjectError
from inter2former.files import UNFINISHED_NAME, replacing

__all__ = ["now", "read_object", "remove_unfinished", "sync_folder", "write_atomic"]


def now() -> str:
    """The present moment in UTC, such as 2026-11-21T10:15:30.123Z."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file that appears complete or not at all, and is on the disk when this returns.

    Args:
        path: where it goes; an existing file is replaced, missing folders are made.
        content: all of it.

    Raises:
        ProjectError: it cannot be written.
    """
    try:
        _make_folder(path.parent)
        with replacing(path) as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        sync_folder(path.parent)
    except OSError as error:
        raise ProjectError(
            f"{path}: cannot be written ({error.strerror or error}); check the folder's rights and free space"
        ) from error


def sync_folder(folder: Path) -> None:
    """Bring the names of a folder to the disk; Windows does so by itself and cannot be asked to."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unfinished(folder: Path) -> None:
    """Remove what a writer that was killed left half-written, in a folder and all below it."""
    for found in folder.rglob(".*.part"):
        if UNFINISHED_NAME.fullmatch(found.name):
            with suppress(OSError):
                found.unlink()


def read_object(path: Path) -> Mapping[str, Any]:
    """Read a file that holds one JSON object.

    Raises:
        ProjectError: it cannot be read or holds something else.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ProjectError(f"{path}: cannot be read ({error.strerror or error}); check that it is there") from error
    except (ValueError, RecursionError) as error:
        raise ProjectError(f"{path}: is no JSON ({error}); put back a good copy of it") from error
    if not isinstance(value, Mapping):
        raise ProjectError(f"{path}: holds no JSON object; put back a good copy of it")
    return value


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each brought to the disk."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        sync_folder(new.parent)
