"""What a person tells the network: clicks, as values in pixels of the original image."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Click"]


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
