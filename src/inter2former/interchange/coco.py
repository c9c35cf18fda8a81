"""COCO: one JSON file with images, annotations and categories; masks as run lengths, which keep holes and parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inter2former.interchange.exchange import Export, Finder, FoundImage, FoundObject, JsonArray
from inter2former.interchange.reading import label_or_none, read_json, rings_of
from inter2former.masks import decode_rle, mask_box, mask_from_runs
from inter2former.polygons import joined_ring
from inter2former.project.records import ImageRecord, ObjectRecord
from inter2former.shapes import fill_rings

__all__ = ["read", "write"]


def write(export: Export) -> None:
    """Write annotations.json; with `polygons`, outlines in place of run lengths, their holes joined by cuts."""
    annotations = export.out / "annotations.part"
    with (
        annotations.open("w", encoding="utf-8") as items,
        (export.out / "annotations.json").open("w", encoding="utf-8") as whole,
    ):
        whole.write('{"info": {"description": "exported by inter2former"}, "licenses": [], "images": ')
        images, objects = JsonArray(whole), JsonArray(items)
        count = 0
        for number, (record, found) in enumerate(export.images(), 1):
            size = {"width": record.width, "height": record.height}
            images.add({"id": number, "file_name": record.path, **size})
            for item in found:
                count += 1
                objects.add(_annotation(export, record, item, count, number))
            export.copy_image(record, f"images/{record.path}")
        images.end()
        objects.end()
        whole.write(',\n"annotations": ')
        items.flush()
        with annotations.open(encoding="utf-8") as written:
            while block := written.read(1 << 20):
                whole.write(block)
        whole.write(',\n"categories": ')
        categories = JsonArray(whole)
        for name, category in export.categories().items():
            categories.add({"id": category, "name": name, "supercategory": ""})
        categories.end()
        whole.write("}\n")
    annotations.unlink()


def read(path: Path, finder: Finder) -> Iterator[FoundImage]:
    """Read a COCO file, also one with uncompressed run lengths; it is held in memory as a whole.

    Raises:
        DataError: it is no such file.
    """
    content = read_json(path, {"images": list, "annotations": list, "categories": list})
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    by_image: dict[object, list[Mapping[str, Any]]] = {}
    for annotation in content["annotations"]:
        by_image.setdefault(annotation.get("image_id"), []).append(annotation)
    for image in content["images"]:
        annotations = by_image.get(image["id"])
        if not annotations or (found := finder.find(str(image["file_name"]))) is None:
            continue
        name, width, height = found
        if finder.fits(name, (width, height), (image.get("width"), image.get("height"))):
            objects = []
            for annotation in annotations:
                mask = _mask(annotation.get("segmentation"), width, height)
                if mask is None or not mask.any():
                    finder.report.notes["annotation without a mask (a box or keypoints only), left out"] += 1
                else:
                    label = label_or_none(names.get(annotation.get("category_id")))
                    objects.append(FoundObject(label, mask))
            yield FoundImage(name, objects)


def _annotation(export: Export, record: ImageRecord, item: ObjectRecord, number: int, image: int) -> dict[str, Any]:
    mask = item.mask
    box = mask_box(mask.mask)
    assert box is not None
    segmentation: object = {"size": [mask.height, mask.width], "counts": mask.counts}
    if export.options.polygons:
        parts = export.parts(record, item)
        if any(part.holes for part in parts):
            export.report.notes["object with holes, which are joined to the outline by cuts of no width"] += 1
        segmentation = [joined_ring(part.rings).reshape(-1).tolist() for part in parts]
    return {
        "id": number,
        "image_id": image,
        "category_id": export.category(item),
        "segmentation": segmentation,
        "area": mask.area,
        "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
        "iscrowd": 0,
    }


def _mask(segmentation: object, width: int, height: int) -> NDArray[np.bool_] | None:
    """Draw polygons or run lengths; None where there is nothing to draw."""
    if isinstance(segmentation, Mapping):
        counts = segmentation.get("counts")
        if isinstance(counts, str):
            return decode_rle(counts, height, width)
        return None if counts is None else mask_from_runs(counts, height, width)
    if not isinstance(segmentation, list) or not segmentation:
        return None
    mask = np.zeros((height, width), dtype=np.bool_)
    for ring in segmentation:
        mask |= fill_rings(rings_of(np.reshape(ring, (-1, 2))), width, height)
    return mask
