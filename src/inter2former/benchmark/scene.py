"""A picture and an object to measure on, the same on every machine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inter2former.clicks.reference_map import apply_prediction, blank_map, stamp_next_click
from inter2former.config import STRIDE, ModelConfig
from inter2former.model.boxes import Box, any_in_token, tight_box, whole_grid
from inter2former.prompt import Click

__all__ = ["SHARES", "Scene", "ellipse", "photo_like"]


SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Sides of the objects' boxes over the side of the image."""

_COLOURS = ((40, 110, 200), (200, 90, 50), (70, 160, 70), (220, 200, 70), (130, 50, 140))


def photo_like(side: int, shares: tuple[float, ...] = SHARES) -> NDArray[np.uint8]:
    """A square of noisy discs about its middle, one for each share, which a trained network tells apart.

    Args:
        side: in pixels.
        shares: diameters of the discs over the side.

    Returns:
        (side, side, 3) uint8.
    """
    rng = np.random.default_rng(0)
    image = np.full((side, side, 3), 105.0)
    for number, share in enumerate(sorted(shares, reverse=True)):
        image[ellipse(side, share)] = _COLOURS[number % len(_COLOURS)]
    return (image + rng.integers(-15, 16, image.shape)).astype(np.uint8)


def ellipse(side: int, share: float) -> NDArray[np.bool_]:
    """A disc in the middle whose box has that share of the side: (side, side) bool."""
    y, x = np.mgrid[:side, :side]
    radius = share * side / 2
    return ((x - side / 2) / radius) ** 2 + ((y - side / 2) / radius) ** 2 < 1


class Scene(NamedTuple):
    """A session after some clicks: an object that is known, and one more click at its rim.

    Attributes:
        known: (side, side) uint8, the reference map before that click.
        click: the click.
        mask: (side, side) bool, the object.
    """

    known: NDArray[np.uint8]
    click: Click
    mask: NDArray[np.bool_]

    @classmethod
    def of(cls, config: ModelConfig, *, side: int, share: float) -> Scene:
        """A disc whose box has that share of the side; `side` is a multiple of 16."""
        mask = ellipse(side, share)
        known = apply_prediction(apply_prediction(blank_map(side, side, config.clicks), mask), mask)
        return cls(known, Click(max(int(side * (0.5 + share / 2)) - 8, side // 2), side // 2), mask)

    def prompt(self, config: ModelConfig) -> NDArray[np.uint8]:
        """The reference map with the click."""
        return stamp_next_click(self.known, self.click, config.clicks, first=False)

    def reference_map(self, config: ModelConfig) -> Tensor:
        """The same as the network takes it: (1, 1, side, side) uint8."""
        return torch.from_numpy(self.prompt(config))[None, None]

    def box(self, config: ModelConfig) -> Box:
        """The tokens that local upsampling would take if it found the object; with "full" all of them."""
        tokens = len(self.mask) // STRIDE
        found = tight_box(any_in_token(torch.from_numpy(self.mask)[None], stride=STRIDE)[0])
        if config.decoder.upsampling == "full" or found is None:
            return whole_grid(tokens, tokens)
        return found.grown(config.decoder.box_margin, tokens, tokens)
