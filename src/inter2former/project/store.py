"""The project folder as an object: open it, change it, and be sure that what was acknowledged is on the disk.

    project.json           labels, settings, where the images are
    images/PATH.json       one per image that anything is known about: objects, masks, prompts
    journal.jsonl          every prompt and change, in order
    lock                   who is writing

A change is checked, appended to the journal, brought to the disk, and only then acknowledged. The other files follow
when an object is committed; what they lack after a crash is made up from the end of the journal.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from inter2former.errors import ProjectError
from inter2former.project.changes import Change, apply_change, identify_image
from inter2former.project.files import now, read_object, remove_unfinished, write_atomic
from inter2former.project.journal import Journal, read_entries
from inter2former.project.library import PROJECT_FILE, ImageState, Library
from inter2former.project.lock import FolderLock
from inter2former.project.migrate import migrate_project
from inter2former.project.overview import Overview, ProjectInfo, info_from_json, info_to_json, pretty
from inter2former.project.record_files import RecordFiles
from inter2former.project.records import SCHEMA, ImageRecord, Label, label_to_json

__all__ = ["Project"]

JOURNAL_FILE = "journal.jsonl"

_KEPT_RECORDS = 64
_CHECKPOINT_EVERY = 1000
_PUBLISHED = frozenset({"commit", "put", "edit", "remove", "order", "status", "attributes", "identify"})


class Project:
    """A project folder, opened for reading or, by one process at a time, for writing. Safe to share between threads.

    Example:
        >>> with Project.create("plates", images="photos") as project:
        ...     cup = project.add_label("cup", "#1e90ff")
        ...     record = project.identify("table.jpg")
    """

    def __init__(self, folder: str | os.PathLike[str], *, write: bool = True, holder: str = "inter2former") -> None:
        """Open a folder that `create` or another program made.

        Args:
            folder: that holds project.json.
            write: False: nothing is changed or locked; what a crash left only in the journal is seen all the same.
            holder: what others are told who wants to write meanwhile.
        Raises:
            ProjectError: it is no project, damaged, or made by a later version.
            ProjectLockedError: somebody else is writing to it.
        """
        self.folder = Path(folder)
        self.write = write
        if not (self.folder / PROJECT_FILE).is_file():
            raise ProjectError(f"{self.folder}: is no project, it has no {PROJECT_FILE}; name the folder that has one")
        self._info: ProjectInfo
        self._seq = 0
        self._guard = threading.RLock()
        self._records: OrderedDict[str, ImageRecord] = OrderedDict()
        self._unsaved: set[str] = set()
        self._tail: dict[str, list[Mapping[str, Any]]] = {}
        self._files = RecordFiles(self.folder / "images")
        self._journal: Journal | None = None
        self._lock = FolderLock(self.folder / "lock", holder) if write else None
        try:
            self._open()
        except BaseException:
            self._release()
            raise

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        images: str | os.PathLike[str],
        *,
        files: Sequence[str] | None = None,
        labels: Sequence[Label] = (),
        holder: str = "inter2former",
    ) -> Project:
        """Make a project and open it for writing.

        Args:
            folder: of the project; made where it is missing, and must hold no project yet.
            images: the folder of the images; stored relative to the project, so that both can be moved together.
            files: paths of single images below that folder with forward slashes; None: all images in it.
            labels: to begin with.
            holder: what others are told who wants to write meanwhile.
        Raises:
            ProjectError: there is a project already, or the folder cannot be written.
        """
        folder = Path(folder)
        if (folder / PROJECT_FILE).exists():
            raise ProjectError(f"{folder}: holds a project already; open it, or name another folder")
        if not Path(images).is_dir():
            raise ProjectError(f"{images}: is no folder; name the folder of the images")
        try:
            where = Path(os.path.relpath(Path(images).resolve(), folder.resolve())).as_posix()
        except ValueError:  # another drive
            where = Path(images).resolve().as_posix()
        info = ProjectInfo(where, None if files is None else tuple(files), tuple(labels), {}, {}, now(), now(), 0, 0)
        write_atomic(folder / PROJECT_FILE, pretty(info_to_json(info)))
        return cls(folder, holder=holder)

    def __enter__(self) -> Project:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def labels(self) -> tuple[Label, ...]:
        """All labels, in the order of their keys 1 to 9."""
        return self._info.labels

    @property
    def settings(self) -> Mapping[str, Any]:
        """Plain JSON values that belong to the project, such as the working size."""
        return self._info.settings

    @property
    def library(self) -> Library:
        """The folder of the images."""
        return self._library

    def record(self, path: str) -> ImageRecord | None:
        """What is known about an image; None: nothing.

        Raises:
            ProjectError: its file is damaged or made by a later version, or the path leads out of the folder.
        """
        with self._guard:
            if path in self._records:
                self._records.move_to_end(path)
                return self._records[path]
            self._library.file(path)
            record = self._files.read(path, self._label_ids())
            for change in self._tail.get(path, ()):
                if record is None or change["seq"] > record.revision:
                    record = self._applied(record, change)
            if record is not None:
                self._hold(record)
            return record

    def records(self) -> Iterator[ImageRecord]:
        """All images that anything is known about, sorted by path, one at a time."""
        for path in self._known():
            if (record := self.record(path)) is not None:
                yield record

    def overview(self) -> Iterator[Overview]:
        """Every image of the folder, then every one that is known but no longer there, each at a glance."""
        listed = self._library.listing().paths
        for path in (*listed, *sorted(set(self._known()) - set(listed))):
            yield Overview.of(path, self.record(path), self.state(path))

    def state(self, path: str, *, thorough: bool = False) -> ImageState:
        """Whether the image is there and still the one that was annotated.

        Args:
            path: of the image.
            thorough: compare the content, not only the size of the file.
        """
        record = self.record(path)
        known = (None, None) if record is None else (record.sha256, record.bytes)
        return self._library.state(path, *known, thorough=thorough)

    def identify(self, path: str, size: tuple[int, int] | None = None, *, accept: bool = False) -> ImageRecord:
        """Make sure that an image is what the project knows, before it is shown with its objects.

        Args:
            path: of the image, below the folder of the images.
            size: width and height of the upright image where they are known; None: from the file's header.
            accept: take another content than the known one, of the same size in pixels, as this image from now on.
        Returns:
            what is known about it; a new record where that was nothing.
        Raises:
            ProjectError: the file is missing, or another one than the known.
            ImageReadError: it is no image.
        """
        found = self._library.identity(path, size)
        with self._guard:
            record = self.record(path)
            same = record is not None and record.sha256 in (None, found.sha256)
            if record is not None:
                if (record.width, record.height) != (found.width, found.height) and record.objects:
                    raise ProjectError(
                        f"{path}: was {record.width}x{record.height} when it was annotated and is now "
                        f"{found.width}x{found.height}; put the former file back, or rename the new one"
                    )
                if not same and not accept:
                    raise ProjectError(
                        f"{path}: is another file than the one that was annotated (its content differs); put the "
                        "former file back, or accept the new one"
                    )
                if same and record.sha256 is not None:
                    return record
            return self.change(path, identify_image(*found))

    def change(self, path: str, *changes: Change) -> ImageRecord:
        """Change what is known about an image; when this returns it is on the disk.

        Args:
            path: of the image.
            changes: from `inter2former.project.changes`, at least one; all or none of them happen.
        Returns:
            what is known now.
        Raises:
            ValueError: a change does not fit; nothing happened.
            ProjectError: the project is open for reading only, or cannot be written.
        """
        with self._guard:
            self._library.file(path)
            record = self.record(path)
            stamped = []
            for number, change in enumerate(changes, self._seq + 1):
                self._check_label(change)
                stamped.append({"seq": number, "time": now(), **change, "image": path})
                record = apply_change(record, stamped[-1])
            assert record is not None, "there is at least one change"
            self._require_journal().append(stamped)
            self._seq += len(stamped)
            self._hold(record)
            self._unsaved.add(path)
            if any(change["change"] in _PUBLISHED for change in changes):
                self._save(path)
            if self._info.seq + _CHECKPOINT_EVERY <= self._seq:
                self.checkpoint()
            return record

    def add_label(self, name: str, colour: str) -> Label:
        """Add a label; see `Label` for what the values may be.

        Raises:
            ValueError: the name is taken, or a value is out of range.
            ProjectError: as `change`.
        """
        with self._guard:
            label = Label(max([0, *(known.id for known in self.labels)]) + 1, name, colour)
            self.set_labels((*self.labels, label))
            return label

    def set_labels(self, labels: Sequence[Label]) -> None:
        """Rename, recolour, reorder, add, or remove labels.

        Raises:
            ValueError: two have one name or number, or one is removed that an object has.
            ProjectError: as `change`.
        """
        with self._guard:
            kept = {label.id for label in labels}
            gone = {label.id: label.name for label in self.labels if label.id not in kept}
            for record in self.records() if gone else ():
                for item in record.objects:
                    if item.label in gone:
                        raise ValueError(
                            f"label {gone[item.label]!r} cannot be removed: object {item.id} of {record.path} has it; "
                            "give that object another label first"
                        )
            self._change_info({"change": "labels", "labels": [label_to_json(label) for label in labels]})

    def set_settings(self, settings: Mapping[str, Any]) -> None:
        """Replace the settings, plain JSON values.

        Raises:
            ProjectError: as `change`.
        """
        with self._guard:
            self._change_info({"change": "settings", "settings": dict(settings)})

    def checkpoint(self) -> None:
        """Bring all files up to the journal, so that opening the folder need not read it from the start."""
        with self._guard:
            for path in sorted(self._unsaved):
                self._save(path)
            journal = self._require_journal()
            self._info = self._info.at(self._seq, journal.end)
            write_atomic(self.folder / PROJECT_FILE, pretty(info_to_json(self._info)))

    def close(self) -> None:
        """Bring all files up to date and let others write; a second call does nothing."""
        with self._guard:
            try:
                if self._journal is not None:
                    self.checkpoint()
            finally:
                self._release()

    def _open(self) -> None:
        name = self.folder / PROJECT_FILE
        stored = read_object(name)
        try:
            self._info = info_from_json(migrate_project(stored, str(name)))
        except ValueError as error:
            raise ProjectError(f"{name}: is damaged: {error}; put back a good copy") from error
        self._library = Library(self.folder / self._info.images, self._info.files)
        self._seq, end = self._info.seq, self._info.bytes
        journal = self.folder / JOURNAL_FILE
        if not journal.exists() or journal.stat().st_size < end:
            # Somebody removed or shortened it; the other files hold everything up to that point.
            end = 0
        for entry in read_entries(journal, end):
            value, end = entry.value, entry.end
            if value["seq"] <= self._info.seq:
                continue
            self._seq = value["seq"]
            if "image" in value:
                self._tail.setdefault(value["image"], []).append(value)
            else:
                self._info = self._changed(value)
        if self.write:
            self._recover(stored, end)

    def _recover(self, stored: Mapping[str, Any], end: int) -> None:
        """Bring the files up to the journal; nothing of it is lost if this is interrupted."""
        remove_unfinished(self.folder)
        if stored.get("schema") != SCHEMA:
            former = self.folder / f"{PROJECT_FILE}.schema-{stored.get('schema')}"
            write_atomic(former, (self.folder / PROJECT_FILE).read_bytes())
        self._journal = Journal(self.folder / JOURNAL_FILE, end)
        for path in list(self._tail):
            self.record(path)
            self._unsaved.add(path)
            self._save(path)
        self._tail.clear()
        self.checkpoint()

    def _known(self) -> list[str]:
        with self._guard:
            return sorted({*self._files.paths(), *self._tail, *self._unsaved})

    def _save(self, path: str) -> None:
        self._files.write(self._records[path])
        self._unsaved.discard(path)

    def _hold(self, record: ImageRecord) -> None:
        self._records[record.path] = record
        self._records.move_to_end(record.path)
        while len(self._records) > _KEPT_RECORDS:
            oldest = next(iter(self._records))
            if oldest in self._unsaved:
                self._save(oldest)
            del self._records[oldest]

    def _changed(self, change: Mapping[str, Any]) -> ProjectInfo:
        try:
            return self._info.changed(change)
        except ValueError as error:
            raise self._unfitting(change, error) from error

    def _applied(self, record: ImageRecord | None, change: Mapping[str, Any]) -> ImageRecord:
        try:
            return apply_change(record, change)
        except ValueError as error:
            raise self._unfitting(change, error) from error

    def _unfitting(self, change: Mapping[str, Any], error: ValueError) -> ProjectError:
        return ProjectError(
            f"{self.folder / JOURNAL_FILE}: entry {change['seq']} does not fit the project: {error}; "
            "put back good copies of the files"
        )

    def _change_info(self, change: Change) -> None:
        stamped = {"seq": self._seq + 1, "time": now(), **change}
        info = self._info.changed(stamped)
        self._require_journal().append([stamped])
        self._info, self._seq = info, stamped["seq"]
        self.checkpoint()

    def _check_label(self, change: Change) -> None:
        wanted = change.get("label")
        for part in (change.get("object"), change.get("values")):
            wanted = part.get("label", wanted) if isinstance(part, Mapping) else wanted
        if wanted is not None and wanted not in self._label_ids().values():
            raise ValueError(f"there is no label {wanted!r:.40}; add it first, or give one of {self._label_ids()}")

    def _label_ids(self) -> dict[str, int]:
        return {label.name: label.id for label in self.labels}

    def _require_journal(self) -> Journal:
        if self._journal is None:
            raise ProjectError(f"{self.folder}: is not open for writing; open it with write=True")
        return self._journal

    def _release(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        if self._lock is not None:
            self._lock.release()
