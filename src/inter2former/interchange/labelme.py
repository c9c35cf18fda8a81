"""labelme: one JSON file beside each image; shapes are masks cut out of the image, or polygons."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inter2former.images import without_pillow_limit
from inter2former.interchange.exchange import Export, Finder, FoundImage, FoundObject, free_stem
from inter2former.interchange.reading import damaged_as_data_error, files_below, label_or_none, read_json, rings_of
from inter2former.masks import mask_box
from inter2former.polygons import joined_ring
from inter2former.project.records import ImageRecord, ObjectRecord
from inter2former.shapes import fill_rings

__all__ = ["read", "write"]

_VERSION = "5.5.0"


def write(export: Export) -> None:
    """Write STEM.json per image; put the files beside the images, or copy the images with `with_images`.

    With `polygons`, parts of an object become shapes with one group_id, and holes are joined by cuts.
    """
    for record, found in export.images():
        stem = free_stem(record.path, lambda name: (export.out / f"{name}.json").exists(), export.report)
        shapes = [shape for item in found for shape in _shapes(export, record, item)]
        content: dict[str, Any] = {
            "version": _VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": PurePosixPath(record.path).name,
            "imageData": None,
            "imageHeight": record.height,
            "imageWidth": record.width,
        }
        export.file(f"{stem}.json").write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
        export.copy_image(record, record.path)


def read(path: Path, finder: Finder) -> Iterator[FoundImage]:
    """Read one file or a folder of them; shapes with one group_id and label are one object.

    Raises:
        DataError: a file is damaged or none of labelme's.
    """
    for file in files_below(path, ".json"):
        content = read_json(file, {"shapes": list, "imagePath": str})
        beside = (file.parent / content["imagePath"].replace("\\", "/")).as_posix()
        name = os.path.relpath(beside, path if path.is_dir() else path.parent).replace(os.sep, "/")
        if (found := finder.find(name)) is None:
            continue
        image, width, height = found
        told = content.get("imageWidth"), content.get("imageHeight")
        if None not in told and not finder.fits(image, (width, height), told):
            continue
        objects: dict[object, FoundObject] = {}
        with damaged_as_data_error(file):
            for number, shape in enumerate(content["shapes"]):
                mask = _mask(shape, width, height)
                if mask is None:
                    finder.report.notes[f"shape of type {shape.get('shape_type')}, left out"] += 1
                    continue
                label, group = label_or_none(shape.get("label")), shape.get("group_id")
                key = (label, group) if group is not None else number
                before = objects.get(key)
                objects[key] = FoundObject(label, mask if before is None else mask | before.mask)
        yield FoundImage(image, list(objects.values()))


def _shapes(export: Export, record: ImageRecord, item: ObjectRecord) -> list[dict[str, Any]]:
    common = {"label": export.name(item), "description": "", "flags": {}}
    if not export.options.polygons:
        mask = item.mask.mask
        box = mask_box(mask)
        assert box is not None
        left, top, right, bottom = box
        stream = io.BytesIO()
        Image.fromarray(mask[top:bottom, left:right].astype(np.uint8)).save(stream, format="PNG")
        corners = [[left, top], [right - 1, bottom - 1]]
        cut = base64.b64encode(stream.getvalue()).decode("ascii")
        return [{**common, "points": corners, "group_id": None, "shape_type": "mask", "mask": cut}]
    parts = export.parts(record, item)
    if any(part.holes for part in parts):
        export.report.notes["object with holes, which are joined to the outline by cuts of no width"] += 1
    group = item.id if len(parts) > 1 else None
    return [
        {
            **common,
            "points": joined_ring(part.rings).tolist(),
            "group_id": group,
            "shape_type": "polygon",
            "mask": None,
        }
        for part in parts
    ]


def _mask(shape: Mapping[str, Any], width: int, height: int) -> NDArray[np.bool_] | None:
    """Draw a shape; None for lines and points, which have no area."""
    points = rings_of(shape["points"])[0]
    kind = shape.get("shape_type", "polygon")
    mask = np.zeros((height, width), dtype=np.bool_)
    if kind == "mask":
        with without_pillow_limit():
            picture = Image.open(io.BytesIO(base64.b64decode(shape["mask"])))
        with picture:
            cut = np.asarray(picture.convert("L")) > 0
        left, top = (int(value) for value in points[0].round())
        if not (0 <= left and 0 <= top and left + cut.shape[1] <= width and top + cut.shape[0] <= height):
            raise ValueError(f"a mask of {cut.shape[1]}x{cut.shape[0]} at {left},{top} leaves the image")
        mask[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
        return mask
    if kind in ("polygon", "oriented_rectangle"):
        return fill_rings([points], width, height)
    if kind == "rectangle":
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        return fill_rings(rings_of([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), width, height)
    if kind == "circle":
        y, x = np.mgrid[:height, :width] + 0.5
        inside: NDArray[np.bool_] = np.hypot(x - points[0, 0], y - points[0, 1]) <= np.hypot(*(points[1] - points[0]))
        return inside
    return None
