"""MobileSAM: the TinyViT image encoder with Segment Anything's prompt encoder and mask decoder.

Zhang et al., "Faster Segment Anything: Towards Lightweight SAM for Mobile Applications", 2023. A peer to be measured
against, and the teacher that training may distil from.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from inter2former.config import STRIDE, TinyViTConfig
from inter2former.model.sam_decoder import NO_POINT, MaskDecoder, PromptEncoder
from inter2former.model.tiny_vit import TinyViT

__all__ = ["MobileSam"]


class MobileSam(nn.Module):
    """An image embedding once per image, four masks with scores for each prompt.

    The input is what `normalised_input(image, stride=side, padding="zero")` makes of an image whose longest side is
    `side`: a square, padded with the mean colour. The public weights were trained at 1024.
    """

    def __init__(self, config: TinyViTConfig | None = None) -> None:
        """Build the network; the weights are random. `checkpoint.load_mobile_sam` loads the public ones."""
        super().__init__()
        config = config or TinyViTConfig()
        self.encoder = TinyViT(config)
        self.prompt_encoder = PromptEncoder(config.embedding, stride=STRIDE)
        self.decoder = MaskDecoder(config.embedding)

    def encode(self, image: Tensor) -> Tensor:
        """Compute the image embedding.

        Args:
            image: (B, 3, H, W) float, normalised and padded; H and W are multiples of 16.
        Returns:
            (B, 256, H/16, W/16).
        """
        return self.encoder(image).embedding

    def decode(
        self, embedding: Tensor, points: Tensor, labels: Tensor, previous: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Answer prompts, each from scratch.

        Args:
            embedding: (B, 256, h, w) from `encode`.
            points: (B, N, 2) float, x and y in pixels of the padded input.
            labels: (B, N) int64: 1 on the object, 0 not on it. `NO_POINT` fills up the shorter rows of a batch; the
                network sees it, so a row's answer changes a little with how it is filled.
            previous: (B, 1, 4h, 4w) float, one of the masks of the last answer; None: there was none.
        Returns:
            (B, 4, 4h, 4w) mask logits, a fourth of the input's resolution, the single mask first and then the three
            readings of an ambiguous prompt; (B, 4) their predicted IoU, which may leave 0..1.
        Raises:
            ValueError: the shapes do not belong together.
        """
        batch, _, height, width = embedding.shape
        if points.ndim != 3 or points.shape[::2] != (batch, 2) or labels.shape != points.shape[:2]:
            raise ValueError(
                f"points are {tuple(points.shape)} and labels {tuple(labels.shape)}; "
                f"wanted ({batch}, N, 2) and ({batch}, N)"
            )
        if previous is not None and previous.shape != (batch, 1, 4 * height, 4 * width):
            raise ValueError(f"previous is {tuple(previous.shape)}, wanted {(batch, 1, 4 * height, 4 * width)}")
        # Trained with a point that is none behind the clicks of a prompt without box.
        points, labels = F.pad(points, (0, 0, 0, 1)), F.pad(labels, (0, 1), value=NO_POINT)
        return self.decoder(embedding, self.prompt_encoder((height, width), points, labels, previous))
