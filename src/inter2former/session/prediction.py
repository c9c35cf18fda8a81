"""What a session answers: a mask at the original size, and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inter2former.frame import WorkingBox, WorkingFrame, logits_to_original
from inter2former.prompt import Click, Prompt

__all__ = ["OUTSIDE", "Prediction", "stability"]

OUTSIDE = -20.0
"""Mask logit where the network did not look because nothing there belongs to the object."""

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network answers to the prompts so far.

    Attributes:
        mask: (H, W) bool at the original image's size, read-only; True: object.
        score: 0..1, how certain the mask is: the share of its area that survives when the threshold on the logits is
            raised from -1 to 1 (the stability score of Segment Anything). A stroke leaves it as it was; a given mask,
            and strokes before any answer of the network, have 1.
        clicks: the clicks so far, oldest first; those before a given mask are not among them.
        contradicted: those of the clicks that the network's own answer went against, before the mask was mended there.
        timings: seconds: `prompt` (reference map), `network`, `mask` (to original size), `state` (what the next prompt
            builds on) and `total`, their sum and what lies between; `encode` is what `set_image` took, once per image,
            and is not part of `total`.
        prompts: everything said so far, oldest first.
    """

    mask: BoolArray
    score: float
    clicks: tuple[Click, ...]
    contradicted: tuple[Click, ...]
    timings: Mapping[str, float]
    prompts: tuple[Prompt, ...]
    _local: FloatArray
    _box: WorkingBox
    _frame: WorkingFrame

    @cached_property
    def logits(self) -> FloatArray:
        """(H, W) float32 mask logits at the original image's size, made on first use; `logits > 0` equals `mask`.

        Pixels that a stroke or a given mask decided against the network have 20 or -20.
        """
        logits = logits_to_original(self._local, self._frame, box=self._box, outside=OUTSIDE)
        decided = (logits > 0) != self.mask
        logits[decided] = np.where(self.mask[decided], np.float32(-OUTSIDE), np.float32(OUTSIDE))
        logits.flags.writeable = False
        return logits

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays, without `logits`."""
        return self.mask.nbytes + self._local.nbytes


def stability(logits: FloatArray) -> float:
    """Area at threshold 1 over area at threshold -1; 0 where there is no mask at all."""
    loose = int(np.count_nonzero(logits > -1))
    return int(np.count_nonzero(logits > 1)) / loose if loose else 0.0
