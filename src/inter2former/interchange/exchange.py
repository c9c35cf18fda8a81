"""What all formats share: what is asked for, what came of it, and the objects that go through."""

from __future__ import annotations

import heapq
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from inter2former.errors import Inter2FormerError
from inter2former.polygons import Part, mask_parts, polygon_iou
from inter2former.project.records import ImageRecord, Label, ObjectRecord

__all__ = [
    "UNLABELLED",
    "Export",
    "ExportOptions",
    "Finder",
    "FoundImage",
    "FoundObject",
    "JsonArray",
    "Report",
    "free_stem",
]

UNLABELLED = "unlabelled"
"""The name under which objects without a label travel; it comes back as no label."""

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
_WORST = 5


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What a person asks for.

    Attributes:
        polygons: polygons where the format has masks too.
        tolerance: how far a polygon may leave the edge of the mask, in pixels, >= 0.
        label_map: `png`: one picture per image that numbers its objects, instead of one per object.
        with_images: copy the images too.

    Raises:
        ValueError: a negative tolerance.
    """

    polygons: bool = False
    tolerance: float = 1.0
    label_map: bool = False
    with_images: bool = False

    def __post_init__(self) -> None:
        """Check the tolerance."""
        if not self.tolerance >= 0:
            raise ValueError(f"the tolerance is {self.tolerance} px; it must be at least 0")


@dataclass
class Report:
    """What came of an export or import.

    Attributes:
        images: how many went through.
        objects: how many went through.
        notes: what was lost or changed, each with how often.
        skipped: what did not go through, each with the reason.
    """

    images: int = 0
    objects: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    _measured: int = 0
    _sum: float = 0.0
    _worst: list[tuple[float, str]] = field(default_factory=list)
    _lines: TextIO | None = None

    @contextmanager
    def written_to(self, path: Path) -> Iterator[None]:
        """Write one line per measured object to a file meanwhile."""
        with path.open("w", encoding="utf-8") as self._lines:
            yield
        self._lines = None

    def measured(self, image: str, number: int, iou: float, corners: int) -> None:
        """Take note of how well polygons stand for a mask."""
        self._measured += 1
        self._sum += iou
        heapq.heappush(self._worst, (-iou, f"{image}, object {number}"))
        if len(self._worst) > _WORST:
            heapq.heappop(self._worst)
        if self._lines is not None:
            line = {"image": image, "object": number, "iou": round(iou, 6), "corners": corners}
            self._lines.write(json.dumps(line, ensure_ascii=False) + "\n")

    def summary(self) -> dict[str, Any]:
        """Everything as plain data."""
        result: dict[str, Any] = {
            "images": self.images,
            "objects": self.objects,
            "notes": dict(self.notes),
            "skipped": [{"what": what, "why": why} for what, why in self.skipped],
        }
        if self._measured:
            worst = sorted((-value, name) for value, name in self._worst)
            result["polygon_iou"] = {
                "mean": round(self._sum / self._measured, 6),
                "least": [{"what": name, "iou": round(value, 6)} for value, name in worst],
            }
        return result


class Export:
    """The images and objects of a project on their way out, one at a time."""

    def __init__(
        self,
        records: Iterable[ImageRecord],
        labels: Iterable[Label],
        images: Path,
        out: Path,
        options: ExportOptions,
        report: Report,
    ) -> None:
        """Take what is exported.

        Args:
            records: of the images.
            labels: of the project.
            images: the folder of the images.
            out: the folder to fill, which is there and empty.
            options: what is asked for.
            report: where losses are noted.
        """
        self._records = records
        self._labels = tuple(labels)
        self._names = {label.id: label.name for label in self._labels}
        self._images = images
        self.out = out
        self.options = options
        self.report = report
        self.unlabelled = False

    def images(self) -> Iterator[tuple[ImageRecord, list[ObjectRecord]]]:
        """Each image with its objects from the back to the front, without those that have no pixel."""
        for record in self._records:
            objects = [item for item in record.objects if item.mask.area]
            if empty := len(record.objects) - len(objects):
                self.report.notes["object without a pixel, not exported"] += empty
            if record.draft is not None:
                self.report.notes["object still in work, not exported"] += 1
            self.report.images += 1
            self.report.objects += len(objects)
            yield record, objects

    def name(self, item: ObjectRecord) -> str:
        """The name of an object's label."""
        if item.label is None or item.label not in self._names:
            self.unlabelled = True
            return UNLABELLED
        return self._names[item.label]

    def categories(self) -> dict[str, int]:
        """Names and numbers from 1 on of all labels in order; last that of objects without one, if there were any."""
        names = [label.name for label in self._labels] + ([UNLABELLED] if self.unlabelled else [])
        return {name: number for number, name in enumerate(names, 1)}

    def category(self, item: ObjectRecord) -> int:
        """The number of an object's label in `categories`."""
        name = self.name(item)
        return self.categories()[name]

    def colour(self, item: ObjectRecord) -> tuple[int, int, int]:
        """Red, green and blue of an object's label, 0..255; grey where it has none."""
        for label in self._labels:
            if label.id == item.label:
                return int(label.colour[1:3], 16), int(label.colour[3:5], 16), int(label.colour[5:7], 16)
        return 128, 128, 128

    def parts(
        self, record: ImageRecord, item: ObjectRecord, rounded: Callable[[FloatArray], FloatArray] | None = None
    ) -> list[Part]:
        """The polygons of an object, with their likeness to its mask noted.

        Args:
            record: of the image.
            item: the object.
            rounded: what the format's numbers make of a ring, where they are coarse enough to move a pixel.
        """
        mask = item.mask.mask
        parts = mask_parts(mask, self.options.tolerance)
        rings = [ring if rounded is None else rounded(ring) for part in parts for ring in part.rings]
        self.report.measured(record.path, item.id, polygon_iou(mask, rings), sum(len(ring) for ring in rings))
        return parts

    def copy_image(self, record: ImageRecord, name: str) -> None:
        """Copy an image below the folder, if that was asked for."""
        if not self.options.with_images:
            return
        target = self.out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(self._images / record.path, target)
        except OSError as error:
            self.report.skipped.append((record.path, f"the image could not be copied ({error.strerror or error})"))

    def file(self, name: str) -> Path:
        """A path below the folder whose parents are there."""
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class JsonArray:
    """A JSON array that is written item by item."""

    def __init__(self, stream: TextIO) -> None:
        """Begin the array."""
        self._stream = stream
        self._first = True
        stream.write("[")

    def add(self, item: Mapping[str, Any]) -> None:
        """Write one more item on a line of its own."""
        self._stream.write(("\n" if self._first else ",\n") + json.dumps(item, ensure_ascii=False))
        self._first = False

    def end(self) -> None:
        """End the array."""
        self._stream.write("]")


def free_stem(path: str, taken: Callable[[str], bool], report: Report) -> str:
    """The path without its ending, or with the dot of the ending replaced where another image has that name already.

    Args:
        path: of the image, with forward slashes.
        taken: whether a name is in use.
        report: where the change is noted.
    """
    whole = PurePosixPath(path)
    stem = whole.with_suffix("").as_posix()
    if not taken(stem):
        return stem
    report.notes["name changed to keep images with equal stems apart"] += 1
    return whole.with_name(whole.name.replace(".", "_")).as_posix()


class FoundObject(NamedTuple):
    """An object that a file of another program describes.

    Attributes:
        label: its name; None: none.
        mask: (H, W) bool of the image's size.
    """

    label: str | None
    mask: BoolArray


class FoundImage(NamedTuple):
    """All objects that a file describes for one image, from the back to the front."""

    path: str
    objects: list[FoundObject]


class Finder:
    """Images of a project by the names that other programs give them."""

    def __init__(self, paths: Iterable[str], size: Callable[[str], tuple[int, int]], report: Report) -> None:
        """Take the images.

        Args:
            paths: of all images of the project.
            size: tells width and height of one of them.
            report: where names that fit no image are noted.
        """
        self._paths = set(paths)
        # The nearer to the whole path, the sooner it is asked for.
        self._tables = [_by_name(self._paths, short) for short in (_without_ending, _name, _stem)]
        self._size = size
        self.report = report

    def find(self, name: str) -> tuple[str, int, int] | None:
        """Find an image by its path, its path without the ending, its file name, or its stem, if only one fits.

        Returns:
            path, width and height; None where none or several fit, or the file is not what it was, which is noted.
        """
        name = name.replace("\\", "/")
        fits = [name] if name in self._paths else []
        for table, key in zip(self._tables, (name, _name(name), _stem(name)), strict=True):
            fits = fits or table.get(key, [])
        if len(fits) != 1:
            why = f"fits several images: {', '.join(fits[:3])}" if fits else "there is no image of this name"
            self.report.skipped.append((name, why))
            return None
        try:
            width, height = self._size(fits[0])
        except Inter2FormerError as error:
            self.report.skipped.append((name, str(error)))
            return None
        return fits[0], width, height

    def fits(self, name: str, found: tuple[int, int], told: tuple[object, object]) -> bool:
        """Whether the size that a file tells is that of the image; where it is not, that is noted."""
        if found == told:
            return True
        self.report.skipped.append(
            (name, f"the file says {told[0]}x{told[1]}, the upright image is {found[0]}x{found[1]}")
        )
        return False


def _by_name(paths: Iterable[str], short: Callable[[str], str]) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for path in sorted(paths):
        table.setdefault(short(path), []).append(path)
    return table


def _without_ending(path: str) -> str:
    return PurePosixPath(path).with_suffix("").as_posix()


def _name(path: str) -> str:
    return PurePosixPath(path).name


def _stem(path: str) -> str:
    return PurePosixPath(path).stem
