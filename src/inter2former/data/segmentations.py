"""The three ways in which COCO and LVIS write a mask: polygons, run lengths, and compressed run lengths.

Polygons are drawn by pycocotools (extra `datasets`), whose rule for pixels on the outline is part of the data sets'
definition; run lengths are read by `masks`, which checks that they fit the image.
"""

from __future__ import annotations

import math
from array import array
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from inter2former.errors import DataError
from inter2former.masks import decode_rle, mask_from_runs

__all__ = ["compact", "decode", "require_polygons"]


def compact(segmentation: object) -> object:
    """Polygons in a tenth of the memory that JSON's lists of floats take; anything else as it is.

    Nothing is checked here; `decode` does.
    """
    if not isinstance(segmentation, list):
        return segmentation
    try:
        return tuple(array("d", polygon) for polygon in segmentation)
    except (TypeError, OverflowError):
        return segmentation


def require_polygons() -> None:
    """Make sure that polygons can be drawn.

    Raises:
        DataError: pycocotools is not installed.
    """
    if find_spec("pycocotools") is None:
        raise DataError("reading polygons of COCO or LVIS needs pycocotools; install inter2former[datasets]")


def decode(segmentation: object, height: int, width: int) -> NDArray[np.bool_]:
    """Draw a mask.

    Args:
        segmentation: the JSON entry, from `compact`.
        height: rows of the image.
        width: columns of the image.
    Returns:
        (height, width) bool.
    Raises:
        ValueError: no segmentation, one of another size, or a damaged one.
    """
    if isinstance(segmentation, dict):
        return _decode_runs(segmentation, height, width)
    if isinstance(segmentation, (list, tuple)) and segmentation:
        return _draw_polygons(segmentation, height, width)
    raise ValueError("it has no segmentation; give polygons or run lengths")


def _decode_runs(segmentation: dict[str, object], height: int, width: int) -> NDArray[np.bool_]:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise ValueError(f"its run lengths are of size {size}; wanted {[height, width]}, height and width of the image")
    if isinstance(counts, str):
        return decode_rle(counts, height, width)
    if isinstance(counts, list) and all(isinstance(run, int) and 0 <= run <= height * width for run in counts):
        return mask_from_runs(counts, height, width)
    raise ValueError(f"its run lengths are neither a text nor a list of whole numbers up to {height * width}")


def _draw_polygons(polygons: list[object] | tuple[object, ...], height: int, width: int) -> NDArray[np.bool_]:
    from pycocotools import mask as coco_masks

    # Two points enclose nothing, and pycocotools would take their four numbers for a box.
    drawable = [points for points in (_points(polygon, height, width) for polygon in polygons) if len(points) >= 6]
    if not drawable:
        return np.zeros((height, width), dtype=np.bool_)
    runs = coco_masks.merge(coco_masks.frPyObjects(drawable, height, width))
    # pycocotools' own decoder gives warnings with NumPy 2.
    return decode_rle(runs["counts"].decode("ascii"), height, width)


def _points(polygon: object, height: int, width: int) -> list[float]:
    # `compact` has turned every list of numbers into an array.
    points = polygon.tolist() if isinstance(polygon, array) else [math.nan]
    if len(points) % 2 or not all(math.isfinite(number) for number in points):
        raise ValueError("a polygon is no list of x1, y1, x2, y2 and so on in finite numbers")
    # The drawing walks along each edge: a point a million pixels away takes its time and memory.
    reach = 2 * max(height, width)
    if any(not -reach <= number <= reach for number in points):
        raise ValueError(f"a polygon lies far outside the {width}x{height} image; its points must be in pixels")
    return points
