"""Painted pixels: what the brush and the eraser said, at the resolution of the original image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inter2former.prompt import Stroke
from inter2former.session.packing import PackedPlane, pack
from inter2former.shapes import Patch, paint_line

__all__ = ["Painting", "stroke_patch"]

_UNTOUCHED, _ERASED, _PAINTED = 0, 1, 2


def stroke_patch(stroke: Stroke, width: int, height: int) -> Patch:
    """Draw a stroke: the pixels of a width x height image that it paints.

    Raises:
        ValueError: all of it lies outside the image.
    """
    patch = paint_line(np.array(stroke.points) + 0.5, stroke.radius, width, height)
    if not patch.mask.size:
        raise ValueError(
            f"the stroke from {stroke.points[0]} paints no pixel of the {width}x{height} image; "
            f"x must reach into [0, {width - 1}] and y into [0, {height - 1}]"
        )
    return patch


@dataclass(frozen=True, eq=False)
class Painting:
    """All strokes so far, the later over the earlier; never changed, only replaced.

    Attributes:
        left: first column of the part that is stored.
        top: first row.
        states: of that part: 0 untouched, 1 erased, 2 painted.
    """

    left: int
    top: int
    states: PackedPlane

    @property
    def nbytes(self) -> int:
        """Bytes of the stored part."""
        return self.states.nbytes

    @classmethod
    def of(cls, patch: Patch, *, erase: bool) -> Painting:
        """One stroke on an untouched image."""
        return cls(patch.left, patch.top, pack(_states(patch, erase)))

    def with_stroke(self, patch: Patch, *, erase: bool) -> Painting:
        """This painting and one more stroke over it."""
        height, width = self.states.shape
        left, top = min(self.left, patch.left), min(self.top, patch.top)
        right = max(self.left + width, patch.left + patch.mask.shape[1])
        bottom = max(self.top + height, patch.top + patch.mask.shape[0])
        states = np.zeros((bottom - top, right - left), dtype=np.uint8)
        states[self.top - top :, self.left - left :][:height, :width] = self.states.unpack()
        over = Patch(patch.left - left, patch.top - top, patch.mask)
        np.copyto(states[over.window], _states(patch, erase), where=patch.mask)
        return Painting(left, top, pack(states))

    def apply(self, mask: NDArray[np.bool_]) -> None:
        """Paint and erase in place, in an (H, W) mask of the original image."""
        states = self.states.unpack()
        window = mask[self.top : self.top + states.shape[0], self.left : self.left + states.shape[1]]
        window |= states == _PAINTED
        window &= states != _ERASED

    def verdicts(self, pixels: NDArray[np.int64]) -> NDArray[np.int8]:
        """What was painted at pixels (n, 2) of column, row: (n,) 1 painted, 0 erased, -1 untouched."""
        states = self.states.unpack()
        columns, rows = pixels[:, 0] - self.left, pixels[:, 1] - self.top
        inside = (columns >= 0) & (rows >= 0) & (columns < states.shape[1]) & (rows < states.shape[0])
        found = np.full(len(pixels), -1, dtype=np.int8)
        found[inside] = states[rows[inside], columns[inside]].astype(np.int8) - 1
        return found


def _states(patch: Patch, erase: bool) -> NDArray[np.uint8]:
    return patch.mask * np.uint8(_ERASED if erase else _PAINTED)
