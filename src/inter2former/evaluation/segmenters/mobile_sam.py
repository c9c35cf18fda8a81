"""The MobileSAM-architecture weights behind the harness: this project's teacher, and the peer of its size."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from inter2former.checkpoint import load_mobile_sam
from inter2former.config import STRIDE
from inter2former.evaluation.segmenters.sam_family import SamSegmenter, padded_frame
from inter2former.frame import MAX_SIZE, WorkingFrame
from inter2former.machine import use_threads
from inter2former.model.mobile_sam import MobileSam
from inter2former.model.sam_decoder import SINGLE_MASK

__all__ = ["MobileSamSegmenter"]


class MobileSamSegmenter(SamSegmenter):
    """MobileSAM under torch."""

    def __init__(self, weights: str | Path, *, size: int = 1024, threads: int | None = None) -> None:
        """Load the weights.

        Args:
            weights: a .safetensors file in the official MobileSAM layout.
            size: side of the network's square input, a multiple of 16; the weights were trained at 1024.
            threads: threads of the whole process's tensor operations; None: leave as it is.
        Raises:
            ValueError: a size that is no multiple of 16 in 16..`MAX_SIZE`, or less than one thread.
            WeightsError: the file is missing, damaged or of another network.
        """
        if size % STRIDE or not STRIDE <= size <= MAX_SIZE:
            raise ValueError(f"size is {size}; it must be a multiple of {STRIDE} in [{STRIDE}, {MAX_SIZE}]")
        use_threads(threads)
        super().__init__(size)
        self.network = MobileSam()
        load_mobile_sam(self.network, weights)
        self.network.requires_grad_(False).eval()

    def fit(self, width: int, height: int) -> WorkingFrame:
        """See `SamSegmenter`."""
        return padded_frame(width, height, self.size)

    def encode_pixels(self, pixels: Tensor) -> None:
        """See `SamSegmenter`."""
        with torch.inference_mode():
            self._embedding = self.network.encode(pixels)

    def decode(self, points: Tensor, labels: Tensor, previous: Tensor | None, *, ambiguous: bool) -> Tensor:
        """See `SamSegmenter`."""
        logits, scores = self.network.decode(self._embedding, points[None], labels[None], previous)
        chosen = 1 + int(scores[0, 1:].argmax()) if ambiguous else SINGLE_MASK
        return logits[:, chosen : chosen + 1]
