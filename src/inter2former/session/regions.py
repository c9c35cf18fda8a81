"""Prompts that cover an area, in pixels of the network's input."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inter2former.clicks.reference_map import lasso_core
from inter2former.config import ClickConfig
from inter2former.frame import WorkingFrame
from inter2former.prompt import Click, Lasso, Points, Prompt, Scribble
from inter2former.shapes import Patch, fill_rings, paint_line

__all__ = ["excluded_plane", "lasso_plane", "reduced_patch", "scribble_patches"]

BoolArray = NDArray[np.bool_]

# From everywhere there is the centre of a pixel this near, so that the thinnest scribble leaves a mark.
_REACHES_A_CENTRE = 0.7072


def scribble_patches(scribble: Scribble, frame: WorkingFrame, outer_radius: float) -> tuple[Patch, Patch]:
    """Draw a scribble at the working size.

    Args:
        scribble: in original pixels.
        frame: of the image.
        outer_radius: of the band around it, in working pixels.
    Returns:
        the line as thick as it was drawn, and the line with its band.
    """
    line = _scaled(scribble.points, frame)
    radius = max(scribble.radius * frame.content_width / frame.width, _REACHES_A_CENTRE)
    size = frame.padded_width, frame.padded_height
    return paint_line(line, radius, *size), paint_line(line, radius + outer_radius, *size)


def lasso_plane(lasso: Lasso, frame: WorkingFrame) -> BoolArray:
    """Fill a lasso at the working size: (padded height, padded width) bool."""
    line = _scaled(lasso.points, frame)
    return fill_rings([line], frame.padded_width, frame.padded_height, even_odd=False)


def excluded_plane(prompts: tuple[Prompt, ...], frame: WorkingFrame, config: ClickConfig) -> BoolArray | None:
    """Where negative lassos say that nothing belongs to the object, and no later prompt says otherwise.

    Args:
        prompts: those in force, oldest first.
        frame: of the image.
        config: the outer radius is how far a later positive click or scribble reopens a lasso around itself.
    Returns:
        (padded height, padded width) bool; None where there is no negative lasso.
    """
    excluded: BoolArray | None = None
    for prompt in prompts:
        if isinstance(prompt, Lasso):
            inside = lasso_plane(prompt, frame)
            if not prompt.positive:
                core = lasso_core(inside)
                excluded = core if excluded is None else excluded | core
            elif excluded is not None:
                excluded &= ~inside
        elif excluded is not None and isinstance(prompt, Click | Scribble) and prompt.positive:
            around = prompt if isinstance(prompt, Scribble) else Scribble(((prompt.x, prompt.y),), 0.5)
            _, band = scribble_patches(around, frame, max(config.outer_radius, config.inner_radius))
            excluded[band.window] &= ~band.mask
    return excluded


def reduced_patch(patch: Patch, frame: WorkingFrame) -> Patch:
    """The working pixels that a patch of the original image covers for the larger part."""
    across, down = frame.content_width / frame.width, frame.content_height / frame.height
    height, width = patch.mask.shape
    left, top = int(patch.left * across), int(patch.top * down)
    right = min(-(-(patch.left + width) * frame.content_width // frame.width), frame.content_width)
    bottom = min(-(-(patch.top + height) * frame.content_height // frame.height), frame.content_height)
    # Working pixel (c, r) reads original position ((c + 1/2) / across - 1/2), less the corner of the patch.
    matrix = np.array(
        [
            [1 / across, 0, (left + 0.5) / across - 0.5 - patch.left],
            [0, 1 / down, (top + 0.5) / down - 0.5 - patch.top],
        ]
    )
    kernel = max(1, round(1 / across)), max(1, round(1 / down))
    covered = cv2.blur(patch.mask.astype(np.float32), kernel, borderType=cv2.BORDER_CONSTANT)
    share = cv2.warpAffine(covered, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return Patch(left, top, share >= 0.5)


def _scaled(points: Points, frame: WorkingFrame) -> NDArray[np.float64]:
    """The centres of original pixels, in continuous working coordinates."""
    scale = frame.content_width / frame.width, frame.content_height / frame.height
    return (np.array(points, dtype=np.float64) + 0.5) * scale
