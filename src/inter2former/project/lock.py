"""One writer per folder: a lock that the system itself drops when its holder dies, however it dies."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

from inter2former.errors import ProjectError, ProjectLockedError
from inter2former.project.files import now

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["FolderLock"]

# Windows locks bytes for readers too; this one lies behind everything that the file says.
_LOCKED_BYTE = 1 << 20


class FolderLock:
    """A file that is locked while its folder is written to and says who does.

    The file stays when the lock is released; only the lock in the system counts, not that the file is there.
    """

    def __init__(self, path: Path, holder: str) -> None:
        """Take the lock.

        Args:
            path: of the lock file; made where it is missing.
            holder: what the file says about the holder, such as a command; process, machine and time are added.
        Raises:
            ProjectLockedError: somebody else holds it; the message names them.
            ProjectError: the file cannot be made or locked.
        """
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise ProjectError(
                f"{path}: cannot be opened ({error.strerror or error}); check the folder's rights"
            ) from error
        try:
            self._lock()
        except (BlockingIOError, PermissionError):
            says = self._read()
            os.close(self._descriptor)
            raise ProjectLockedError(
                f"{path.parent}: is in use by {says}; close it there first, or work on a copy of the folder"
            ) from None
        except OSError as error:
            os.close(self._descriptor)
            raise ProjectError(
                f"{path}: cannot be locked ({error.strerror or error}); put the folder on a drive that has file locks"
            ) from error
        about = {"holder": holder, "process": os.getpid(), "machine": socket.gethostname(), "since": now()}
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, json.dumps(about).encode())

    def release(self) -> None:
        """Let others write; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _lock(self) -> None:
        if sys.platform == "win32":
            os.lseek(self._descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(self._descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _read(self) -> str:
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            about = json.loads(os.read(self._descriptor, 4096))
            return f"{about['holder']} (process {about['process']} on {about['machine']}, since {about['since']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another program"
