"""The simulated user: where the next click goes, given a prediction and the target.

The click lands in the error region that is deepest: of the missed object pixels and the wrongly marked background
pixels, the pixel with the greatest distance to the outside of its region.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from inter2former.masks import as_mask, mask_pair
from inter2former.prompt import Click

__all__ = [
    "RELEASED",
    "RELEASED_TRAINING",
    "STRICT",
    "ClickRule",
    "click_candidates",
    "distance_inside",
    "next_click",
]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]

_EPSILON = 2.0**-23
# Below this depth the square of a float32 distance is less than 1/2 away from the integer it stands for.
_FLOAT32_SQUARES_EXACT = 1000.0


@dataclass(frozen=True, slots=True)
class ClickRule:
    """How the simulated user chooses a pixel of the deeper error region.

    Attributes:
        clicked_pixels: "before": pixels clicked earlier leave the error regions before distances are measured, so each
            makes a hole; "after": distances are measured first, then clicked pixels are passed over.
        tie_break: "raster": the first candidate in row-major order; "random": any candidate, all equally likely.
        inner_ratio: k >= 1; candidates are the pixels deeper than 1/k of the greatest depth. 1: only the deepest.

    Raises:
        ValueError: an unknown word, or a ratio below 1.
    """

    clicked_pixels: Literal["before", "after"]
    tie_break: Literal["raster", "random"]
    inner_ratio: float = 1.0

    def __post_init__(self) -> None:
        """Refuse unknown words and ratios."""
        if self.clicked_pixels not in ("before", "after"):
            raise ValueError(f"clicked_pixels is {self.clicked_pixels!r}; expected 'before' or 'after'")
        if self.tie_break not in ("raster", "random"):
            raise ValueError(f"tie_break is {self.tie_break!r}; expected 'raster' or 'random'")
        if not self.inner_ratio >= 1:
            raise ValueError(f"inner_ratio is {self.inner_ratio}; it must be >= 1")


STRICT = ClickRule("after", "raster")
RELEASED = ClickRule("before", "random")
RELEASED_TRAINING = ClickRule("before", "random", 1.7)


class _Depth(NamedTuple):
    """Distances to the outside of a region, on the region's bounding box only."""

    values: FloatArray
    left: int
    top: int

    @property
    def greatest(self) -> float:
        return float(self.values.max(initial=0.0))


def distance_inside(region: NDArray[np.generic]) -> FloatArray:
    """Measure how deep every pixel lies in a region.

    Args:
        region: (H, W) bool, or numbers of which 1 marks the region.

    Returns:
        (H, W) float32, the exact Euclidean distance in pixels to the nearest pixel outside the region, 0 outside. What
        lies beyond the image counts as outside: a region pixel at the border has distance 1.

    Raises:
        ValueError: another rank.
    """
    inside = as_mask(region, "region")
    depth = _measure(inside)
    distance = np.zeros(inside.shape, dtype=np.float32)
    height, width = depth.values.shape
    distance[depth.top : depth.top + height, depth.left : depth.left + width] = depth.values
    return distance


def click_candidates(
    prediction: NDArray[np.generic],
    target: NDArray[np.generic],
    *,
    ignore: NDArray[np.generic] | None = None,
    previous: Sequence[Click] = (),
    rule: ClickRule = STRICT,
) -> tuple[BoolArray, bool]:
    """Mark every pixel that the simulated user may click next.

    Args:
        prediction: (H, W) bool, or numbers of which 1 marks the object.
        target: (H, W), likewise. A label 255 counts as background unless `ignore` marks it.
        ignore: (H, W), likewise: pixels that are no error whatever was predicted.
        previous: clicks made so far, in pixels of the masks; none of them is a candidate.
        rule: which pixels of the deeper region qualify; its tie break is not used here.

    Returns:
        (H, W) bool, nowhere True when no error is left; and whether a click there is positive: True in the missed part
        of the object, False in wrongly marked background. Regions of equal depth: False.

    Raises:
        ValueError: a rank other than 2, different sizes, or a previous click outside the masks.
    """
    truth = as_mask(target, "target")
    depth, positive = _deeper_region(prediction, target, ignore, previous, rule)
    candidates = np.zeros(truth.shape, dtype=np.bool_)
    height, width = depth.values.shape
    candidates[depth.top : depth.top + height, depth.left : depth.left + width] = _deep_enough(depth, rule)
    return candidates, positive


def next_click(
    prediction: NDArray[np.generic],
    target: NDArray[np.generic],
    *,
    ignore: NDArray[np.generic] | None = None,
    previous: Sequence[Click] = (),
    rule: ClickRule = STRICT,
    rng: random.Random | None = None,
) -> Click | None:
    """Choose the next click of the simulated user.

    Args:
        prediction: (H, W) bool, or numbers of which 1 marks the object.
        target: (H, W), likewise. A label 255 counts as background unless `ignore` marks it.
        ignore: (H, W), likewise: pixels that are no error whatever was predicted.
        previous: clicks made so far, in pixels of the masks; none of them is clicked again.
        rule: how the pixel is chosen.
        rng: source of the random tie break; one draw per call that finds an error. Not used by "raster".

    Returns:
        The click, in pixels of the masks; None when every pixel in error has been clicked or none is in error.

    Raises:
        ValueError: a random tie break without `rng`, a rank other than 2, different sizes, or a previous click outside
            the masks.
    """
    if rule.tie_break == "random" and rng is None:
        raise ValueError("the rule breaks ties at random: give rng, or use a rule with tie_break 'raster'")
    depth, positive = _deeper_region(prediction, target, ignore, previous, rule)
    candidates = np.flatnonzero(_deep_enough(depth, rule))
    if candidates.size == 0:
        return None
    chosen = int(candidates[0])
    if rule.tie_break == "random" and rng is not None:
        chosen = int(candidates[rng.choice(range(candidates.size))])
    row, column = divmod(chosen, depth.values.shape[1])
    return Click(depth.left + column, depth.top + row, positive)


def _deeper_region(
    prediction: NDArray[np.generic],
    target: NDArray[np.generic],
    ignore: NDArray[np.generic] | None,
    previous: Sequence[Click],
    rule: ClickRule,
) -> tuple[_Depth, bool]:
    """Measure both error regions; return the deeper one, without clicked pixels, and whether it was missed object."""
    predicted, truth, ignored = mask_pair(prediction, target, ignore)
    height, width = truth.shape
    for click in previous:
        if not (0 <= click.x < width and 0 <= click.y < height):
            raise ValueError(
                f"previous click ({click.x}, {click.y}) lies outside the {width}x{height} mask; "
                f"x must be in [0, {width - 1}] and y in [0, {height - 1}]"
            )
    error = predicted ^ truth
    left, top, window = _bounding_box(error)  # all that follows costs no more than the part of the image in error
    error, truth = error[window], truth[window]
    if ignored is not None:
        error = error & ~ignored[window]
    missed = _depth_without_clicks(error & truth, left, top, previous, rule)
    surplus = _depth_without_clicks(error & ~truth, left, top, previous, rule)
    return (missed, True) if missed.greatest > surplus.greatest else (surplus, False)


def _depth_without_clicks(region: BoolArray, left: int, top: int, previous: Sequence[Click], rule: ClickRule) -> _Depth:
    """Measure a region whose corner is (left, top), leaving out clicked pixels as the rule says. Writes in `region`."""
    if rule.clicked_pixels == "before":
        _clear(region, left, top, previous, False)
    depth = _measure(region)
    depth = _Depth(depth.values, left + depth.left, top + depth.top)
    if rule.clicked_pixels == "after":
        _clear(depth.values, depth.left, depth.top, previous, 0.0)
    return depth


def _clear(values: NDArray[np.generic], left: int, top: int, previous: Sequence[Click], nothing: float) -> None:
    """Write `nothing` at the clicked pixels that fall into `values`, whose corner is (left, top)."""
    height, width = values.shape
    for click in previous:
        row, column = click.y - top, click.x - left
        if 0 <= row < height and 0 <= column < width:
            values[row, column] = nothing


def _deep_enough(depth: _Depth, rule: ClickRule) -> BoolArray:
    candidates: BoolArray = depth.values > np.float32(depth.greatest / (rule.inner_ratio + _EPSILON))
    return candidates


def _bounding_box(region: BoolArray) -> tuple[int, int, tuple[slice, slice]]:
    """Find left, top and the window of the smallest box around a region; an empty window for an empty region."""
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(region).view(np.uint8))
    return left, top, (slice(top, top + height), slice(left, left + width))


def _measure(region: BoolArray) -> _Depth:
    left, top, window = _bounding_box(region)
    inside = np.ascontiguousarray(region[window]).view(np.uint8)
    if inside.size == 0:
        return _Depth(np.zeros((0, 0), dtype=np.float32), 0, 0)
    padded = cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    # OpenCV's vector and scalar lanes round one distance differently in the last bit, which would break exact ties by
    # position. Squared distances are integers: going through them makes equal distances equal numbers.
    wide = np.float32 if float(distance.max()) < _FLOAT32_SQUARES_EXACT else np.float64
    squared = np.square(distance, dtype=wide)
    return _Depth(np.sqrt(np.rint(squared, out=squared), out=squared).astype(np.float32, copy=False), left, top)
