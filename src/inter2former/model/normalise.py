"""From pixels to the network's input."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inter2former.config import PIXEL_MEAN, PIXEL_STD

__all__ = ["normalised_input"]


def normalised_input(image: NDArray[np.uint8], *, stride: int) -> Tensor:
    """Normalise one image and pad it at the right and bottom to whole tokens.

    The padding repeats the last row and column. Differs from the paper, which pads with the mean colour: that makes a
    false edge along the border.

    Args:
        image: (H, W, 3) uint8 RGB.
        stride: token side in pixels.
    Returns:
        (1, 3, H', W') float32 in channels-last memory, H' and W' the next multiples of `stride`.
    """
    height, width = image.shape[:2]
    if height % stride or width % stride:
        image = np.pad(image, ((0, -height % stride), (0, -width % stride), (0, 0)), mode="edge")
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].to(torch.float32)
    mean = torch.tensor(PIXEL_MEAN).view(1, 3, 1, 1)
    return (pixels - mean) / torch.tensor(PIXEL_STD).view(1, 3, 1, 1)
