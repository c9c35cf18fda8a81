"""What all SAM-like models share: clicks as points, the last low-resolution logits as a further prompt, upsampling.

The way of use is the one the teacher's figures were measured with: every click asks anew with all clicks so far and the
logits of the last answer; the first click takes the best of the three masks meant for ambiguous prompts, by the
network's own score, and later clicks take the single mask.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from inter2former.errors import ImageNotSetError
from inter2former.evaluation.segmenter import Answer
from inter2former.frame import WorkingFrame, resize_to_working
from inter2former.model.normalise import normalised_input
from inter2former.prompt import Click

__all__ = ["SamSegmenter", "input_points", "padded_frame", "squeezed_frame", "upsample"]


class SamSegmenter(ABC):
    """A segmenter around a SAM-like network; a subclass says how the network encodes and decodes.

    Attributes:
        size: side of the network's square input in pixels.
    """

    def __init__(self, size: int) -> None:
        """Prepare a session without an image."""
        self.size = size
        self._frame: WorkingFrame | None = None
        self._clicks: list[Click] = []
        self._previous: Tensor | None = None  # (1, 1, h, w) low-resolution logits of the last answer

    @abstractmethod
    def fit(self, width: int, height: int) -> WorkingFrame:
        """Say how an image of this size lies in the network's square input: `padded_frame` or `squeezed_frame`."""

    @abstractmethod
    def encode_pixels(self, pixels: Tensor) -> None:
        """Encode a normalised image, (1, 3, size, size) float32, and keep what the clicks need."""

    @abstractmethod
    def decode(self, points: Tensor, labels: Tensor, previous: Tensor | None, *, ambiguous: bool) -> Tensor:
        """Answer a prompt on the encoded image.

        Args:
            points: (N, 2) float32, x and y in pixels of the network's input.
            labels: (N,) int64, 1 on the object and 0 not on it.
            previous: (1, 1, h, w) float32 logits of the last answer, or None.
            ambiguous: True: the best of the masks for ambiguous prompts is wanted, otherwise the single mask.
        Returns:
            (1, 1, h, w) float32 logits.
        """

    def encode(self, image: NDArray[np.uint8]) -> None:
        """Take an (H, W, 3) RGB image and forget all clicks."""
        height, width = image.shape[:2]
        frame = self.fit(width, height)
        self._frame = None  # no clicks on the image before, should this one fail
        self.encode_pixels(normalised_input(resize_to_working(image, frame), stride=self.size, padding="zero"))
        self._frame = frame
        self.reset()

    def reset(self) -> None:
        """Forget all clicks; the image stays encoded."""
        self._clicks, self._previous = [], None

    def step(self, click: Click) -> Answer:
        """Take one more click, in pixels of the image, and answer.

        Raises:
            ImageNotSetError: no image was encoded.
        """
        if self._frame is None:
            raise ImageNotSetError("there is no image to click on; call encode(image) first")
        self._clicks.append(click)
        labels = torch.tensor([int(each.positive) for each in self._clicks])
        points = input_points(self._clicks, self._frame)
        with torch.inference_mode():
            self._previous = self.decode(points, labels, self._previous, ambiguous=len(self._clicks) == 1)
            logits = upsample(self._previous, self._frame)
        mask = logits > 0
        return Answer(mask, lambda: logits, tuple(c for c in self._clicks if bool(mask[c.y, c.x]) != c.positive))


def padded_frame(width: int, height: int, size: int) -> WorkingFrame:
    """Fit an image into a square of side `size` as Segment Anything does: aspect kept, padded right and below."""
    return WorkingFrame.fit(width, height, size=size, stride=size)


def squeezed_frame(width: int, height: int, size: int) -> WorkingFrame:
    """Fit an image into a square of side `size` as Segment Anything 2 does: the aspect gives way, nothing is padded."""
    return WorkingFrame(width, height, size, size, size, size)


def input_points(clicks: list[Click], frame: WorkingFrame) -> Tensor:
    """Map clicks to the network's input, as (N, 2) float32.

    Segment Anything scales the pixel's number, not the place of its centre, and adds half a pixel of the input later.
    """
    across, down = frame.content_width / frame.width, frame.content_height / frame.height
    return torch.tensor([(click.x * across, click.y * down) for click in clicks], dtype=torch.float32)


def upsample(logits: Tensor, frame: WorkingFrame) -> NDArray[np.float32]:
    """Bring (1, 1, h, w) logits to the original image, bilinear, over the size of the network's input.

    Returns:
        (H, W) float32.
    """
    padded = F.interpolate(logits, (frame.padded_height, frame.padded_width), mode="bilinear", align_corners=False)
    content = padded[:, :, : frame.content_height, : frame.content_width]
    original = F.interpolate(content, (frame.height, frame.width), mode="bilinear", align_corners=False)
    return np.asarray(original[0, 0].numpy(), np.float32)
