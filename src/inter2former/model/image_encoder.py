"""The image encoder: image to image embedding, once per image. There are two; the type of the configuration decides."""

from __future__ import annotations

from typing import TypeAlias

from inter2former.config import TinyViTConfig, WindowedViTConfig
from inter2former.model.tiny_vit import TinyViT
from inter2former.model.windowed_vit import WindowedViT

__all__ = ["ImageEncoder", "image_encoder"]

ImageEncoder: TypeAlias = TinyViT | WindowedViT


def image_encoder(config: TinyViTConfig | WindowedViTConfig) -> ImageEncoder:
    """Build the encoder that `config` describes; the weights are random."""
    return TinyViT(config) if isinstance(config, TinyViTConfig) else WindowedViT(config)
