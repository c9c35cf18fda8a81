"""Teachers from elsewhere, in the form that distillation wants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from inter2former.evaluation.segmenters.transformers_sam import TransformersSegmenter

__all__ = ["TransformersTeacher"]


class TransformersTeacher(nn.Module):
    """Segment Anything as the package `transformers` implements it; images must have the side that it was made for."""

    def __init__(self, source: str | Path) -> None:
        """Load the network.

        Args:
            source: as `TransformersSegmenter` takes it; nothing is downloaded.
        Raises:
            MissingPackageError: `transformers` is not installed.
            ValueError: it is another network than Segment Anything's first.
            WeightsError: no complete model is there.
        """
        super().__init__()
        segmenter = TransformersSegmenter(source)
        kind = segmenter.model.config.model_type
        if kind != "sam":
            raise ValueError(f"{source} is a network of the kind {kind!r}; a teacher must be of the kind 'sam'")
        self.side = segmenter.size
        self.model: Any = segmenter.model  # Any: its class exists only where the package does

    def encode(self, image: Tensor) -> Tensor:
        """Normalised images (B, 3, side, side) to embeddings (B, 256, side/16, side/16).

        Raises:
            ValueError: images of another size.
        """
        if image.shape[2:] != (self.side, self.side):
            raise ValueError(
                f"the teacher takes crops of {self.side}x{self.side} pixels, not {image.shape[3]}x{image.shape[2]}; "
                f"set crop_sides=[{self.side}] and crop_weights=[1]"
            )
        embedding: Tensor = self.model.get_image_embeddings(image)
        return embedding

    def decode(
        self, embedding: Tensor, points: Tensor, labels: Tensor, previous: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Embeddings, points (B, N, 2) and labels (B, N) to mask logits (B, 3, h, w) and their scores (B, 3)."""
        answer = self.model(
            image_embeddings=embedding,
            input_points=points[:, None],
            input_labels=labels[:, None],
            input_masks=previous,
            multimask_output=True,
        )
        return torch.squeeze(answer.pred_masks, 1), torch.squeeze(answer.iou_scores, 1)
