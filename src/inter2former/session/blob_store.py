"""Compiled graphs on disk: what takes a second to compile is read in a few hundredths."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inter2former.files import replacing
from inter2former.user_cache import user_cache

__all__ = ["BlobStore"]

_CHECKSUM = hashlib.sha256().digest_size
_KEPT = 8


class BlobStore:
    """A folder of at most eight byte strings by key, the least used given up first; damaged entries count as missing.

    A folder that cannot be written to keeps nothing, which costs time and changes no result; `problem` says so.

    Attributes:
        folder: where they lie; it is made when the first one is kept.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Name the folder, which nothing else uses."""
        self.folder = Path(folder)
        self._problem: OSError | None = None

    @classmethod
    def of_user(cls) -> BlobStore:
        """The store in the user's cache folder, see `user_cache`."""
        return cls(user_cache() / "compiled")

    @property
    def problem(self) -> str | None:
        """Why the last entry could not be kept; None where it could, or none was to be kept."""
        return None if self._problem is None else f"{self.folder}: {self._problem.strerror}"

    def get(self, key: str) -> NDArray[np.uint8] | None:
        """Read what `put` wrote; None where there is nothing, or nothing whole.

        Args:
            key: letters and digits.
        Returns:
            (n,) bytes, of which there is no second copy.
        """
        path = self._path(key)
        try:
            data = np.fromfile(path, np.uint8)
        except OSError:
            return None
        checksum, blob = data[:_CHECKSUM].tobytes(), data[_CHECKSUM:]
        if checksum != hashlib.sha256(blob.data).digest():
            return None
        try:
            os.utime(path)  # the age of an entry is the time since its last use
        except OSError:
            pass  # somebody else's folder, to be read only
        return blob

    def put(self, key: str, blob: bytes) -> None:
        """Keep an entry; the file appears complete or not at all.

        Args:
            key: letters and digits.
            blob: what to keep.
        """
        path = self._path(key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as stream:  # several processes may write the same entry
                stream.write(hashlib.sha256(blob).digest() + blob)
            self._give_up_the_oldest()
            self._problem = None
        except OSError as error:
            self._problem = error

    def _give_up_the_oldest(self) -> None:
        entries = sorted(self.folder.glob("*.blob"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in entries[_KEPT:]:
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.blob"
