"""Dynamic prompt embedding (DPE): from the reference map to a dense prompt, only where there is something to say.

Inside the box that holds the clicks and the foreground, four strided convolutions embed the states; elsewhere one
vector stands for "possible background". With the border "background" the crop equals the convolution over an endless
map of possible background, bit for bit in exact arithmetic, because a token sees 15 pixels up and left and none beyond
its own side down and right.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inter2former.model.boxes import POSSIBLE_BACKGROUND, prompt_box

__all__ = ["PatchConvolution", "PromptEmbedding"]

STATES = 5


class PatchConvolution(nn.Sequential):
    """Strided convolutions with ReLU: kernel 2s-1, padding s-1, stride s."""

    def __init__(self, width_in: int, widths: tuple[int, ...], *, strides: tuple[int, ...]) -> None:
        """Build one convolution per entry of `widths`, each dividing the resolution by its entry of `strides`."""
        layers: list[nn.Module] = []
        for width, stride in zip(widths, strides, strict=True):
            layers += [nn.Conv2d(width_in, width, 2 * stride - 1, stride=stride, padding=stride - 1), nn.ReLU()]
            width_in = width
        super().__init__(*layers)


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
        out = self.background()[None, :, None, None].expand(batch, -1, *grid).clone()
        for index in range(batch):
            box = prompt_box(reference_map[index, 0], stride=self.stride)
            pixels = box.scaled(self.stride)
            out[index, :, box.rows, box.columns] = self._embed(reference_map[index, 0, pixels.rows, pixels.columns])
        return out

    def background(self) -> Tensor:
        """The embedding (C,) of a token that sees nothing but possible background."""
        plane = torch.full((3 * self.stride, 3 * self.stride), POSSIBLE_BACKGROUND, device=self.states.weight.device)
        return self._convolve(plane)[:, 1, 1]

    def _embed(self, crop: Tensor) -> Tensor:
        if self.border == "zero":
            return self._convolve(crop)
        # Up and left of the crop there is possible background: the box is tight up to one token around it, and what
        # lies outside the image counts as background too.
        padded = F.pad(crop, (self.stride, 0, self.stride, 0), value=POSSIBLE_BACKGROUND)
        return self._convolve(padded)[:, 1:, 1:]

    def _convolve(self, states: Tensor) -> Tensor:
        planes = self.states(states.to(torch.int32)).permute(2, 0, 1)[None]
        return self.convolution(planes)[0]
