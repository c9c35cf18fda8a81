"""What every image encoder gives."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["ImageFeatures"]


class ImageFeatures(NamedTuple):
    """What an image encoder gives for one batch of images.

    Attributes:
        embedding: (B, 256, H/16, W/16) image embedding.
        skips: finer maps, fine to coarse. TinyViT: (B, 32, H/2, W/2), (B, 64, H/4, W/4), (B, 128, H/8, W/8); the
            windowed ViT has none.
        shares: instead of the finer maps what `edge_terms.skip_terms` makes of them, where whatever ran the encoder
            has made that too.
    """

    embedding: Tensor
    skips: tuple[Tensor, ...] = ()
    shares: tuple[Tensor, ...] = ()
