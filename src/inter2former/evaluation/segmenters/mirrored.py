"""Test-time augmentation by flipping: the same model looks at the image and at its mirror image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inter2former.errors import ImageNotSetError
from inter2former.evaluation.segmenter import Answer, Segmenter
from inter2former.prompt import Click

__all__ = ["MirroredSegmenter"]


class MirroredSegmenter:
    """Averages the mask logits for an image and for its left-right mirror image, as the RITM family does."""

    def __init__(self, upright: Segmenter, mirrored: Segmenter) -> None:
        """Take two segmenters of the same model, since each holds one image at a time."""
        self._upright = upright
        self._mirrored = mirrored
        self._width = 0

    def encode(self, image: NDArray[np.uint8]) -> None:
        """Take an (H, W, 3) RGB image and forget all clicks."""
        self._upright.encode(image)
        self._mirrored.encode(np.ascontiguousarray(image[:, ::-1]))
        self._width = image.shape[1]

    def step(self, click: Click) -> Answer:
        """Take one more click, in pixels of the image, and answer with the mean of both.

        Raises:
            ImageNotSetError: no image was encoded.
        """
        if not self._width:
            raise ImageNotSetError("there is no image to click on; call encode(image) first")
        answer = self._upright.step(click)
        other = self._mirrored.step(Click(self._width - 1 - click.x, click.y, click.positive))
        logits = (answer.logits() + other.logits()[:, ::-1]) * np.float32(0.5)
        return Answer(logits > 0, lambda: logits, answer.contradicted)

    def reset(self) -> None:
        """Forget all clicks; the image stays encoded."""
        self._upright.reset()
        self._mirrored.reset()
