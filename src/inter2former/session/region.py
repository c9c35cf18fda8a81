"""High resolution: a second encoding of the region around a small object, in which its mask is drawn more finely.

The first encoding shows the network the whole image at the working size, where a pixel may stand for many of the
original. A region is encoded as an image of its own. Its reference map begins with the mask that is there, unknown
along its edge, and holds the same clicks, scribbles and strokes; one round of the network draws the edge anew.
"""

from __future__ import annotations

import time
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from inter2former.clicks.reference_map import State, stamp_clicks, stamp_definite, stamp_mask
from inter2former.clicks.respect import keep_clicks
from inter2former.frame import WorkingFrame, mask_to_original
from inter2former.masks import mask_box
from inter2former.prompt import Click, Points, Prompt, Scribble, Stroke
from inter2former.session.engine import Encoding, Engine
from inter2former.session.painting import Painting, stroke_patch
from inter2former.session.prediction import Prediction, stability
from inter2former.session.regions import reduced_patch, scribble_patches
from inter2former.session.steps import since_mask
from inter2former.session.verdicts import verdicts
from inter2former.shapes import Patch

__all__ = ["Region", "fitted_region", "refined", "region_worth_encoding"]

BoolArray = NDArray[np.bool_]

MARGIN_SHARE = 0.15
"""What a region holds beyond the mask's box on each side, as a share of the box's longer side."""

LEAST_GAIN = 1.5
"""A region is worth its encoding where it shows this many times as many pixels per side as the whole image does."""

EDGE = 2.5
"""Half the width of the band along the edge that is drawn anew, in working pixels of the whole image."""


class Region(NamedTuple):
    """A part of an image with an encoding of its own.

    Attributes:
        left: first column in the original image.
        top: first row.
        encoding: of the pixels of the part.
    """

    left: int
    top: int
    encoding: Encoding

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the part in the original image."""
        frame = self.encoding.frame
        return slice(self.top, self.top + frame.height), slice(self.left, self.left + frame.width)


def region_worth_encoding(prediction: Prediction) -> tuple[int, int, int, int] | None:
    """Choose the region around an object that a second encoding would show more finely.

    Args:
        prediction: with the mask of the object.
    Returns:
        (left, top, right, bottom) in original pixels, right and bottom being the first column and row outside; None
        where the mask is empty, or the region would gain less than `LEAST_GAIN`.
    """
    box = mask_box(prediction.mask)
    if box is None:
        return None
    height, width = prediction.mask.shape
    margin = round(MARGIN_SHARE * max(box[2] - box[0], box[3] - box[1])) + 1
    left, top = max(box[0] - margin, 0), max(box[1] - margin, 0)
    right, bottom = min(box[2] + margin, width), min(box[3] + margin, height)
    longest = max(right - left, bottom - top)
    # Enlarging beyond the original's own pixels shows nothing new.
    gain = min(max(width, height) / longest, _scale(prediction))
    return (left, top, right, bottom) if gain >= LEAST_GAIN else None


def fitted_region(region: tuple[int, int, int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """Check a region that somebody named.

    Args:
        region: (left, top, right, bottom) in pixels, right and bottom being the first column and row outside.
        width: of the image.
        height: of the image.
    Returns:
        the region.
    Raises:
        ValueError: it is empty or leaves the image.
    """
    left, top, right, bottom = region
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise ValueError(
            f"the region {region} is empty or leaves the {width}x{height} image; "
            "give left, top and the first column and row outside"
        )
    return left, top, right, bottom


def refined(engine: Engine, region: Region, prediction: Prediction) -> Prediction:
    """Draw the edge of a mask anew in a region; outside it the mask stays as it is.

    Args:
        engine: that encoded the region.
        region: that holds the object; what of the mask lies outside is kept.
        prediction: of the whole image.
    Returns:
        the same prediction with another mask inside the region. Painted pixels, clicks and scribbles hold as before.
        Its `logits` are 20 or -20 where the mask differs from the coarse one.
    """
    started = time.perf_counter()
    frame, corner = region.encoding.frame, (region.left, region.top)
    prompts = tuple(_moved(prompt, corner) for prompt in since_mask(prediction.prompts))
    evidence = tuple(prompt for prompt in prompts if _inside(prompt, frame))
    painting = _painting(evidence, frame)
    coarse = prediction.mask[region.window]
    reference_map = _reference_map(engine, frame, coarse, evidence, _scale(prediction))
    logits, box = engine.answer(region.encoding, reference_map)
    kept = keep_clicks(
        logits, box, verdicts(evidence, frame, painting), radius=engine.network.config.clicks.inner_radius
    )
    fine = mask_to_original(kept, frame, box=box)
    if painting is not None:
        painting.apply(fine)
    mask = prediction.mask.copy()
    mask[region.window] = fine
    mask.flags.writeable = False
    timings = MappingProxyType({**prediction.timings, "region": time.perf_counter() - started})
    return replace(prediction, mask=mask, score=stability(kept), timings=timings)


def _scale(prediction: Prediction) -> float:
    """Original pixels per working pixel of the whole image, along its longer side."""
    frame = prediction._frame
    return max(frame.width, frame.height) / max(frame.content_width, frame.content_height)


def _reference_map(
    engine: Engine, frame: WorkingFrame, coarse: BoolArray, prompts: tuple[Prompt, ...], scale: float
) -> NDArray[np.uint8]:
    """The coarse mask with its edge unknown, and all evidence, in working pixels of the region."""
    plane = np.zeros((frame.padded_height, frame.padded_width), dtype=np.uint8)
    size = frame.content_width, frame.content_height
    shrinking = frame.content_width < frame.width
    plane[: size[1], : size[0]] = cv2.resize(
        coarse.astype(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    )
    mask = plane > 127
    reach = 2 * max(1, round(EDGE * scale * frame.content_width / frame.width)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    edge = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, disc) > 0
    reference_map = np.where(edge, np.uint8(State.UNKNOWN), stamp_mask(mask))
    for prompt in prompts:
        if isinstance(prompt, Click):
            at = Click(*frame.working_pixel(prompt.x, prompt.y), prompt.positive)
            radius = engine.network.config.clicks.inner_radius
            reference_map = stamp_clicks(reference_map, [at], inner_radius=radius)
        elif isinstance(prompt, Scribble):
            core, _ = scribble_patches(prompt, frame, 0.0)
            reference_map = stamp_definite(reference_map, core, positive=prompt.positive)
        elif isinstance(prompt, Stroke):
            core = reduced_patch(stroke_patch(prompt, frame.width, frame.height), frame)
            reference_map = stamp_definite(reference_map, core, positive=not prompt.erase)
    return reference_map


def _moved(prompt: Prompt, corner: tuple[int, int]) -> Prompt:
    """The prompt in pixels of the region; boxes and lassos, which speak of areas, have had their effect."""
    match prompt:
        case Click(x, y, positive):
            return Click(x - corner[0], y - corner[1], positive)
        case Scribble(points, radius, positive):
            return Scribble(_moved_points(points, corner), radius, positive)
        case Stroke(points, radius, erase):
            return Stroke(_moved_points(points, corner), radius, erase)
    return prompt


def _moved_points(points: Points, corner: tuple[int, int]) -> Points:
    return tuple((x - corner[0], y - corner[1]) for x, y in points)


def _inside(prompt: Prompt, frame: WorkingFrame) -> bool:
    if isinstance(prompt, Click):
        return 0 <= prompt.x < frame.width and 0 <= prompt.y < frame.height
    if isinstance(prompt, Stroke):
        return _patch(prompt, frame) is not None
    return isinstance(prompt, Scribble)


def _patch(stroke: Stroke, frame: WorkingFrame) -> Patch | None:
    try:
        return stroke_patch(stroke, frame.width, frame.height)
    except ValueError:
        return None


def _painting(prompts: tuple[Prompt, ...], frame: WorkingFrame) -> Painting | None:
    painting: Painting | None = None
    for prompt in prompts:
        if isinstance(prompt, Stroke) and (patch := _patch(prompt, frame)) is not None:
            painting = (
                Painting.of(patch, erase=prompt.erase)
                if painting is None
                else painting.with_stroke(patch, erase=prompt.erase)
            )
    return painting
