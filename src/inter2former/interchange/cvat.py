"""CVAT for images 1.1: one XML file; masks as row-major run lengths inside their box, or polygons."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from inter2former.errors import DataError
from inter2former.interchange.exchange import Export, Finder, FoundImage, FoundObject
from inter2former.interchange.reading import damaged_as_data_error, label_or_none, rings_of
from inter2former.masks import mask_box, mask_from_runs, runs_from_mask
from inter2former.polygons import joined_ring
from inter2former.project.records import ImageRecord, ObjectRecord
from inter2former.shapes import fill_rings

__all__ = ["read", "write"]

_HEAD = 4096


def write(export: Export) -> None:
    """Write annotations.xml; with `polygons`, parts of an object become polygons of one group, holes are joined."""
    body = export.out / "annotations.part"
    with body.open("w", encoding="utf-8") as stream:
        for number, (record, found) in enumerate(export.images()):
            size = f'width="{record.width}" height="{record.height}"'
            stream.write(f'  <image id="{number}" name={quoteattr(record.path)} {size}>\n')
            for order, item in enumerate(found):
                _write_object(stream, export, record, item, order)
            stream.write("  </image>\n")
            export.copy_image(record, f"images/{record.path}")
    # The labels are complete only now, and stand before the images.
    with (export.out / "annotations.xml").open("w", encoding="utf-8") as whole:
        whole.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
        whole.write("  <meta>\n    <job>\n      <mode>annotation</mode>\n      <labels>\n")
        for name in export.categories():
            text = quoteattr(name)[1:-1]
            whole.write(f"        <label><name>{text}</name><type>any</type><attributes></attributes></label>\n")
        whole.write("      </labels>\n    </job>\n  </meta>\n")
        with body.open(encoding="utf-8") as written:
            while block := written.read(1 << 20):
                whole.write(block)
        whole.write("</annotations>\n")
    body.unlink()


def read(path: Path, finder: Finder) -> Iterator[FoundImage]:
    """Read an XML file, image by image; polygons are objects of their own, also where they have one group_id.

    Raises:
        DataError: it is damaged, of another format, or defines entities, which nobody needs here.
    """
    try:
        with path.open("rb") as stream:
            if b"<!DOCTYPE" in stream.read(_HEAD):
                raise DataError(f"{path}: has a document type; remove the line with DOCTYPE, CVAT writes none")
            stream.seek(0)
            root: ET.Element | None = None
            for event, element in ET.iterparse(stream, events=("start", "end")):
                root = element if root is None else root
                if event == "end" and element.tag == "image":
                    with damaged_as_data_error(path):
                        found = _image(element, finder)
                    if found is not None:
                        yield found
                    root.clear()
            if root is None or root.tag != "annotations":
                raise DataError(f"{path}: has no annotations; name an export of the format CVAT for images 1.1")
    except ET.ParseError as error:
        raise DataError(f"{path}: is no XML ({error}); name an export of the format CVAT for images 1.1") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); name the file to import") from error


def _write_object(stream: TextIO, export: Export, record: ImageRecord, item: ObjectRecord, order: int) -> None:
    common = f'label={quoteattr(export.name(item))} source="manual" occluded="0" z_order="{order}"'
    if not export.options.polygons:
        mask = item.mask.mask
        box = mask_box(mask)
        assert box is not None
        left, top, right, bottom = box
        # Row by row, where the run lengths of COCO go column by column.
        runs = ", ".join(map(str, runs_from_mask(mask[top:bottom, left:right].T)))
        place = f'left="{left}" top="{top}" width="{right - left}" height="{bottom - top}"'
        stream.write(f'    <mask {common} rle="{runs}" {place}></mask>\n')
        return
    parts = export.parts(record, item)
    if any(part.holes for part in parts):
        export.report.notes["object with holes, which are joined to the outline by cuts of no width"] += 1
    if len(parts) > 1:
        export.report.notes["object of several parts, which are polygons of one group"] += 1
    group = f' group_id="{item.id}"' if len(parts) > 1 else ""
    for part in parts:
        points = ";".join(f"{x:.2f},{y:.2f}" for x, y in joined_ring(part.rings))
        stream.write(f'    <polygon {common}{group} points="{points}"></polygon>\n')


def _image(element: ET.Element, finder: Finder) -> FoundImage | None:
    if not len(element) or (found := finder.find(element.attrib["name"])) is None:
        return None
    name, width, height = found
    if not finder.fits(name, (width, height), (int(element.attrib["width"]), int(element.attrib["height"]))):
        return None
    objects: list[tuple[int, FoundObject]] = []
    for shape in element:
        mask = _mask(shape, width, height)
        if mask is None:
            finder.report.notes[f"shape of type {shape.tag}, left out"] += 1
        else:
            order = int(shape.attrib.get("z_order", 0))
            objects.append((order, FoundObject(label_or_none(shape.attrib.get("label")), mask)))
    return FoundImage(name, [item for _, item in sorted(objects, key=lambda pair: pair[0])])


def _mask(shape: ET.Element, width: int, height: int) -> NDArray[np.bool_] | None:
    values = shape.attrib
    if shape.tag == "mask":
        left, top, across, down = (int(values[name]) for name in ("left", "top", "width", "height"))
        if not (0 <= left and 0 <= top and left + across <= width and top + down <= height):
            raise ValueError(f"a mask of {across}x{down} at {left},{top} leaves the image")
        mask = np.zeros((height, width), dtype=np.bool_)
        runs = [int(run) for run in re.findall(r"\d+", values["rle"])]
        mask[top : top + down, left : left + across] = mask_from_runs(runs, across, down).T
        return mask
    if shape.tag == "polygon":
        corners = [[float(value) for value in point.split(",")] for point in values["points"].split(";")]
        return fill_rings(rings_of(corners), width, height)
    if shape.tag == "box" and not float(values.get("rotation", 0)):
        x0, y0, x1, y1 = (float(values[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
        return fill_rings(rings_of([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), width, height)
    return None
