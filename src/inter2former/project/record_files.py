"""The files images/PATH.json of a project: where the record of each image is, read and written as a whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from inter2former.errors import ProjectError
from inter2former.project.files import read_object, write_atomic
from inter2former.project.migrate import migrate_record
from inter2former.project.overview import pretty
from inter2former.project.records import ImageRecord, record_from_json, record_to_json

__all__ = ["RecordFiles"]

_ENDING = ".json"
_LONGEST_NAME = 255
_HASHED = re.compile(r"[0-9a-f]{64}")


class RecordFiles:
    """The records of all images, one file each."""

    def __init__(self, folder: Path) -> None:
        """Name the folder that holds them."""
        self.folder = folder

    def file(self, path: str) -> Path:
        """Where the record of an image is; a name too long for one more ending is replaced by the path's SHA-256."""
        *folders, name = path.split("/")
        if len(name.encode()) + len(_ENDING) > _LONGEST_NAME:
            name = hashlib.sha256(path.encode()).hexdigest()
        return self.folder.joinpath(*folders, name + _ENDING)

    def paths(self) -> Iterator[str]:
        """The paths of all images that have a file, in no order.

        Raises:
            ProjectError: a file whose name is a hash is damaged.
        """
        for file in self.folder.rglob(f"*{_ENDING}"):
            path = file.relative_to(self.folder).as_posix().removesuffix(_ENDING)
            if _HASHED.fullmatch(file.stem):
                path = str(read_object(file).get("image", {}).get("path", path))
            yield path

    def read(self, path: str, labels: Mapping[str, int]) -> ImageRecord | None:
        """Read a record; None: there is no file.

        Args:
            path: of the image.
            labels: id of each label by name, for files of schema 0.
        Raises:
            ProjectError: the file is damaged, made by a later version, or speaks of another image.
        """
        file = self.file(path)
        if not file.is_file():
            return None
        try:
            record = record_from_json(migrate_record(read_object(file), str(file), labels))
        except ValueError as error:
            raise ProjectError(f"{file}: is damaged: {error}; correct it or put back a good copy") from error
        if record.path != path:
            raise ProjectError(f"{file}: speaks of {record.path!r:.200}; it must lie where its image.path says")
        return record

    def write(self, record: ImageRecord) -> None:
        """Write a record in place of the former one.

        Raises:
            ProjectError: it cannot be written.
        """
        write_atomic(self.file(record.path), pretty(record_to_json(record)))
