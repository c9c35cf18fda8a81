"""From pixels to the network's input."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from inter2former.config import PIXEL_MEAN, PIXEL_STD

__all__ = ["normalised_input"]


def normalised_input(
    image: NDArray[np.uint8],
    *,
    stride: int,
    channel_order: Literal["rgb", "bgr"] = "rgb",
    padding: Literal["repeat", "zero"] = "repeat",
) -> Tensor:
    """Normalise one image and pad it at the right and bottom to whole tokens.

    Differs from the paper by default: it pads with zeros after normalisation, the mean colour, which makes a false edge
    along the border.

    Args:
        image: (H, W, 3) uint8 RGB.
        stride: token side in pixels.
        channel_order: as in `ModelConfig`; the order of the result's channels.
        padding: as in `ModelConfig`.
    Returns:
        (1, 3, H', W') float32 in channels-last memory, H' and W' the next multiples of `stride`.
    """
    below, right = -image.shape[0] % stride, -image.shape[1] % stride
    if padding == "repeat" and (below or right):
        image = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
    if channel_order == "bgr":
        image = image[..., ::-1]
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].to(torch.float32)
    # The released weights expect the statistics of red on blue and the other way round, so these are never swapped.
    mean = torch.tensor(PIXEL_MEAN).view(1, 3, 1, 1)
    normalised = pixels.sub_(mean).div_(torch.tensor(PIXEL_STD).view(1, 3, 1, 1))
    return F.pad(normalised, (0, right, 0, below)) if padding == "zero" and (below or right) else normalised
