"""The last state of a session as a picture: photo, mask, target and numbered clicks.

The photo with the mask's tint and the target's outline is a JPEG inside an inline SVG; the clicks are drawn on top as
SVG, sharp at any size: a disc with + for the object, a square with − for background, so that nobody needs the colours.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inter2former.errors import ImageReadError
from inter2former.evaluation.records import SessionRecord
from inter2former.evaluation.reporting.text import escape
from inter2former.images import load_image
from inter2former.prompt import Click

__all__ = ["Cut", "cut_around", "session_picture"]

BoolArray = NDArray[np.bool_]
Pixels = NDArray[np.uint8]

LONGEST_SIDE = 480
MARGIN = 0.12
TINT = (30, 110, 255)
TINT_SHARE = 0.5
OUTLINE = (255, 221, 0)
GREY = (128, 128, 128)
JPEG_QUALITY = 82

RADIUS = 6.5
LABEL_HEIGHT = 13.0
DIRECTIONS = ((1, -1), (1, 1), (-1, -1), (-1, 1), (0, -1), (0, 1), (1, 0), (-1, 0))
# Distances of a number from its click, in steps of its own size; beyond the first a line joins the two.
RINGS = (0, 1, 2, 3)


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of an image that a picture shows, and its scale.

    Attributes:
        left, top, width, height: in pixels of the image.
        scale: pixels of the picture per pixel of the image.
        size: width and height of the whole image.
    """

    left: int
    top: int
    width: int
    height: int
    scale: float
    size: tuple[int, int]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is cut off."""
        return (self.width, self.height) == self.size

    @property
    def picture_size(self) -> tuple[int, int]:
        """Width and height of the picture, 1..480."""
        return max(1, round(self.width * self.scale)), max(1, round(self.height * self.scale))

    def place(self, click: Click) -> tuple[float, float]:
        """Centre of the clicked pixel in the picture."""
        width, height = self.picture_size
        return (click.x + 0.5 - self.left) * width / self.width, (click.y + 0.5 - self.top) * height / self.height


def cut_around(size: tuple[int, int], shown: BoolArray, clicks: tuple[Click, ...]) -> Cut:
    """Choose what to show: the whole image, or where something happens if that is at most half of each side.

    Args:
        size: width and height of the image.
        shown: (H, W) bool, the mask and the target together.
        clicks: in pixels of the image; they lie inside the part.

    Returns:
        the part, its proportions at most 3:1.
    """
    width, height = size
    columns, rows = np.flatnonzero(shown.any(axis=0)), np.flatnonzero(shown.any(axis=1))
    xs = [*columns[[0, -1]].tolist(), *(c.x for c in clicks)] if len(columns) else [c.x for c in clicks]
    ys = [*rows[[0, -1]].tolist(), *(c.y for c in clicks)] if len(rows) else [c.y for c in clicks]
    left, cut_width = _span(xs, width)
    top, cut_height = _span(ys, height)
    if 2 * cut_width > width or 2 * cut_height > height:
        left, top, cut_width, cut_height = 0, 0, width, height
    else:
        left, cut_width = _widened(left, cut_width, math.ceil(cut_height / 2), width)
        top, cut_height = _widened(top, cut_height, math.ceil(cut_width / 2), height)
    return Cut(left, top, cut_width, cut_height, LONGEST_SIDE / max(cut_width, cut_height), size)


def session_picture(
    record: SessionRecord, mask: BoolArray, target: BoolArray, photo: Path, cut: Cut
) -> tuple[str, str]:
    """Draw one session.

    Args:
        record: of the session.
        mask: (H, W) bool, its last mask.
        target: (H, W) bool, the object.
        cut: the part of the image to show.
        photo: the image file; where it cannot be read or has another size, the picture is drawn on grey.

    Returns:
        an `<svg>` element, and what there is to say about the picture: "" or a sentence.
    """
    clicks = tuple(entry.click for entry in record.clicks)
    part, note = _photo_part(photo, cut)
    picture = _drawn(part, mask, target, cut)
    if not cut.is_whole:
        note = f"Cut to {cut.width} × {cut.height} of {cut.size[0]} × {cut.size[1]} pixels. {note}".strip()
    width, height = cut.picture_size
    label = f"{record.id}: image with the mask in blue, the outline of the object in yellow, and {len(clicks)} clicks"
    return (
        f'<svg class="photo" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f'<image width="{width}" height="{height}" href="{_as_jpeg(picture)}"/>'
        f"{_markers(record, cut)}</svg>",
        note,
    )


def _span(positions: list[int], length: int) -> tuple[int, int]:
    """First pixel and number of pixels around the positions, with a margin, inside 0..length - 1."""
    if not positions:
        return 0, length
    first, last = min(positions), max(positions)
    margin = max(8, round(MARGIN * (last - first + 1)))
    start, end = max(0, first - margin), min(length, last + 1 + margin)
    return start, end - start


def _widened(start: int, width: int, wanted: int, length: int) -> tuple[int, int]:
    """The same range made at least `wanted` wide around its middle, inside 0..length - 1."""
    more = min(max(wanted, width), length)
    return min(max(0, start - (more - width) // 2), length - more), more


def _photo_part(path: Path, cut: Cut) -> tuple[Pixels, str]:
    width, height = cut.picture_size
    grey = np.full((height, width, 3), GREY, np.uint8)
    try:
        image = load_image(path)
    except ImageReadError:
        return grey, "Drawn on grey: the photo was not found or cannot be read."
    if image.shape[:2] != cut.size[::-1]:
        was = f"{cut.size[0]} × {cut.size[1]}"
        return grey, f"Drawn on grey: the photo is now {image.shape[1]} × {image.shape[0]}, in the run it was {was}."
    part = image[cut.top : cut.top + cut.height, cut.left : cut.left + cut.width]
    method = cv2.INTER_AREA if cut.scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (width, height), interpolation=method), np.uint8), ""


def _resized(mask: BoolArray, cut: Cut, size: tuple[int, int]) -> NDArray[np.float32]:
    """The cut part of the mask at `size` (width, height): the share of each pixel that it covers, 0..1."""
    part = np.ascontiguousarray(mask[cut.top : cut.top + cut.height, cut.left : cut.left + cut.width], np.float32)
    method = cv2.INTER_AREA if size[0] < cut.width else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, size, interpolation=method), np.float32)


def _drawn(part: Pixels, mask: BoolArray, target: BoolArray, cut: Cut) -> Pixels:
    width, height = cut.picture_size
    share = TINT_SHARE * _resized(mask, cut, (width, height))[..., None]
    tinted = part * (1 - share) + np.array(TINT) * share
    # Twice as large and then halved: OpenCV has no lines of 1.5 px. RETR_LIST: the outlines of holes too.
    large = _resized(target, cut, (2 * width, 2 * height)) >= 0.5
    outlines, _ = cv2.findContours(large.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for colour, thickness in (((0, 0, 0), 5), (OUTLINE, 3)):
        line = np.zeros(large.shape, np.float32)
        cv2.drawContours(line, outlines, -1, 1.0, thickness)
        covered = cv2.resize(line, (width, height), interpolation=cv2.INTER_AREA)[..., None]
        tinted = tinted * (1 - covered) + np.array(colour) * covered
    return np.ascontiguousarray(np.rint(tinted), np.uint8)


def _as_jpeg(picture: Pixels) -> str:
    stream = io.BytesIO()
    # 4:4:4: halved colour would smear the outline.
    Image.fromarray(picture).save(stream, format="JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _markers(record: SessionRecord, cut: Cut) -> str:
    places = [cut.place(entry.click) for entry in record.clicks]
    labels = _label_places(places, cut.picture_size)
    shapes, numbers = [], []
    # Backwards, so that the first clicks, which matter most, lie on top.
    for index in reversed(range(len(places))):
        entry, (x, y), (at_x, at_y, far) = record.clicks[index], places[index], labels[index]
        sign, kind = ("+", "positive") if entry.click.positive else ("−", "negative")
        words = f"click {index + 1} {sign} at ({entry.click.x}, {entry.click.y}), IoU {entry.iou:.3f}"
        line = f'<path class="join" d="M{x:.1f} {y:.1f}L{at_x:.1f} {at_y:.1f}"/>' if far else ""
        shapes.append(
            f'<g class="click {kind}"><title>{escape(words)}</title>{line}{_shape(x, y, entry.click.positive)}</g>'
        )
        numbers.append(f'<text x="{at_x:.1f}" y="{at_y + 4.5:.1f}" text-anchor="middle">{index + 1}</text>')
    return "".join(shapes) + f'<g class="numbers">{"".join(numbers)}</g>'


def _shape(x: float, y: float, positive: bool) -> str:
    arm = 3.5
    across = f"M{x - arm:.1f} {y:.1f}H{x + arm:.1f}"
    if positive:
        return (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}"/><path d="{across}M{x:.1f} {y - arm:.1f}V{y + arm:.1f}"/>'
        )
    side = 2 * RADIUS - 1.5
    return f'<rect x="{x - side / 2:.1f}" y="{y - side / 2:.1f}" width="{side}" height="{side}"/><path d="{across}"/>'


def _label_places(places: list[tuple[float, float]], size: tuple[int, int]) -> list[tuple[float, float, bool]]:
    """Put each number near its click, where it covers least of the clicks and of the numbers before it.

    Returns:
        middle x, middle y, and whether it lies so far off that a line must join it to its click.
    """
    picture = (size[0] / 2, size[1] / 2, float(size[0]), float(size[1]))
    taken = [(x, y, 2 * RADIUS + 1, 2 * RADIUS + 1) for x, y in places]
    chosen: list[tuple[float, float, bool]] = []
    for index, (x, y) in enumerate(places):
        width = 8.0 * len(str(index + 1)) + 1
        best, least = (x, y, False), float("inf")
        for ring in RINGS:
            for dx, dy in DIRECTIONS:
                reach = (1.0 if 0 in (dx, dy) else 0.8) + 0.1 * ring
                at_x = x + dx * reach * (RADIUS + width / 2 + 1 + ring * 14)
                at_y = y + dy * reach * (RADIUS + LABEL_HEIGHT / 2 + ring * 13)
                box = (at_x, at_y, width, LABEL_HEIGHT)
                # A far place must save something; one outside the picture would not be seen at all.
                cost = 6.0 * ring + sum(_common(box, other) for other in taken)
                cost += 10 * (width * LABEL_HEIGHT - _common(box, picture))
                if cost < least - 1e-6:
                    best, least = (at_x, at_y, ring > 0), cost
        chosen.append(best)
        taken.append((*best[:2], width, LABEL_HEIGHT))
    return chosen


def _common(first: tuple[float, float, float, float], second: tuple[float, float, float, float]) -> float:
    """Area that two boxes (middle x, middle y, width, height) have in common."""
    across = min(first[0] + first[2] / 2, second[0] + second[2] / 2) - max(
        first[0] - first[2] / 2, second[0] - second[2] / 2
    )
    down = min(first[1] + first[3] / 2, second[1] + second[3] / 2) - max(
        first[1] - first[3] / 2, second[1] - second[3] / 2
    )
    return max(0.0, across) * max(0.0, down)
