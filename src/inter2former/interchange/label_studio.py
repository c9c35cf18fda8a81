"""Label Studio: a list of tasks as JSON, with brush masks or polygons, and the labelling setup they need."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from inter2former.errors import DataError
from inter2former.interchange.brush_rle import decode_brush, encode_brush
from inter2former.interchange.exchange import Export, Finder, FoundImage, FoundObject, JsonArray
from inter2former.interchange.reading import damaged_as_data_error, label_or_none, name_of_url, rings_of
from inter2former.polygons import joined_ring
from inter2former.project.records import ImageRecord, ObjectRecord
from inter2former.shapes import fill_rings

__all__ = ["read", "write"]

_LOCAL_FILES = "/data/local-files/?d="


def write(export: Export) -> None:
    """Write tasks.json and label-config.xml; images are named as local files, relative to Label Studio's root for them.

    With `polygons`, parts of an object become regions of their own, and holes are joined by cuts.
    """
    kind = "polygonlabels" if export.options.polygons else "brushlabels"
    with (export.out / "tasks.json").open("w", encoding="utf-8") as stream:
        tasks = JsonArray(stream)
        for record, found in export.images():
            regions = [region for item in found for region in _regions(export, record, item, kind)]
            data = {"image": _LOCAL_FILES + quote(record.path)}
            tasks.add({"data": data, "annotations": [{"result": regions}]})
            export.copy_image(record, f"images/{record.path}")
        tasks.end()
    control = "PolygonLabels" if export.options.polygons else "BrushLabels"
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in export.categories())
    (export.out / "label-config.xml").write_text(
        f'<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <{control} name="label" toName="image">\n{labels}  </{control}>\n</View>\n',
        encoding="utf-8",
    )


def read(path: Path, finder: Finder) -> Iterator[FoundImage]:
    """Read a JSON export with brush masks, polygons and rectangles; it is held in memory as a whole.

    Raises:
        DataError: it is no such file.
    """
    try:
        tasks = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}); name an export of Label Studio") from error
    if not isinstance(tasks, list):
        raise DataError(f"{path}: holds no list of tasks; export with JSON, not JSON-MIN")
    for task in tasks:
        with damaged_as_data_error(path):
            results = [entry for part in ("annotations", "predictions") for entry in task.get(part) or ()]
            regions = [region for entry in results[:1] for region in entry.get("result") or ()]
            if not regions or (found := finder.find(name_of_url(_image(task["data"])))) is None:
                continue
            if len(results) > 1:
                finder.report.notes["further annotation of a task, left out"] += len(results) - 1
            image, width, height = found
            objects = []
            for region in regions:
                if not finder.fits(
                    image, (width, height), (region.get("original_width"), region.get("original_height"))
                ):
                    break
                item = _object(region, width, height)
                if item is None:
                    finder.report.notes[f"region of type {region.get('type')}, left out"] += 1
                else:
                    objects.append(item)
            yield FoundImage(image, objects)


def _image(data: Mapping[str, Any]) -> str:
    """The place of the image: the value named image, or the only text."""
    if "image" in data:
        return str(data["image"])
    return str(next(value for value in data.values() if isinstance(value, str)))


def _regions(export: Export, record: ImageRecord, item: ObjectRecord, kind: str) -> Iterator[dict[str, Any]]:
    values: list[dict[str, Any]]
    if export.options.polygons:
        parts = export.parts(record, item)
        if len(parts) > 1:
            export.report.notes["object of several parts, each of which is a region of its own"] += 1
        if any(part.holes for part in parts):
            export.report.notes["object with holes, which are joined to the outline by cuts of no width"] += 1
        scale = 100 / np.array([record.width, record.height])
        values = [{"points": (joined_ring(part.rings) * scale).tolist(), "closed": True} for part in parts]
    else:
        values = [{"format": "rle", "rle": encode_brush(item.mask.mask)}]
    for number, value in enumerate(values, 1):
        yield {
            "id": f"object{item.id}-{number}",
            "type": kind,
            "from_name": "label",
            "to_name": "image",
            "original_width": record.width,
            "original_height": record.height,
            "image_rotation": 0,
            "value": {**value, kind: [export.name(item)]},
        }


def _object(region: Mapping[str, Any], width: int, height: int) -> FoundObject | None:
    kind, value = region.get("type"), region["value"]
    scale = np.array([width, height]) / 100
    if kind == "brushlabels" and value.get("format") == "rle":
        mask = decode_brush(value["rle"], height, width)
    elif kind == "polygonlabels":
        mask = fill_rings(rings_of(np.asarray(value["points"], dtype=np.float64) * scale), width, height)
    elif kind == "rectanglelabels" and not value.get("rotation"):
        x, y, across, down = (float(value[name]) for name in ("x", "y", "width", "height"))
        corners = [(x, y), (x + across, y), (x + across, y + down), (x, y + down)]
        mask = fill_rings(rings_of(np.array(corners) * scale), width, height)
    else:
        return None
    return FoundObject(label_or_none(next(iter(value.get(kind) or ()), None)), mask)
