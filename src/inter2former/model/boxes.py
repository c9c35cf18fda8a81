"""Boxes on the token grid: where there is something to compute.

A box is (left, top, right, bottom), half open, in tokens unless a name says pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Box", "prompt_box", "tight_box", "whole_grid"]

POSSIBLE_BACKGROUND = 1


class Box(NamedTuple):
    """A half-open rectangle of tokens."""

    left: int
    top: int
    right: int
    bottom: int

    def grown(self, margin: int, height: int, width: int) -> Box:
        """This box with `margin` more tokens on each side, cut to a grid of `height` x `width` tokens."""
        return Box(
            max(self.left - margin, 0),
            max(self.top - margin, 0),
            min(self.right + margin, width),
            min(self.bottom + margin, height),
        )

    def scaled(self, factor: int) -> Box:
        """This box in units `factor` times finer."""
        return Box(*(factor * side for side in self))

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
    rows, columns = mask.any(1).nonzero()[:, 0].tolist(), mask.any(0).nonzero()[:, 0].tolist()
    if not rows:
        return None
    return Box(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


def prompt_box(reference_map: Tensor, *, stride: int) -> Box:
    """The tokens that hold anything but possible background, with one token around them (paper, section on DPE).

    Args:
        reference_map: (H, W) uint8 states 0..4; H and W are multiples of `stride`.
        stride: token side in pixels.
    Returns:
        a box in tokens; the whole grid where every pixel is possible background.
    """
    height, width = reference_map.shape[0] // stride, reference_map.shape[1] // stride
    other = reference_map != POSSIBLE_BACKGROUND
    box = tight_box(F.max_pool2d(other[None].to(torch.float32), stride)[0] > 0)
    return whole_grid(height, width) if box is None else box.grown(1, height, width)
