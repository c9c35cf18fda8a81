"""Dynamic prompt embedding (DPE): from the reference map to a dense prompt, only where there is something to say.

Inside the box that holds the clicks and the foreground, four strided convolutions embed the states; elsewhere one
vector stands for "possible background". With the border "background" the crop equals the convolution over an endless
map of possible background, bit for bit in exact arithmetic, because a token sees 15 pixels up and left and none beyond
its own side down and right. The same fact allows to go further than the paper: a token that sees one state only has
one of five embeddings, so in a large box only the tokens along the contours are convolved.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inter2former import kernels
from inter2former.config import DecoderConfig
from inter2former.model.boxes import POSSIBLE_BACKGROUND, STATES, Box, prompt_box, token_extremes
from inter2former.model.layers import stacked

__all__ = ["DensePromptEmbedding", "PatchConvolution", "PromptEmbedding", "prompt_embedding"]

PATCH_COST = 2.5
"""Cost of embedding a token from its own 31x31 pixels over its share of a dense convolution (2.2 in products)."""


class PatchConvolution(nn.Sequential):
    """Strided convolutions with ReLU: kernel 2s-1, padding s-1, stride s."""

    def __init__(self, width_in: int, widths: tuple[int, ...], *, strides: tuple[int, ...]) -> None:
        """Build one convolution per entry of `widths`, each dividing the resolution by its entry of `strides`."""
        layers: list[nn.Module] = []
        for width, stride in zip(widths, strides, strict=True):
            layers += [nn.Conv2d(width_in, width, 2 * stride - 1, stride=stride, padding=stride - 1), nn.ReLU()]
            width_in = width
        super().__init__(*layers)
        for layer in self:
            if isinstance(layer, nn.Conv2d):
                # The default would shrink the prompt to a tenth of the image embedding it is added to.
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")


class PromptEmbedding(nn.Module):
    """Embed a reference map on the token grid (paper, section on DPE)."""

    def __init__(self, widths: tuple[int, ...], *, border: Literal["zero", "background"]) -> None:
        """Build the embedding.

        Args:
            widths: channels of the strided convolutions; the last one is the width of the image embedding.
            border: what a convolution sees beyond the box, see `DecoderConfig.prompt_border`.
        """
        super().__init__()
        self.border = border
        self.stride = 2 ** len(widths)
        self.states = nn.Embedding(STATES, STATES)
        self.convolution = PatchConvolution(STATES, widths, strides=(2,) * len(widths))

    def forward(self, reference_map: Tensor) -> Tensor:
        """Embed each map inside its own box.

        Args:
            reference_map: (B, 1, H, W) uint8 states 0..4; H and W are multiples of 16.
        Returns:
            (B, C, H/16, W/16).
        """
        batch, _, height, width = reference_map.shape
        grid = (height // self.stride, width // self.stride)
        uniform = self.uniform()
        out = uniform[POSSIBLE_BACKGROUND, :, None, None].expand(batch, -1, *grid).clone()
        for index in range(batch):
            states = reference_map[index, 0]
            box = prompt_box(states, stride=self.stride)
            out[index, :, box.rows, box.columns] = self._embed(states, box, uniform)
        return out

    def add_to(self, tokens: Tensor, reference_map: Tensor) -> Tensor:
        """`tokens + self(reference_map)`; without gradients in one operation, which convolves along contours only.

        Args:
            tokens: (B, C, H/16, W/16).
            reference_map: as for `forward`.
        """
        if torch.is_grad_enabled() or self.border == "zero":
            return tokens + self(reference_map)
        layers = [layer for layer in self.convolution if isinstance(layer, nn.Conv2d)]
        weights, biases = (tuple(getattr(layer, name) for layer in layers) for name in ("weight", "bias"))
        added = [
            kernels.embed_prompt(
                states, POSSIBLE_BACKGROUND, self.states.weight, weights, biases, sample.permute(1, 2, 0)
            )
            for sample, states in zip(tokens, reference_map[:, 0], strict=True)
        ]
        return stacked(added).permute(0, 3, 1, 2)

    def background(self) -> Tensor:
        """The embedding (C,) of a token that sees nothing but possible background."""
        return self.uniform()[POSSIBLE_BACKGROUND]

    def uniform(self) -> Tensor:
        """The embeddings (5, C) of tokens that see one state only, by that state."""
        states = torch.arange(STATES, device=self.states.weight.device)
        planes = states[:, None, None].expand(STATES, 3 * self.stride, 3 * self.stride)
        return self._convolve(planes)[:, :, 1, 1]

    def _embed(self, states: Tensor, box: Box, uniform: Tensor) -> Tensor:
        pixels = box.scaled(self.stride)
        crop = states[pixels.rows, pixels.columns]
        if self.border == "zero":
            return self._convolve(crop[None])[0]
        # The box is tight up to one token around it, and what lies outside the image counts as background too.
        padded = self._with_margin(crop)
        lowest, highest = token_extremes(padded[None], stride=self.stride, before=self.stride - 1, after=0)
        lowest, highest = lowest[0, 1:, 1:], highest[0, 1:, 1:]
        mixed = (lowest != highest).nonzero()
        if PATCH_COST * len(mixed) > box.area:
            return self._convolve(padded[None])[0, :, 1:, 1:]
        embedded = uniform[lowest.to(torch.int64)]  # (h, w, C)
        embedded = embedded.index_put((mixed[:, 0], mixed[:, 1]), self._convolve_patches(padded, mixed))
        return embedded.permute(2, 0, 1)

    def _convolve_patches(self, padded: Tensor, tokens: Tensor) -> Tensor:
        """Embed single tokens, each from the 31x31 pixels it sees.

        Args:
            padded: (H, W) states with one token of margin up and left.
            tokens: (M, 2) row and column of tokens, not counting the margin.
        Returns:
            (M, C).
        """
        side = 2 * self.stride - 1
        windows = padded[1:, 1:].unfold(0, side, self.stride).unfold(1, side, self.stride)
        x = self._planes(windows[tokens[:, 0], tokens[:, 1]])
        for layer in self.convolution:
            # Without padding: 31 -> 15 -> 7 -> 3 -> 1.
            x = F.conv2d(x, layer.weight, layer.bias, stride=2) if isinstance(layer, nn.Conv2d) else layer(x)
        return x.flatten(1)

    def _with_margin(self, states: Tensor) -> Tensor:
        """Possible background of one token up and left of (..., H, W) states."""
        return F.pad(states, (self.stride, 0, self.stride, 0), value=POSSIBLE_BACKGROUND)

    def _convolve(self, states: Tensor) -> Tensor:
        """(N, H, W) states to (N, C, H/16, W/16), zeros beyond the border."""
        return self.convolution(self._planes(states))

    def _planes(self, states: Tensor) -> Tensor:
        return self.states(states.to(torch.int32)).permute(0, 3, 1, 2)


class DensePromptEmbedding(PromptEmbedding):
    """The convolution over the whole map, without the box (the ablation of DPE).

    With the border "background" it equals the dynamic form. With "zero" it differs where that one meets a border of
    its box, in the box's first row and column, and in the image's own, where the dynamic form fills in background.
    """

    def add_to(self, tokens: Tensor, reference_map: Tensor) -> Tensor:
        """As `PromptEmbedding.add_to`, at the full price."""
        return tokens + self(reference_map)

    def forward(self, reference_map: Tensor) -> Tensor:
        """As `PromptEmbedding.forward`."""
        states = reference_map[:, 0]
        if self.border == "zero":
            return self._convolve(states)
        return self._convolve(self._with_margin(states))[:, :, 1:, 1:]


def prompt_embedding(config: DecoderConfig) -> PromptEmbedding:
    """Build the prompt embedding that `config` names; the weights are random."""
    kind = DensePromptEmbedding if config.prompt == "dense" else PromptEmbedding
    return kind(config.prompt_widths, border=config.prompt_border)
