"""What prompts say about single places of the image: refused where they cannot be meant, kept in every later answer."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from inter2former.frame import WorkingFrame
from inter2former.prompt import Box, Click, Lasso, MaskPrompt, Prompt, Scribble
from inter2former.session.painting import Painting
from inter2former.shapes import line_pixels

__all__ = ["fitted", "fitted_box", "fitted_click", "verdicts"]

Verdict = tuple[float, float, bool]


def fitted(prompt: Prompt, width: int, height: int) -> Prompt:
    """Fit a prompt to an image: boxes are cut at its edges, everything else stays as it is.

    Raises:
        ValueError: the prompt says nothing about an image of this size; the message says why.
    """
    match prompt:
        case Click(x, y, positive):
            return fitted_click(x, y, positive, width, height)
        case Box(left, top, right, bottom):
            return fitted_box(left, top, right, bottom, width, height)
        case Scribble(points, _, _) if not len(line_pixels(_centres(points), width, height)):
            raise ValueError(
                f"the scribble from {points[0]} touches no pixel of the {width}x{height} image; "
                f"x must reach into [0, {width - 1}] and y into [0, {height - 1}]"
            )
        case MaskPrompt() if (prompt.width, prompt.height) != (width, height):
            raise ValueError(f"the mask is {prompt.width}x{prompt.height}, but the image is {width}x{height}")
        case Lasso(points, _):
            corners = np.array(points)
            if (corners.max(axis=0) < 0).any() or (corners.min(axis=0) >= (width, height)).any():
                raise ValueError(
                    f"the lasso from {points[0]} encloses no pixel of the {width}x{height} image; "
                    f"x must reach into [0, {width - 1}] and y into [0, {height - 1}]"
                )
    return prompt


def fitted_click(x: float, y: float, positive: bool, width: int, height: int) -> Click:
    """Read a click; a fraction names the pixel it lies in.

    Raises:
        ValueError: it is outside the image, or a coordinate is no number.
    """
    if not (_is_number(x) and _is_number(y) and 0 <= x < width and 0 <= y < height):
        raise ValueError(
            f"click ({x}, {y}) lies outside the {width}x{height} image; "
            f"x must be in [0, {width - 1}] and y in [0, {height - 1}]"
        )
    return Click(int(x), int(y), bool(positive))


def fitted_box(left: float, top: float, right: float, bottom: float, width: int, height: int) -> Box:
    """Read a box and cut it at the edges of the image.

    Raises:
        ValueError: it holds no pixel of the image, or a side is no number.
    """
    sides = (left, top, right, bottom)
    if not all(_is_number(side) for side in sides) or not (
        left <= right and top <= bottom and right >= 0 and bottom >= 0 and left < width and top < height
    ):
        raise ValueError(
            f"box {sides} holds no pixel of the {width}x{height} image; give left, top, right, bottom in pixels"
        )
    return Box(int(max(left, 0)), int(max(top, 0)), int(min(right, width - 1)), int(min(bottom, height - 1)))


def verdicts(prompts: tuple[Prompt, ...], frame: WorkingFrame, painting: Painting | None) -> list[Verdict]:
    """List the places that clicks and scribbles speak of, oldest first; where they are painted over, paint speaks.

    Args:
        prompts: those in force.
        frame: of the image.
        painting: all strokes so far.
    Returns:
        x, y in working pixels (fractions between pixel centres) and whether the object is there. A scribble has one
        place per cell between the centres of working pixels that it runs through: the answer is interpolated in these
        cells, so that what holds for one place of a cell holds for all.
    Raises:
        ValueError: the last prompt is a click on a pixel that a stroke painted otherwise.
    """
    places: list[Verdict] = []
    for prompt in prompts:
        if isinstance(prompt, Click):
            pixels, positive = np.array([[prompt.x, prompt.y]], dtype=np.int64), prompt.positive
        elif isinstance(prompt, Scribble):
            pixels = line_pixels(_centres(prompt.points), frame.width, frame.height)
            positive = prompt.positive
        else:
            continue
        if painting is not None:
            open_to = painting.verdicts(pixels) != int(not positive)
            if isinstance(prompt, Click) and prompt is prompts[-1] and not open_to[0]:
                raise ValueError(
                    f"click ({prompt.x}, {prompt.y}) contradicts a stroke: the pixel is "
                    f"{'erased' if positive else 'painted'}; paint over it, or undo the stroke"
                )
            pixels = pixels[open_to]
        places += _places(pixels, positive, frame)
    return places


def _places(pixels: NDArray[np.int64], positive: bool, frame: WorkingFrame) -> list[Verdict]:
    if len(pixels) == 1:
        return [(*frame.to_working(float(pixels[0, 0]), float(pixels[0, 1])), positive)]
    across, down = frame.content_width / frame.width, frame.content_height / frame.height
    at = (pixels + 0.5) * (across, down) - 0.5
    cells, first = np.unique(np.floor(at), axis=0, return_index=True)
    # The middle of a cell asks all four of its corners.
    return [(float(x) + 0.5, float(y) + 0.5, positive) for x, y in cells[np.argsort(first)]]


def _centres(points: tuple[tuple[int, int], ...]) -> NDArray[np.float64]:
    return np.array(points, dtype=np.float64) + 0.5


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and math.isfinite(value)
