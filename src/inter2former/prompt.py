"""What a person tells the network, as frozen values in pixels of the original image, and the same as JSON.

All coordinates are whole pixels: a number with a fraction names the pixel it lies in. Values are compared and hashed by
what they say, so two equal lists of prompts are one session.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from inter2former.masks import decode_rle, encode_rle, rle_area, runs_from_rle

__all__ = [
    "Box",
    "Click",
    "Lasso",
    "MaskPrompt",
    "Points",
    "Prompt",
    "Scribble",
    "Stroke",
    "prompt_from_json",
    "prompt_to_json",
]

Points: TypeAlias = tuple[tuple[int, int], ...]
"""Corners of a line, (column, row) each."""

FARTHEST = 1_000_000
"""A corner of a line may lie this many pixels outside the image, no more."""

THINNEST = 0.5
"""The least radius that draws a line without gaps."""


@dataclass(frozen=True, slots=True)
class Click:
    """One click on a pixel.

    Attributes:
        x: column of the clicked pixel in the original image, 0 at the left.
        y: row of the clicked pixel in the original image, 0 at the top.
        positive: True: the pixel belongs to the object; False: it does not.
    """

    x: int
    y: int
    positive: bool = True


@dataclass(frozen=True, slots=True)
class Box:
    """A box around the object: the object lies inside, though not all of the inside is the object.

    Attributes:
        left: first column of the box in the original image.
        top: first row.
        right: last column, at least `left`.
        bottom: last row, at least `top`.

    Raises:
        ValueError: a side is no finite number, or the box is empty.
    """

    left: int
    top: int
    right: int
    bottom: int

    def __post_init__(self) -> None:
        """Check the sides and cut off fractions."""
        sides = (self.left, self.top, self.right, self.bottom)
        if not all(_is_number(side) for side in sides) or self.left > self.right or self.top > self.bottom:
            raise ValueError(f"box {sides} holds no pixel; give left, top, right, bottom in pixels")
        for name, side in zip(("left", "top", "right", "bottom"), sides, strict=True):
            object.__setattr__(self, name, math.floor(side))


@dataclass(frozen=True, slots=True)
class Scribble:
    """A line drawn over the object, or over what does not belong to it; evidence like a row of clicks.

    Attributes:
        points: corners of the line, at least one; any pairs of numbers are taken. The line may leave the image.
        radius: half the width of the line in pixels of the original image, at least 0.5.
        positive: True: the line runs over the object; False: it does not.

    Raises:
        ValueError: no corner, a coordinate or radius that is no number or out of range.
    """

    points: Points
    radius: float
    positive: bool = True

    def __post_init__(self) -> None:
        """Check and normalise the values."""
        object.__setattr__(self, "points", _pixels(self.points, "scribble"))
        object.__setattr__(self, "radius", _radius(self.radius, "scribble"))


@dataclass(frozen=True, slots=True)
class Lasso:
    """A closed line around the object, or around a part that does not belong to it.

    Attributes:
        points: corners of the line, at least three; the last joins the first. What the line encloses at least once is
            inside, crossings do not matter. The line may leave the image.
        positive: True: look for the object inside; False: nothing inside belongs to it.

    Raises:
        ValueError: fewer than three different corners, or a coordinate that is no number or out of range.
    """

    points: Points
    positive: bool = True

    def __post_init__(self) -> None:
        """Check and normalise the values."""
        object.__setattr__(self, "points", _pixels(self.points, "lasso"))
        if len(set(self.points)) < 3:
            raise ValueError(f"lasso has {len(set(self.points))} different corners; give at least 3")


@dataclass(frozen=True, slots=True)
class Stroke:
    """A stroke of the brush or the eraser: exactly these pixels, from now on.

    Attributes:
        points: corners of the stroke, at least one. The stroke may leave the image.
        radius: of the round tip in pixels of the original image, at least 0.5; a pixel is painted where its centre is
            at most this far from the line through the centres of the corners.
        erase: False: the pixels belong to the object; True: they do not.

    Raises:
        ValueError: no corner, a coordinate or radius that is no number or out of range.
    """

    points: Points
    radius: float
    erase: bool = False

    def __post_init__(self) -> None:
        """Check and normalise the values."""
        object.__setattr__(self, "points", _pixels(self.points, "stroke"))
        object.__setattr__(self, "radius", _radius(self.radius, "stroke"))


@dataclass(frozen=True, slots=True)
class MaskPrompt:
    """A mask to go on from; it takes the place of all prompts before it.

    Attributes:
        width: columns of the mask, which are those of the image.
        height: rows of the mask.
        counts: COCO's compressed run lengths of the mask, see `inter2former.masks.encode_rle`.

    Raises:
        ValueError: the run lengths are damaged or belong to another size.
    """

    width: int
    height: int
    counts: str

    def __post_init__(self) -> None:
        """Check that the run lengths fit the size."""
        runs = runs_from_rle(self.counts)
        if int(runs.sum()) != self.width * self.height or (runs < 0).any():
            raise ValueError(
                f"the mask's run lengths hold {int(runs.sum())} pixels, its size {self.width}x{self.height} is "
                f"{self.width * self.height}; they belong to a mask of another size or are damaged"
            )

    @classmethod
    def of(cls, mask: NDArray[Any]) -> MaskPrompt:
        """Make the prompt of a mask (H, W) of bool or numbers, non-zero: object.

        Raises:
            ValueError: another rank.
        """
        return cls(mask.shape[-1], mask.shape[0], encode_rle(np.asarray(mask != 0)))

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(height, width) bool, drawn anew at each use."""
        return decode_rle(self.counts, self.height, self.width)

    @property
    def area(self) -> int:
        """Set pixels."""
        return rle_area(self.counts)


Prompt: TypeAlias = Click | Box | Scribble | Lasso | Stroke | MaskPrompt
"""One thing a person says about an object."""

_Value = TypeVar("_Value", bool, int, float, str, list[Any])


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    """Write a prompt as plain data for JSON; `type` says which it is."""
    match prompt:
        case Click(x, y, positive):
            return {"type": "click", "x": x, "y": y, "positive": positive}
        case Box(left, top, right, bottom):
            return {"type": "box", "left": left, "top": top, "right": right, "bottom": bottom}
        case Scribble(points, radius, positive):
            return {"type": "scribble", "points": [*map(list, points)], "radius": radius, "positive": positive}
        case Lasso(points, positive):
            return {"type": "lasso", "points": [*map(list, points)], "positive": positive}
        case Stroke(points, radius, erase):
            return {"type": "stroke", "points": [*map(list, points)], "radius": radius, "erase": erase}
        case MaskPrompt(width, height, counts):
            return {"type": "mask", "size": [height, width], "counts": counts}


def prompt_from_json(value: object) -> Prompt:
    """Read a prompt that `prompt_to_json` wrote.

    Raises:
        ValueError: something else, named in the message.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"a prompt is {value!r:.80}; wanted an object with a type")
    kind = value.get("type")
    if kind == "click":
        return Click(_get(value, "x", int), _get(value, "y", int), _get(value, "positive", bool))
    if kind == "box":
        return Box(*(_get(value, side, int) for side in ("left", "top", "right", "bottom")))
    if kind == "scribble":
        return Scribble(tuple(_get(value, "points", list)), _get(value, "radius", float), _get(value, "positive", bool))
    if kind == "lasso":
        return Lasso(tuple(_get(value, "points", list)), _get(value, "positive", bool))
    if kind == "stroke":
        return Stroke(tuple(_get(value, "points", list)), _get(value, "radius", float), _get(value, "erase", bool))
    if kind == "mask":
        size = value.get("size")
        if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)):
            raise ValueError(f"a mask's size is {size!r:.80}; wanted [height, width] in pixels")
        return MaskPrompt(size[1], size[0], _get(value, "counts", str))
    raise ValueError(f"a prompt has the type {kind!r:.80}; wanted click, box, scribble, lasso, stroke or mask")


def _get(value: Mapping[str, object], name: str, kind: type[_Value]) -> _Value:
    found = value.get(name)
    if kind is float and type(found) is int:
        return kind(found)
    if type(found) is not kind:
        raise ValueError(f"a {value['type']} has {name} {found!r:.80}; wanted {kind.__name__}")
    return found


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def _radius(radius: float, what: str) -> float:
    if not _is_number(radius) or not THINNEST <= radius <= FARTHEST:
        raise ValueError(f"the {what}'s radius is {radius!r}; wanted pixels, at least {THINNEST}")
    return float(radius)


def _pixels(points: Sequence[Sequence[float]] | NDArray[Any], what: str) -> Points:
    """Corners as whole pixels, without repetitions in a row."""
    if len(points) == 0:
        raise ValueError(f"the {what} has no points; give at least one (x, y)")
    corners: list[tuple[int, int]] = []
    for point in points:
        pair = tuple(point) if isinstance(point, Sequence | np.ndarray) else point
        if not (
            isinstance(pair, tuple)
            and len(pair) == 2
            and all(_is_number(value) and abs(value) <= FARTHEST for value in pair)
        ):
            raise ValueError(
                f"the {what} has the point {pair!r:.80}; wanted x and y in pixels, "
                f"numbers between -{FARTHEST} and {FARTHEST}"
            )
        corner = (math.floor(pair[0]), math.floor(pair[1]))
        if not corners or corner != corners[-1]:
            corners.append(corner)
    return tuple(corners)
