"""Boxes on the token grid: where there is something to compute.

A box is (left, top, right, bottom), half open, in tokens unless a name says pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from inter2former import kernels

__all__ = ["Box", "any_in_token", "cut_sides", "prompt_box", "tight_box", "token_extremes", "whole_grid"]

POSSIBLE_BACKGROUND = 1
STATES = 5


class Box(NamedTuple):
    """A half-open rectangle of tokens."""

    left: int
    top: int
    right: int
    bottom: int

    def grown(self, margin: int, height: int, width: int) -> Box:
        """This box with `margin` more tokens on each side, cut to a grid of `height` x `width` tokens."""
        grown = Box(self.left - margin, self.top - margin, self.right + margin, self.bottom + margin)
        return grown.within(whole_grid(height, width))

    def shrunk(self, margin: int, limits: Box) -> Box:
        """This box without `margin` tokens on each side that is none of the limits' sides."""
        return Box(
            self.left + margin * (self.left > limits.left),
            self.top + margin * (self.top > limits.top),
            self.right - margin * (self.right < limits.right),
            self.bottom - margin * (self.bottom < limits.bottom),
        )

    def within(self, limits: Box) -> Box:
        """The part of this box that lies in another, which must not be none."""
        return Box(
            max(self.left, limits.left),
            max(self.top, limits.top),
            min(self.right, limits.right),
            min(self.bottom, limits.bottom),
        )

    def scaled(self, factor: int) -> Box:
        """This box in units `factor` times finer."""
        return Box(*(factor * side for side in self))

    def moved(self, right: int, down: int) -> Box:
        """This box elsewhere."""
        return Box(self.left + right, self.top + down, self.right + right, self.bottom + down)

    @property
    def rows(self) -> slice:
        """The rows as a slice."""
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        """The columns as a slice."""
        return slice(self.left, self.right)

    @property
    def area(self) -> int:
        """Number of cells."""
        return (self.right - self.left) * (self.bottom - self.top)


def whole_grid(height: int, width: int) -> Box:
    """The box of a whole grid."""
    return Box(0, 0, width, height)


def tight_box(mask: Tensor) -> Box | None:
    """The smallest box that holds every True cell.

    Args:
        mask: (h, w) bool.
    Returns:
        the box, or None when no cell is True.
    """
    height, width = mask.shape
    # One transfer: on a GPU each is a wait.
    marked = torch.cat((mask.any(0), mask.any(1))).tolist()
    if True not in marked:
        return None
    columns, rows = marked[:width], marked[width:]
    return Box(
        columns.index(True), rows.index(True), width - columns[::-1].index(True), height - rows[::-1].index(True)
    )


def cut_sides(box: Box, logits: Tensor, limits: Box) -> tuple[bool, bool, bool, bool]:
    """Say through which sides of a box an object goes on: left, top, right, bottom.

    Args:
        box: in tokens, or in any other unit.
        logits: (any height, any width), what was found in the box; above 0 is the object.
        limits: where one of its sides is the box's as well, nothing can go on; in the unit of the box.
    """
    # One transfer: on a GPU each is a wait.
    rims = logits[:, 0], logits[0], logits[:, -1], logits[-1]
    left, top, right, bottom = torch.stack([(rim > 0).any() for rim in rims]).tolist()
    return (
        left and box.left > limits.left,
        top and box.top > limits.top,
        right and box.right < limits.right,
        bottom and box.bottom < limits.bottom,
    )


def prompt_box(reference_map: Tensor, *, stride: int) -> Box:
    """The tokens that hold anything but possible background, with one token around them (paper, section on DPE).

    Args:
        reference_map: (H, W) uint8 states 0..4; H and W are multiples of `stride`.
        stride: token side in pixels.
    Returns:
        a box in tokens; the whole grid where every pixel is possible background.
    """
    height, width = reference_map.shape[0] // stride, reference_map.shape[1] // stride
    others = [state for state in range(STATES) if state != POSSIBLE_BACKGROUND]
    box = tight_box(kernels.tokens_with(reference_map, stride=stride, states=others))
    return whole_grid(height, width) if box is None else box.grown(1, height, width)


def any_in_token(mask: Tensor, *, stride: int) -> Tensor:
    """Mark the tokens that hold a True pixel: (B, H, W) bool to (B, H/stride, W/stride) bool."""
    # Rows first: that pass is contiguous and leaves a sixteenth for the other. Pooling in float takes 10 times as long.
    return mask.unflatten(1, (-1, stride)).any(2).unflatten(2, (-1, stride)).any(3)


def token_extremes(states: Tensor, *, stride: int, before: int, after: int) -> tuple[Tensor, Tensor]:
    """The least and the greatest state in a square around each token.

    Args:
        states: (B, H, W) uint8; H and W are multiples of `stride`.
        stride: token side in pixels.
        before: pixels that the square reaches beyond the token up and left, less than `stride`.
        after: the same down and right. What lies outside the map does not count.
    Returns:
        least and greatest state, each (B, H/stride, W/stride) uint8.
    """
    lowest, highest = states, states
    for dim in (1, 2):
        lowest = _reduced(lowest, dim, stride, before, after, torch.amin, torch.minimum)
        highest = _reduced(highest, dim, stride, before, after, torch.amax, torch.maximum)
    return lowest, highest


def _reduced(
    states: Tensor,
    dim: int,
    stride: int,
    before: int,
    after: int,
    over: Callable[[Tensor, int], Tensor],
    pairwise: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Reduce along `dim` to one value per token, the ends of the neighbouring tokens included."""
    blocks = states.unflatten(dim, (-1, stride))
    whole = over(blocks, dim + 1)
    count = whole.shape[dim]
    if before:
        ends = over(blocks.narrow(dim + 1, stride - before, before), dim + 1)
        inner = whole.narrow(dim, 1, count - 1)
        inner.copy_(pairwise(inner, ends.narrow(dim, 0, count - 1)))
    if after:
        starts = over(blocks.narrow(dim + 1, 0, after), dim + 1)
        inner = whole.narrow(dim, 0, count - 1)
        inner.copy_(pairwise(inner, starts.narrow(dim, 1, count - 1)))
    return whole
