"""A simulated person: clicks inside the error, mostly towards its middle, with an unsteady hand.

People do not click on the deepest pixel. Of the simple models that RClicks (arXiv 2410.11722) compares with 475
thousand clicks of people, the one that comes closest draws a pixel of the error region in proportion to its distance
from the region's outside. That is the model here. The hand is added on top, with named parameters that are assumptions
and not measurements: the study has no figures for it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from inter2former.clicks.simulate import deeper_region
from inter2former.masks import mask_pair
from inter2former.prompt import Click

__all__ = ["RealisticClicker"]

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RealisticClicker:
    """How the simulated person clicks.

    The region is the connected part (8 neighbours) of the missed object or of the wrongly marked background that holds
    the deepest pixel in error; a person sees one fault at a time. A pixel of it is drawn in proportion to its distance
    to the outside of the region, then the hand moves it. The click keeps the sign that was meant, wherever it lands:
    beside the region it is a false statement, as people make them. Outside the image it lands on the nearest pixel
    inside. An earlier click may be repeated.

    Attributes:
        jitter: standard deviation of the hand in each direction, in pixels of the screen; >= 0.
        miss: probability that the click lands just outside the region instead, on any pixel within `miss_reach` of it.
        miss_reach: how far outside, in pixels of the screen; > 0, at least one pixel of the image.
        screen: the image's longest side on the screen, in pixels: the scale of the lengths above; > 0.

    Raises:
        ValueError: a number out of range.
    """

    jitter: float = 2.0
    miss: float = 0.02
    miss_reach: float = 4.0
    screen: float = 1000.0

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        if not self.jitter >= 0:
            raise ValueError(f"jitter is {self.jitter}; it must be >= 0")
        if not 0 <= self.miss <= 1:
            raise ValueError(f"miss is {self.miss}; it must be in [0, 1]")
        for name in ("miss_reach", "screen"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be > 0")

    def next_click(
        self,
        prediction: NDArray[np.generic],
        target: NDArray[np.generic],
        *,
        ignore: NDArray[np.generic] | None = None,
        seed: int,
        session: str,
        number: int,
    ) -> Click | None:
        """Draw the next click; the same arguments give the same click on every machine.

        Args:
            prediction: (H, W) bool, or numbers of which 1 marks the object.
            target: (H, W), likewise.
            ignore: (H, W), likewise: pixels that are no error whatever was predicted.
            seed: of the person.
            session: id of the sample.
            number: of the click in the session.
        Returns:
            the click, in pixels of the masks; None where no pixel is in error.
        Raises:
            ValueError: a rank other than 2, or different sizes.
        """
        predicted, truth, ignored = mask_pair(prediction, target, ignore)
        deepest, positive = deeper_region(predicted, truth, ignore=ignored)
        if not deepest.positions.size:
            return None
        wrong = (truth & ~predicted) if positive else (predicted & ~truth)
        if ignored is not None:
            wrong &= ~ignored
        height, width = truth.shape
        scale = max(height, width) / self.screen
        reach = max(1.0, self.miss_reach * scale)
        part, left, top = _part_around(wrong, int(deepest.positions[0]), margin=int(reach) + 1)
        # Only random() is the same in every version of Python. All numbers are drawn at each click, so that changing
        # one parameter leaves the other draws as they were.
        draw = random.Random(f"{seed}\n{session}\n{number}").random
        missed, where, right, down = draw(), draw(), _normal(draw), _normal(draw)
        around = _near(part, reach) if missed < self.miss else None
        if around is not None and around.any():
            row, column = _drawn(around.astype(np.float64), where)
            return Click(left + column, top + row, positive)
        row, column = _drawn(_depths(part), where)
        x = round(left + column + right * self.jitter * scale)
        y = round(top + row + down * self.jitter * scale)
        return Click(min(max(x, 0), width - 1), min(max(y, 0), height - 1), positive)


def _normal(draw: Callable[[], float]) -> float:
    """A number of the standard normal distribution."""
    return NormalDist().inv_cdf(min(max(draw(), 1e-12), 1 - 1e-12))


def _part_around(region: BoolArray, position: int, *, margin: int) -> tuple[BoolArray, int, int]:
    """Cut out the connected part of a region that holds a pixel, with a margin as far as the image reaches.

    Returns:
        the part, and the column and row of its corner.
    """
    height, width = region.shape
    row, column = divmod(position, width)
    plane = region.astype(np.uint8)
    _, _, _, (left, top, columns, rows) = cv2.floodFill(plane, None, (column, row), 2, flags=8)
    x0, y0 = max(0, left - margin), max(0, top - margin)
    x1, y1 = min(width, left + columns + margin), min(height, top + rows + margin)
    return np.asarray(plane[y0:y1, x0:x1] == 2, np.bool_), x0, y0


def _depths(part: BoolArray) -> NDArray[np.float32]:
    """Distances to the outside of a region, within 2 %: a draw cannot tell, and exact ones take 15 times as long."""
    padded = cv2.copyMakeBorder(part.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1], np.float32)


def _near(part: BoolArray, reach: float) -> BoolArray:
    """The pixels outside a region that are at most `reach` away from it."""
    distance = cv2.distanceTransform((~part).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray((distance > 0) & (distance <= reach), np.bool_)


def _drawn(weights: NDArray[np.floating], where: float) -> tuple[int, int]:
    """Row and column of the pixel at the share `where` (0..1, 1 excluded) of the weights, counted row by row."""
    sums = weights.sum(axis=1, dtype=np.float64)
    row, rest = _bin(sums, where * float(sums.sum()))
    column, _ = _bin(weights[row].astype(np.float64), rest)
    return row, column


def _bin(weights: NDArray[np.float64], wanted: float) -> tuple[int, float]:
    """The first place at which the running sum of the weights exceeds `wanted`, and what is left of it there."""
    sums = np.cumsum(weights)
    place = min(int(np.searchsorted(sums, wanted, side="right")), int(np.flatnonzero(weights)[-1]))
    return place, wanted - (float(sums[place - 1]) if place else 0.0)
