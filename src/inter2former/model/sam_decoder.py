"""The prompt encoder and the mask decoder of Segment Anything: clicks become tokens, which look at the image, and back.

Architecture: Kirillov et al., "Segment Anything", 2023, appendix A. Inter2Former does not use it; it is here because
the MobileSAM-architecture weights come with it, and those are the peer this project is measured against and the teacher
it learns from.

points, labels ─ PromptEncoder ─ tokens ──────────┐ ┌─ attention ×3, twice ─ score of each mask
previous logits ─ PromptEncoder ─┐                ├─┤
image embedding ─────────────────+─ image cells ──┘ └─ upsampled four times ─ × a vector per mask ─ mask logits

Points are in pixels of the network's padded input, whole numbers being the corners of pixels' upper left: half a pixel
is added here, as in Segment Anything.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inter2former.model.layers import ChannelNorm

__all__ = [
    "NO_POINT",
    "SINGLE_MASK",
    "MaskDecoder",
    "NarrowAttention",
    "Positions",
    "Prompt",
    "PromptEncoder",
    "TwoWayBlock",
]

NO_POINT = -1
"""Label of a point that is none. Labels 0 and 1 are negative and positive clicks, 2 and 3 the upper left and the lower
right corner of a box."""

SINGLE_MASK = 0
"""Index of the mask meant for prompts that leave no doubt; masks 1 to 3 are the readings of an ambiguous click."""

MASKS = 4


class Prompt(NamedTuple):
    """A prompt as the mask decoder takes it.

    Attributes:
        tokens: (B, N, C), one per point.
        map: (B, C, h, w), added to the image embedding; (1, C, 1, 1) where there is no previous mask.
        positions: (1, h * w, C), where each cell of the image embedding lies.
    """

    tokens: Tensor
    map: Tensor
    positions: Tensor


class Positions(nn.Module):
    """Where something lies, as sines and cosines of random projections of its two coordinates."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        """Build an embedding of `width` channels; its projections are random, normally stored with the weights."""
        super().__init__()
        self.register_buffer("frequencies", torch.randn(2, width // 2))

    def forward(self, coordinates: Tensor) -> Tensor:
        """Embed (..., 2) coordinates, x and y as parts of the input's sides in [0, 1], as (..., width)."""
        angles = 2 * math.pi * ((2 * coordinates - 1) @ self.frequencies)
        return torch.cat((angles.sin(), angles.cos()), dim=-1)

    def grid(self, height: int, width: int) -> Tensor:
        """Embed the centres of the cells of a grid, row by row, as (1, height * width, C)."""
        rows = (torch.arange(height, device=self.frequencies.device) + 0.5) / height
        columns = (torch.arange(width, device=self.frequencies.device) + 0.5) / width
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        cells: Tensor = self(torch.stack((x, y), dim=-1))
        return cells.flatten(0, 1)[None]


class PromptEncoder(nn.Module):
    """Points and the previous mask, as what the mask decoder attends to."""

    def __init__(self, width: int = 256, *, stride: int = 16) -> None:
        """Build an encoder of `width` channels for an image embedding whose cells are `stride` pixels wide."""
        super().__init__()
        self.stride = stride
        self.positions = Positions(width)
        self.kinds = nn.Embedding(5, width)  # one vector per label, `NO_POINT` first
        self.no_mask = nn.Parameter(torch.zeros(width))
        self.mask_convolution = nn.Sequential(
            nn.Conv2d(1, 4, 2, stride=2),
            ChannelNorm(4, eps=1e-6),
            nn.GELU(),
            nn.Conv2d(4, 16, 2, stride=2),
            ChannelNorm(16, eps=1e-6),
            nn.GELU(),
            nn.Conv2d(16, width, 1),
        )

    def forward(self, grid: tuple[int, int], points: Tensor, labels: Tensor, previous: Tensor | None = None) -> Prompt:
        """Encode a prompt.

        Args:
            grid: rows and columns of the image embedding.
            points: (B, N, 2) float, x and y in pixels of the padded input.
            labels: (B, N) int64, `NO_POINT` to 3. Where no box is given, the weights expect one `NO_POINT` at the end.
            previous: (B, 1, 4h, 4w) float mask logits of the last answer, or None.
        Returns:
            the prompt.
        """
        height, width = grid
        sides = points.new_tensor((width * self.stride, height * self.stride))
        places = self.positions((points + 0.5) / sides)
        tokens = self.kinds(labels - NO_POINT) + places * (labels != NO_POINT)[..., None]  # (B, N, C)
        dense = self.no_mask[None, :, None, None] if previous is None else self.mask_convolution(previous)
        return Prompt(tokens, dense, self.positions.grid(height, width))


class MaskDecoder(nn.Module):
    """Four masks and a score for each, from an image embedding and a prompt."""

    def __init__(self, width: int = 256, *, depth: int = 2, heads: int = 8, hidden: int = 2048) -> None:
        """Build a decoder of `depth` two-way blocks; the weights are random."""
        super().__init__()
        self.answers = nn.Parameter(torch.randn(1 + MASKS, width))  # the tokens of the scores and of each mask
        self.blocks = nn.ModuleList(
            TwoWayBlock(width, heads=heads, hidden=hidden, first=index == 0) for index in range(depth)
        )
        self.last_attention = NarrowAttention(width, width // 2, heads=heads)
        self.last_norm = nn.LayerNorm(width)
        self.upsampling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, 2, stride=2),
            ChannelNorm(width // 4, eps=1e-6),
            nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, 2, stride=2),
            nn.GELU(),
        )
        self.mask_heads = nn.ModuleList(_head(width, width // 8) for _ in range(MASKS))
        self.score_head = _head(width, MASKS)

    def forward(self, embedding: Tensor, prompt: Prompt) -> tuple[Tensor, Tensor]:
        """Answer a prompt.

        Args:
            embedding: (B, C, h, w) image embedding.
            prompt: what `PromptEncoder` made of the clicks.
        Returns:
            (B, 4, 4h, 4w) mask logits, the single mask first; (B, 4) how good the network thinks they are: IoU.
        """
        image = (embedding + prompt.map).flatten(2).transpose(1, 2)  # (B, h * w, C)
        start = torch.cat((self.answers.expand(embedding.shape[0], -1, -1), prompt.tokens), dim=1)  # (B, 5 + N, C)
        tokens = start
        for block in self.blocks:
            tokens, image = block(tokens, image, start, prompt.positions)
        tokens = self.last_norm(
            tokens + self.last_attention(tokens + start, image + prompt.positions, image)  # every token looks once more
        )
        finer = self.upsampling(image.transpose(1, 2).unflatten(2, embedding.shape[2:]))  # (B, C/8, 4h, 4w)
        vectors = torch.stack([head(tokens[:, 1 + index]) for index, head in enumerate(self.mask_heads)], dim=1)
        logits = (vectors @ finer.flatten(2)).unflatten(2, finer.shape[2:])
        return logits, self.score_head(tokens[:, 0])


class TwoWayBlock(nn.Module):
    """Tokens look at each other and at the image, pass an MLP, and the image looks back."""

    def __init__(self, width: int, *, heads: int, hidden: int, first: bool) -> None:
        """Build a block; in the `first` one the tokens still are what they started from."""
        super().__init__()
        self.first = first
        self.self_attention = NarrowAttention(width, width, heads=heads)
        self.norm1 = nn.LayerNorm(width)
        self.tokens_to_image = NarrowAttention(width, width // 2, heads=heads)
        self.norm2 = nn.LayerNorm(width)
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)
        self.norm3 = nn.LayerNorm(width)
        self.image_to_tokens = NarrowAttention(width, width // 2, heads=heads)
        self.norm4 = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, image: Tensor, start: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Map tokens (B, M, C) and image cells (B, L, C) to the same shapes.

        Args:
            tokens: the tokens so far.
            image: the image cells so far.
            start: (B, M, C) the tokens before the first block, which serve as their positions.
            positions: (1, L, C) of the image cells.
        """
        if self.first:
            # Neither positions nor a residual: the tokens are their own positions here.
            tokens = self.norm1(self.self_attention(tokens, tokens, tokens))
        else:
            tokens = self.norm1(tokens + self.self_attention(tokens + start, tokens + start, tokens))
        tokens = self.norm2(tokens + self.tokens_to_image(tokens + start, image + positions, image))
        tokens = self.norm3(tokens + self.narrow(F.relu(self.widen(tokens))))
        image = self.norm4(image + self.image_to_tokens(image + positions, tokens + start, tokens))
        return tokens, image


class NarrowAttention(nn.Module):
    """Attention in several heads, at a width that may be less than that of its input."""

    def __init__(self, width: int, inner: int, *, heads: int) -> None:
        """Build an attention over `inner` channels, shared out among the heads."""
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.project = nn.Linear(inner, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Map queries (B, M, C), keys (B, L, C) and values (B, L, C) to (B, M, C)."""
        query, key, value = self._split(self.query(query)), self._split(self.key(key)), self._split(self.value(value))
        return self.project(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, L, C / heads)


def _head(width: int, out: int) -> nn.Sequential:
    """A perceptron of three layers."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out))
