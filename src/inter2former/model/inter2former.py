"""The whole network on one screen (paper, figure 2).

image ── encoder ──> embedding, skips          once per image
  └───── edge encoder (image, skips) ──> edges  once per image
reference map ── prompt embedding ─┐
embedding ─────────────────────────+── block ── block ── upsampling (edges) ──> mask logits in a box
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from inter2former import kernels
from inter2former.config import DecoderConfig, ModelConfig
from inter2former.model.attention import attention
from inter2former.model.boundary import TokenSplit, select_boundary_tokens
from inter2former.model.boxes import Box, cut_sides, prompt_box, whole_grid
from inter2former.model.edge_encoder import EdgeEncoder
from inter2former.model.edge_terms import SkipNet, edge_terms, edge_terms_after, skip_nets
from inter2former.model.image_encoder import image_encoder
from inter2former.model.image_features import ImageFeatures
from inter2former.model.layers import ChannelNorm
from inter2former.model.moe import feed_forward
from inter2former.model.prompt_embedding import prompt_embedding
from inter2former.model.upsampling import REACH, LocalLogits, upsampling

__all__ = ["EncodedImage", "HybridBlock", "Inter2Former", "PromptedTokens", "TrainingOutput"]

POSSIBLE_FOREGROUND, DEFINITE_FOREGROUND = 3, 4


class EncodedImage(NamedTuple):
    """What is computed once per image.

    Attributes:
        embedding: (B, C, H/16, W/16) image embedding.
        edges: what the upsampling reads of the edges, coarse to fine, as `LocalUpsampling.prepare` gives it; in
            training the edge maps themselves.
    """

    embedding: Tensor
    edges: tuple[Tensor, ...]

    def cropped(self, window: Box) -> EncodedImage:
        """Views of what lies in a box of tokens."""
        scales = [window.scaled(2**level) for level in range(len(self.edges) + 1)]
        maps = [x[:, :, box.rows, box.columns] for x, box in zip((self.embedding, *self.edges), scales, strict=True)]
        return EncodedImage(maps[0], tuple(maps[1:]))


class PromptedTokens(NamedTuple):
    """Tokens after the blocks.

    Attributes:
        map: (B, C, h, w).
        commitment_loss: scalar, mean over the blocks.
    """

    map: Tensor
    commitment_loss: Tensor


class TrainingOutput(NamedTuple):
    """What the losses look at.

    Attributes:
        logits: (B, 1, H, W) mask logits of the whole plane.
        coarse_logits: (B, 1, H/16, W/16), the small net that finds the box.
        commitment_loss: scalar.
    """

    logits: Tensor
    coarse_logits: Tensor
    commitment_loss: Tensor


class HybridBlock(nn.Module):
    """Hybrid attention and hybrid mixture of experts, each with a norm before and a residual around."""

    def __init__(self, config: DecoderConfig) -> None:
        """Build one block."""
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width)
        self.attention = attention(config)
        self.norm2 = nn.LayerNorm(config.width)
        self.feed_forward = feed_forward(config)

    def forward(self, tokens: Tensor, split: TokenSplit) -> Tensor:
        """Map tokens (B, T, C), T = h * w in row-major order, to the same shape."""
        return self.feed_forward.add_to(self.attention.add_to(tokens, self.norm1, split), self.norm2, split)

    def forward_training(self, tokens: Tensor, split: TokenSplit) -> tuple[Tensor, Tensor]:
        """As `forward`, with gradients; also the commitment loss."""
        attended = self.attention.forward_training(self.norm1(tokens), split)
        tokens = tokens + attended.tokens
        return tokens + self.feed_forward.forward_training(self.norm2(tokens), split), attended.commitment_loss


class Inter2Former(nn.Module):
    """Image and reference map to mask logits."""

    def __init__(self, config: ModelConfig) -> None:
        """Build the network with random weights."""
        super().__init__()
        self.config = config
        decoder = config.decoder
        self.encoder = image_encoder(config.encoder)
        self.edge_encoder = EdgeEncoder(config.edges)
        self.embedding_norm = ChannelNorm(decoder.width) if decoder.normalise_embedding else nn.Identity()
        self.prompt_embedding = prompt_embedding(decoder)
        self.blocks = nn.ModuleList(HybridBlock(decoder) for _ in range(decoder.depth))
        self.upsampling = upsampling(decoder)

    def encode(self, image: Tensor) -> EncodedImage:
        """Everything that does not depend on the prompt.

        Args:
            image: (B, 3, H, W) normalised; H and W are multiples of 16.
        """
        return self.encoded(image, self.encoder(image))

    def encoded(self, image: Tensor, features: ImageFeatures) -> EncodedImage:
        """The part of `encode` after the image encoder, whatever ran that.

        Args:
            image: as for `encode`.
            features: what the image encoder makes of it.
        """
        return EncodedImage(self.embedding_norm(features.embedding), self.edge_terms(image, features))

    def edge_terms(self, image: Tensor, features: ImageFeatures) -> tuple[Tensor, ...]:
        """The part of `encode` that upsampling takes: from an image and the encoder's finer maps, or their shares."""
        convolutions = self.upsampling.convolutions[::-1]
        if features.shares:
            return edge_terms_after(self.edge_encoder, convolutions, image, features.shares)
        if self._edges_are_linear:
            return edge_terms(self.edge_encoder, convolutions, image, features.skips)
        return self.upsampling.prepare(self.edge_encoder(image, features.skips))

    @property
    def skip_nets(self) -> tuple[SkipNet, ...]:
        """What makes `ImageFeatures.shares` of the encoder's finer maps; none where edge maps have to be made."""
        return skip_nets(self.edge_encoder, self.upsampling.convolutions[::-1]) if self._edges_are_linear else ()

    @property
    def _edges_are_linear(self) -> bool:
        """Whether edge terms need no edge maps."""
        return self.upsampling.crops_are_exact and self.config.edges.norm == "none"

    def prepared(self, encoded: EncodedImage) -> EncodedImage:
        """An encoded image with edge maps, which training works on, made ready for `decode`."""
        return encoded._replace(edges=self.upsampling.prepare(encoded.edges))

    def decode(self, encoded: EncodedImage, reference_map: Tensor, limits: Box | None = None) -> list[LocalLogits]:
        """One round of interaction.

        Args:
            encoded: from `encode`.
            reference_map: (B, 1, H, W) uint8 states 0..4.
            limits: the tokens that may be upsampled; None: all.
        Returns:
            mask logits in a box for each sample.
        """
        tokens = self.prompted_tokens(encoded, reference_map)
        return self.upsampling(tokens, encoded.edges, self._required(reference_map), limits)

    def window(self, reference_map: Tensor) -> Box:
        """The tokens from which `answer` computes: the prompt box and a margin, or all.

        All, where the preset has no margin, and as long as there is no mask that says how far the object reaches.

        Args:
            reference_map: (1, 1, H, W) uint8 states 0..4.
        """
        margin = self.config.decoder.window_margin
        height, width = (side // self.prompt_embedding.stride for side in reference_map.shape[2:])
        if margin is None or not self._tokens_with(reference_map, POSSIBLE_FOREGROUND).any():
            return whole_grid(height, width)
        return prompt_box(reference_map[0, 0], stride=self.prompt_embedding.stride).grown(margin, height, width)

    def answer(self, encoded: EncodedImage, reference_map: Tensor) -> LocalLogits:
        """One round of interaction with one image, at a cost that grows with the object: `decode` within `window`.

        Beyond the prompt box there is possible background and no boundary, so the window changes neither the prompt
        embedding nor which tokens have full attention; attention sees the window's tokens, as it sees a crop's in
        training. An object that goes on beyond the window is drawn again from all tokens.

        Args:
            encoded: from `encode`, of one image.
            reference_map: (1, 1, H, W) uint8 states 0..4.
        """
        window, stride = self.window(reference_map), self.prompt_embedding.stride
        grid = Box(0, 0, reference_map.shape[3] // stride, reference_map.shape[2] // stride)
        pixels = window.scaled(stride)
        crop = reference_map[:, :, pixels.rows, pixels.columns].contiguous()
        # Upsampling looks a little beyond its box, and the window ends where tokens do not.
        limits = window.shrunk(REACH, grid)
        (local,) = self.decode(encoded.cropped(window), crop, limits.moved(-window.left, -window.top))
        found = LocalLogits(local.logits, local.box.moved(pixels.left, pixels.top))
        goes_on = cut_sides(found.box, found.logits, grid.scaled(stride))
        if any(side == end for side, end, cut in zip(found.box, limits.scaled(stride), goes_on, strict=True) if cut):
            return self.decode(encoded, reference_map)[0]
        return found

    def prompted_tokens(self, encoded: EncodedImage, reference_map: Tensor) -> Tensor:
        """Prompt embedding and blocks: the tokens (B, C, h, w) that `decode` upsamples."""
        x, split = self._prompted(encoded, reference_map)
        tokens = x.flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens, split)
        return _as_map(tokens, split)

    def forward_training(self, encoded: EncodedImage, reference_map: Tensor) -> TrainingOutput:
        """As `decode`, over the whole plane, from edge maps, and with everything that the losses need."""
        tokens = self.blocks_training(encoded, reference_map)
        logits = self.upsampling.upsample_all(tokens.map, encoded.edges)
        return TrainingOutput(logits, self.upsampling.coarse_logits(tokens.map), tokens.commitment_loss)

    def blocks_training(self, encoded: EncodedImage, reference_map: Tensor) -> PromptedTokens:
        """Prompt embedding and blocks in their training form."""
        x, split = self._prompted(encoded, reference_map)
        tokens = x.flatten(2).transpose(1, 2)
        losses = []
        for block in self.blocks:
            assert isinstance(block, HybridBlock)
            tokens, loss = block.forward_training(tokens, split)
            losses.append(loss)
        return PromptedTokens(_as_map(tokens, split), torch.stack(losses).mean())

    def _required(self, reference_map: Tensor) -> Tensor | None:
        """The tokens with definite foreground, where the preset wants them in the box."""
        if not self.config.decoder.box_holds_clicks:
            return None
        return self._tokens_with(reference_map, DEFINITE_FOREGROUND)

    def _tokens_with(self, reference_map: Tensor, state: int) -> Tensor:
        """The tokens (B, h, w) that hold a pixel of that state."""
        stride = self.prompt_embedding.stride
        return torch.stack([kernels.tokens_with(map_[0], stride=stride, states=[state]) for map_ in reference_map])

    def _prompted(self, encoded: EncodedImage, reference_map: Tensor) -> tuple[Tensor, TokenSplit]:
        boundary = select_boundary_tokens(
            reference_map, rule=self.config.decoder.boundary, stride=self.prompt_embedding.stride
        )
        return self.prompt_embedding.add_to(encoded.embedding, reference_map), TokenSplit.of(boundary)


def _as_map(tokens: Tensor, split: TokenSplit) -> Tensor:
    return tokens.transpose(1, 2).unflatten(2, split.flags.shape[1:])
