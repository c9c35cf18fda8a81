"""Whole projects out of and into a format: folders that are filled completely or not at all, and a report."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from inter2former.errors import ProjectError
from inter2former.interchange import coco, cvat, geojson, label_studio, labelme, pictures, voc, yolo
from inter2former.interchange.exchange import Export, ExportOptions, Finder, FoundImage, Report
from inter2former.project.changes import put_object
from inter2former.project.files import now
from inter2former.project.records import ImageRecord, ObjectRecord
from inter2former.project.store import Project
from inter2former.prompt import MaskPrompt

__all__ = ["FORMATS", "Format", "export_project", "import_into_project"]

Progress = Callable[[Report], None]

COLOURS = ("#1e90ff", "#ff8c00", "#2e8b57", "#dc143c", "#8a2be2", "#20b2aa", "#c71585", "#808000", "#4682b4", "#d2691e")
"""Colours of labels that come without one, in turn."""

_MEASURES = "polygons.jsonl"


class Format(NamedTuple):
    """A format by its two functions."""

    write: Callable[[Export], None]
    read: Callable[[Path, Finder], Iterator[FoundImage]]


FORMATS: Mapping[str, Format] = {
    "coco": Format(coco.write, coco.read),
    "labelme": Format(labelme.write, labelme.read),
    "yolo": Format(yolo.write, yolo.read),
    "voc": Format(voc.write, voc.read),
    "png": Format(pictures.write, pictures.read),
    "geojson": Format(geojson.write, geojson.read),
    "label-studio": Format(label_studio.write, label_studio.read),
    "cvat": Format(cvat.write, cvat.read),
}
"""The formats that can be asked for by name."""


def export_project(
    project: Project, name: str, out: Path, options: ExportOptions, progress: Progress | None = None
) -> Report:
    """Write all objects of a project in a format.

    Memory does not grow with the project: images go through one at a time.

    Args:
        project: open for reading or writing.
        name: of the format, one of `FORMATS`.
        out: a folder that is missing or empty; it appears complete or not at all. Where polygons stand for masks, its
            polygons.jsonl has one line per object with the intersection over union of both.
        options: what is asked for.
        progress: called after each image.
    Returns:
        what came of it, with everything that was lost.
    Raises:
        ValueError: no format of that name.
        ProjectError: the folder is not empty or cannot be written, or the project is damaged.
    """
    found, report = _format(name), Report()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ProjectError(f"{out}: is there already and not empty; name a new folder")
    unfinished = out.absolute().with_name(f".{secrets.token_hex(8)}.part")
    try:
        unfinished.mkdir(parents=True)
        records = _watched(project, report, progress)
        export = Export(records, project.labels, project.library.folder, unfinished, options, report)
        with report.written_to(unfinished / _MEASURES):
            found.write(export)
        if not (unfinished / _MEASURES).stat().st_size:
            (unfinished / _MEASURES).unlink()
        with suppress(FileNotFoundError):
            out.rmdir()
        os.replace(unfinished, out)
    except OSError as error:
        raise ProjectError(
            f"{out}: cannot be written ({error.strerror or error}); check the folder's rights and free space"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return report


def import_into_project(
    project: Project, name: str, path: Path, *, add: bool = False, progress: Progress | None = None
) -> Report:
    """Read objects of a format into a project; labels that are missing are added.

    Args:
        project: open for writing.
        name: of the format, one of `FORMATS`.
        path: the file or folder to read.
        add: also to images that have objects already; they are left out otherwise, so that an import that is run again
            does not double everything.
        progress: called after each image.
    Returns:
        what came of it, with everything that was left out.
    Raises:
        ValueError: no format of that name.
        DataError: the file is damaged or of another format; what came before stays imported.
        ProjectError: the project cannot be written.
    """
    found, report = _format(name), Report()
    finder = Finder(project.library.listing().paths, lambda image: _size(project, image), report)
    for image in found.read(path, finder):
        record = project.record(image.path)
        assert record is not None, "the finder has identified the image"
        if record.objects and not add:
            report.skipped.append((image.path, "has objects already; add to them with --add"))
            continue
        items = _items(project, record, image, report)
        if items:
            project.change(image.path, *(put_object(item) for item in items))
            report.images += 1
            report.objects += len(items)
        if progress is not None:
            progress(report)
    return report


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise ValueError(f"there is no format {name!r}; the formats are {', '.join(FORMATS)}")
    return FORMATS[name]


def _watched(project: Project, report: Report, progress: Progress | None) -> Iterator[ImageRecord]:
    for record in project.records():
        if (state := project.state(record.path)) != "present":
            report.notes[f"image file is {state}; its objects are exported all the same"] += 1
        yield record
        if progress is not None:
            progress(report)


def _size(project: Project, path: str) -> tuple[int, int]:
    record = project.identify(path)
    return record.width, record.height


def _items(project: Project, record: ImageRecord, image: FoundImage, report: Report) -> list[ObjectRecord]:
    items: list[ObjectRecord] = []
    for found in image.objects:
        if not found.mask.any():
            report.notes["object without a pixel in the image, left out"] += 1
            continue
        number, time = record.next_object + len(items), now()
        mask = MaskPrompt.of(found.mask)
        items.append(ObjectRecord(number, _label(project, found.label), mask, (), True, False, time, time))
    return items


def _label(project: Project, name: str | None) -> int | None:
    """The id of a label, which is added where it is missing."""
    if name is None:
        return None
    for label in project.labels:
        if label.name == name:
            return label.id
    return project.add_label(name, COLOURS[len(project.labels) % len(COLOURS)]).id
