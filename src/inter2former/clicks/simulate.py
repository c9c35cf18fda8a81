"""The simulated user: where the next click goes, given a prediction and the target.

The click lands in the error region that is deepest: of the missed object pixels and the wrongly marked background
pixels, the pixel with the greatest distance to the outside of its region.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inter2former.clicks.depth import Deepest, bounding_box, deepest_pixels, distance_inside
from inter2former.masks import mask_pair
from inter2former.prompt import Click

__all__ = [
    "RELEASED",
    "RELEASED_TRAINING",
    "STRICT",
    "ClickRule",
    "click_candidates",
    "deeper_region",
    "distance_inside",
    "next_click",
]

BoolArray = NDArray[np.bool_]


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
    deepest, positive = deeper_region(prediction, target, ignore=ignore, previous=previous, rule=rule)
    candidates = np.zeros(target.shape, dtype=np.bool_)
    candidates.reshape(-1)[deepest.positions] = True
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
    deepest, positive = deeper_region(prediction, target, ignore=ignore, previous=previous, rule=rule)
    candidates = deepest.positions
    if candidates.size == 0:
        return None
    chosen = int(candidates[0])
    if rule.tie_break == "random" and rng is not None:
        chosen = int(candidates[rng.choice(range(candidates.size))])
    row, column = divmod(chosen, target.shape[1])
    return Click(column, row, positive)


def deeper_region(
    prediction: NDArray[np.generic],
    target: NDArray[np.generic],
    *,
    ignore: NDArray[np.generic] | None = None,
    previous: Sequence[Click] = (),
    rule: ClickRule = STRICT,
) -> tuple[Deepest, bool]:
    """Find the deepest pixels of the deeper error region, and whether that is missed object.

    Args:
        prediction: (H, W) bool, or numbers of which 1 marks the object.
        target: (H, W), likewise.
        ignore: (H, W), likewise: pixels that are no error whatever was predicted.
        previous: clicks made so far, in pixels of the masks.
        rule: which pixels qualify; its tie break is not used here.

    Returns:
        the pixels; True for the missed part of the object, False for wrongly marked background. Regions of equal depth:
        False.

    Raises:
        ValueError: a rank other than 2, different sizes, or a previous click outside the masks.
    """
    predicted, truth, ignored = mask_pair(prediction, target, ignore)
    height, width = truth.shape
    for click in previous:
        if not (0 <= click.x < width and 0 <= click.y < height):
            raise ValueError(
                f"previous click ({click.x}, {click.y}) lies outside the {width}x{height} mask; "
                f"x must be in [0, {width - 1}] and y in [0, {height - 1}]"
            )
    error = predicted ^ truth
    if ignored is not None:
        error &= ~ignored
    left, top, window = bounding_box(error)  # all that follows costs no more than the part of the image in error
    error, inside = error[window], truth[window]
    shifted = [Click(click.x - left, click.y - top, click.positive) for click in previous]
    missed = _deepest(error & inside, shifted, rule)
    surplus = _deepest(error & ~inside, shifted, rule)
    deepest, positive = (missed, True) if missed.depth > surplus.depth else (surplus, False)
    rows, columns = np.divmod(deepest.positions, max(1, error.shape[1]))
    return Deepest(deepest.depth, (rows + top) * width + columns + left), positive


def _deepest(region: BoolArray, previous: Sequence[Click], rule: ClickRule) -> Deepest:
    """The deepest pixels of a region without clicked ones, left out as the rule says. Writes in `region`."""
    if rule.clicked_pixels == "after":
        return deepest_pixels(region, passed_over=previous, inner_ratio=rule.inner_ratio)
    _clear(region, previous)
    return deepest_pixels(region, inner_ratio=rule.inner_ratio)


def _clear(values: NDArray[np.generic], previous: Sequence[Click]) -> None:
    """Write 0 at the clicked pixels that fall into `values`."""
    height, width = values.shape
    for click in previous:
        if 0 <= click.y < height and 0 <= click.x < width:
            values[click.y, click.x] = 0
