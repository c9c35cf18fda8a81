"""Exports from the page: an archive to download, what was lost in it, and how well polygons would stand for masks."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from inter2former.errors import ProjectError
from inter2former.interchange.exchange import ExportOptions, Report
from inter2former.interchange.transfer import export_project
from inter2former.polygons import mask_parts, polygon_iou
from inter2former.project.records import ObjectRecord
from inter2former.project.store import Project
from inter2former.web.runs import cut_out

__all__ = ["Archive", "Exports", "Outline", "outlines"]

_KEPT = 2
_PACKED = frozenset({".jpg", ".jpeg", ".png", ".webp"})


class Archive(NamedTuple):
    """An export that waits to be downloaded.

    Attributes:
        path: of the archive.
        name: under which a browser saves it.
        report: what came of the export.
    """

    path: Path
    name: str
    report: Report


class Outline(NamedTuple):
    """How polygons would stand for one object.

    Attributes:
        object: its number.
        corners: of all its rings.
        iou: intersection over union of polygons and mask, 0..1.
    """

    object: int
    corners: int
    iou: float


class Exports:
    """The last archives of a server, in a temporary folder that goes when the server does."""

    def __init__(self, project: Path) -> None:
        """Take the project folder; nothing is written yet."""
        self._project = project
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._archives: OrderedDict[str, Archive] = OrderedDict()
        self._making = asyncio.Lock()

    @property
    def busy(self) -> bool:
        """Whether an export is being written."""
        return self._making.locked()

    async def make(self, name: str, options: ExportOptions) -> str:
        """Export what is on the disk now, beside whatever is being annotated.

        Args:
            name: of the format.
            options: what is asked for.
        Returns:
            a key for `get`; the oldest archives leave.
        Raises:
            ValueError: no format of that name.
            ProjectError: it cannot be read or written.
        """
        async with self._making:
            key = secrets.token_hex(8)
            self._archives[key] = await asyncio.to_thread(self._write, key, name, options)
            while len(self._archives) > _KEPT:
                _, old = self._archives.popitem(last=False)
                # Somebody may be reading it still, which some systems do not allow.
                with suppress(OSError):
                    old.path.unlink()
            return key

    def get(self, key: str) -> Archive:
        """An archive that was made.

        Raises:
            ProjectError: there is none of that key, or it has left.
        """
        if key not in self._archives:
            raise ProjectError("there is no such export any more; make it again")
        return self._archives[key]

    def close(self) -> None:
        """Remove everything."""
        self._archives.clear()
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def _write(self, key: str, name: str, options: ExportOptions) -> Archive:
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="inter2former-export-", ignore_cleanup_errors=True)
        path = Path(self._scratch.name) / f"{key}.zip"
        with Project(self._project, write=False) as project, tempfile.TemporaryDirectory(dir=self._scratch.name) as out:
            stem = f"{project.library.folder.resolve().name or 'export'}-{name}"
            folder = Path(out) / "export"
            report = export_project(project, name, folder, options)
            try:
                _pack(folder, path, stem)
            except OSError as error:
                path.unlink(missing_ok=True)
                raise ProjectError(
                    f"the archive cannot be written ({error.strerror or error}); free some space"
                ) from error
        return Archive(path, f"{stem}.zip", report)


def outlines(objects: Sequence[ObjectRecord], tolerance: float) -> list[Outline]:
    """Measure the polygons that an export would write for some objects.

    Args:
        objects: of one image.
        tolerance: how far a polygon may leave the edge of the mask, in pixels, >= 0.
    Returns:
        one for each object that has a pixel.
    Raises:
        ValueError: a negative tolerance.
    """
    found = []
    for item in objects:
        cut = cut_out(item.mask)
        if cut is not None:
            rings = [ring for part in mask_parts(cut[1], tolerance) for ring in part.rings]
            found.append(Outline(item.id, sum(len(ring) for ring in rings), polygon_iou(cut[1], rings)))
    return found


def _pack(folder: Path, path: Path, stem: str) -> None:
    """Put a folder's files into an archive, below one folder of their own."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                how = zipfile.ZIP_STORED if file.suffix.lower() in _PACKED else zipfile.ZIP_DEFLATED
                archive.write(file, Path(stem) / file.relative_to(folder), compress_type=how)
