"""The routes of exports: make one, fetch it, and try how well polygons would do."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel

from inter2former.interchange.exchange import ExportOptions
from inter2former.interchange.transfer import FORMATS
from inter2former.web.exports import outlines
from inter2former.web.workspace import Workspace

__all__ = ["Exported", "ObjectOutline", "PolygonLikeness", "SkippedItem", "add_export_routes"]

_MOST_SKIPPED = 100

Tolerance = Annotated[float, Query(ge=0, le=100)]


class PolygonLikeness(BaseModel):
    """Intersection over union of polygons and masks: the mean of all objects, and the least."""

    mean: float
    least: float
    worst: str


class SkippedItem(BaseModel):
    """Something that is not in the export, and why."""

    what: str
    why: str


class Exported(BaseModel):
    """What came of an export.

    Attributes:
        key: its archive is at `/api/v1/exports/KEY`.
        name: under which it is saved.
        bytes: of the archive.
        images: how many are in it.
        objects: how many are in it.
        notes: what was lost or changed, each with how often.
        skipped: the first hundred things that are not in it.
        skipped_count: all of them.
        polygons: None: there are masks only.
    """

    key: str
    name: str
    bytes: int
    images: int
    objects: int
    notes: dict[str, int]
    skipped: list[SkippedItem]
    skipped_count: int
    polygons: PolygonLikeness | None


class ObjectOutline(BaseModel):
    """How polygons would stand for an object: their corners, and intersection over union with its mask."""

    object: int
    corners: int
    iou: float


def add_export_routes(app: FastAPI, workspace: Workspace) -> None:
    """Add the routes to an application.

    Args:
        app: behind a guard.
        workspace: the open project.
    """
    exports = workspace.exports
    measuring = asyncio.Lock()

    @app.post("/api/v1/exports")
    async def make(
        format: Annotated[str, Query(max_length=40)],
        polygons: bool = False,
        tolerance: Tolerance = 1.0,
        label_map: bool = False,
        with_images: bool = False,
    ) -> Exported:
        """Write the whole project in a format, as an archive to download; the values are those of the command."""
        if format not in FORMATS:
            raise HTTPException(422, f"there is no format {format!r}; the formats are {', '.join(FORMATS)}")
        if exports.busy:
            raise HTTPException(409, "another export is being written; try again when it is done")
        key = await exports.make(format, ExportOptions(polygons, tolerance, label_map, with_images))
        archive = exports.get(key)
        summary = archive.report.summary()
        return Exported(
            key=key,
            name=archive.name,
            bytes=archive.path.stat().st_size,
            images=archive.report.images,
            objects=archive.report.objects,
            notes=summary["notes"],
            skipped=[SkippedItem(**item) for item in summary["skipped"][:_MOST_SKIPPED]],
            skipped_count=len(archive.report.skipped),
            polygons=_likeness(summary.get("polygon_iou")),
        )

    @app.get("/api/v1/exports/{key}", response_class=FileResponse)
    async def fetch(key: str) -> FileResponse:
        """An archive that was made; the last two are kept."""
        archive = exports.get(key)
        headers = {"cache-control": "no-store"}
        return FileResponse(archive.path, media_type="application/zip", filename=archive.name, headers=headers)

    @app.get("/api/v1/outlines")
    async def measure(path: Annotated[str, Query(max_length=4096)], tolerance: Tolerance = 1.0) -> list[ObjectOutline]:
        """How well polygons of this detail would stand for the objects of an image, without writing anything."""
        record = await workspace.disk(lambda: workspace.project.record(path))
        # One after the other: whoever moves a slider asks often.
        async with measuring:
            found = await asyncio.to_thread(outlines, [] if record is None else record.objects, tolerance)
        return [ObjectOutline(object=item.object, corners=item.corners, iou=item.iou) for item in found]


def _likeness(summary: dict[str, object] | None) -> PolygonLikeness | None:
    if summary is None:
        return None
    least = summary["least"]
    assert isinstance(least, list)
    worst = least[0]
    return PolygonLikeness.model_validate({"mean": summary["mean"], "least": worst["iou"], "worst": worst["what"]})
