"""Files that are whole or absent, and files that one process at a time holds."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

if sys.platform != "win32":
    import fcntl

__all__ = ["UNFINISHED_NAME", "hold", "replacing", "write_whole"]

UNFINISHED_NAME = re.compile(r"\.[0-9a-f]{16}\.part")
"""The names of what `replacing` has not finished; a writer that was killed leaves one."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file beside its place; it takes the place when the block ends well, and nothing stays when it does not.

    Several processes may write the same file: that of the last one stands, whole.

    Args:
        path: where it goes, in a folder that is there; an existing file is replaced.
    Returns:
        the stream to write to; every `OSError` of the block counts as one of writing.
    Raises:
        OSError: it cannot be written; the error names `path`.
    """
    target = Path(path)
    # Opened by plain `open` rather than tempfile, which would leave the file readable by its owner only.
    unfinished = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with unfinished.open("xb") as stream:
            yield stream
        os.replace(unfinished, target)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(target)) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], content: str) -> None:
    """Write a text in UTF-8 as `replacing` does.

    Raises:
        OSError: it cannot be written; the error names `path`.
    """
    with replacing(path) as stream:
        stream.write(content.encode("utf-8"))


def hold(file: IO[Any]) -> bool:
    """Keep other processes from holding an open file until this one closes it or dies; nothing is kept on Windows.

    Returns:
        whether it is held now; False: another process, or another opening of the file in this one, has it.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True
