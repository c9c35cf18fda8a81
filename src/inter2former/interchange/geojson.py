"""GeoJSON: one file per image, a Polygon or MultiPolygon per object with its holes, in pixels with y downwards."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from inter2former.interchange.exchange import Export, Finder, FoundImage, FoundObject
from inter2former.interchange.reading import damaged_as_data_error, files_below, label_or_none, read_json, rings_of
from inter2former.shapes import fill_rings

__all__ = ["read", "write"]

_ENDING = ".geojson"


def write(export: Export) -> None:
    """Write PATH.geojson per image; the properties are those that QuPath reads."""
    for record, found in export.images():
        features = []
        for item in found:
            # Rings are closed by their first corner; the outline goes first.
            polygons = [
                [[*ring.tolist(), ring[0].tolist()] for ring in part.rings] for part in export.parts(record, item)
            ]
            geometry = (
                {"type": "Polygon", "coordinates": polygons[0]}
                if len(polygons) == 1
                else {"type": "MultiPolygon", "coordinates": polygons}
            )
            properties = {
                "objectType": "annotation",
                "classification": {"name": export.name(item), "color": list(export.colour(item))},
                "isLocked": item.locked,
            }
            features.append({"type": "Feature", "id": item.id, "geometry": geometry, "properties": properties})
        content = {
            "type": "FeatureCollection",
            "image": {"path": record.path, "width": record.width, "height": record.height},
            "features": features,
        }
        export.file(record.path + _ENDING).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        export.copy_image(record, f"images/{record.path}")


def read(path: Path, finder: Finder) -> Iterator[FoundImage]:
    """Read one file or a folder of them; the image is the one that the file names, or that it is named after.

    Raises:
        DataError: a file is damaged or no collection of features.
    """
    for file in files_below(path, _ENDING):
        content = read_json(file, {"features": list})
        about = content.get("image")
        below = file.relative_to(path if path.is_dir() else path.parent).as_posix().removesuffix(_ENDING)
        name = str(about["path"]) if isinstance(about, Mapping) and "path" in about else below
        if (found := finder.find(name)) is None:
            continue
        image, width, height = found
        objects = []
        with damaged_as_data_error(file):
            for feature in content["features"]:
                rings = _rings(feature["geometry"])
                if rings is None:
                    finder.report.notes[f"feature of type {feature['geometry'].get('type')}, left out"] += 1
                    continue
                mask = np.zeros((height, width), dtype=np.bool_)
                for polygon in rings:
                    mask |= fill_rings(rings_of(*polygon), width, height)
                objects.append(FoundObject(_label(feature.get("properties") or {}), mask))
        yield FoundImage(image, objects)


def _rings(geometry: Mapping[str, Any]) -> list[list[Any]] | None:
    if geometry["type"] == "Polygon":
        return [geometry["coordinates"]]
    return list(geometry["coordinates"]) if geometry["type"] == "MultiPolygon" else None


def _label(properties: Mapping[str, Any]) -> str | None:
    classification = properties.get("classification")
    name = classification.get("name") if isinstance(classification, Mapping) else classification
    return label_or_none(name or properties.get("label") or properties.get("name"))
