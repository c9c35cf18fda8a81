"""What the harness measures: anything that encodes an image and answers clicks on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inter2former.prompt import Click

__all__ = ["Answer", "Segmenter", "SegmenterFactory"]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A segmenter's mask after a click.

    Attributes:
        mask: (H, W) bool at the image's size: mask logit above 0.
        logits: returns the (H, W) float32 mask logits at the image's size; called only by protocols whose threshold is
            not 0 or that average answers.
        contradicted: those of the clicks so far that the network's own answer went against, where the segmenter knows.
    """

    mask: NDArray[np.bool_]
    logits: Callable[[], NDArray[np.float32]]
    contradicted: tuple[Click, ...] = ()


class Segmenter(Protocol):
    """One image at a time; the same calls give the same masks.

    The harness's clocks run around `encode` and `step` and nowhere else.
    """

    def encode(self, image: NDArray[np.uint8]) -> None:
        """Take an (H, W, 3) RGB image and forget all clicks."""
        ...

    def step(self, click: Click) -> Answer:
        """Take one more click, in pixels of the image, and answer."""
        ...

    def reset(self) -> None:
        """Forget all clicks; the image stays encoded."""
        ...


class SegmenterFactory(Protocol):
    """What a process needs to build a segmenter of its own: a small frozen value that can be pickled."""

    @property
    def name(self) -> str:
        """What is measured, such as "inter2former-t"; goes into the run's header."""
        ...

    @property
    def settings(self) -> Mapping[str, object]:
        """What else shapes the answers, such as the working size; goes into the run's header."""
        ...

    def weights_hash(self) -> str:
        """Hash of the weights, "" where there are none.

        Raises:
            WeightsError: there is no file of that name.
        """
        ...

    def make(self) -> Segmenter:
        """Build the segmenter.

        Raises:
            ValueError, WeightsError: it cannot be built.
        """
        ...
