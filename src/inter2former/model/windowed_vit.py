"""The paper's image encoder: a ViT-B whose tokens, taken at two scales of the image, attend inside windows.

Architecture: Huang et al., "HRSAM: Efficient Interactive Segmentation in High-Resolution Images", 2024, on which the
paper builds.

image ──────── patches + positions ─┐
  └─ 256x256 ─ patches + positions ─+─ tokens ─ block ─ block ─ ... ─ block     windows plain, shifted, plain, ...
                                                  └───────┴─ taps ───────┴──> fused, summed, smoothed: embedding

All scales share all weights, and no window holds tokens of two scales. So everything but the attention itself acts on
one row of tokens per image: those of the full scale row by row, then those of the next scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inter2former.config import WindowedViTConfig
from inter2former.model.image_features import ImageFeatures
from inter2former.model.layers import ChannelNorm, rotary_angles, rotate, rotate_

__all__ = ["Grid", "ScaleFusion", "ShiftedWindowAttention", "ShiftedWindowBlock", "WindowLayout", "WindowedViT"]


class Grid(NamedTuple):
    """Rows and columns of the tokens of one scale."""

    height: int
    width: int

    @property
    def area(self) -> int:
        """Number of tokens."""
        return self.height * self.width


class WindowedViT(nn.Module):
    """Image to image embedding at a sixteenth of the resolution."""

    def __init__(self, config: WindowedViTConfig) -> None:
        """Build the encoder that `config` describes; the weights are random."""
        super().__init__()
        self.config = config
        self.patches = nn.Conv2d(3, config.width, config.patch, stride=config.patch)
        # Slot 0 is the class token's, which is never used.
        self.positions = nn.Parameter(torch.zeros(1, 1 + config.position_grid**2, config.width))
        shifts = (config.window // 2 if index % 2 else 0 for index in range(config.depth))
        self.blocks = nn.ModuleList(ShiftedWindowBlock(config, shift=shift) for shift in shifts)
        self.fusions = nn.ModuleList(
            ScaleFusion(config.width, scales=1 + len(config.scales), embedding=config.embedding) for _ in config.taps
        )
        self.smooth = nn.Conv2d(config.embedding, config.embedding, 3, padding=1, groups=config.embedding, bias=False)
        self.norm = ChannelNorm(config.embedding)

    def forward(self, image: Tensor) -> ImageFeatures:
        """Encode normalised images.

        Args:
            image: (B, 3, H, W) float; H and W are multiples of the patch side.
        Raises:
            ValueError: a side is no multiple of the patch side.
        """
        grids = self.grids(image)
        fusions = dict(zip(self.config.taps, self.fusions, strict=True))
        tapped = [
            fusions[index](tokens, grids) for index, tokens in enumerate(self.block_tokens(image)) if index in fusions
        ]
        return ImageFeatures(self.norm(self.smooth(torch.stack(tapped).sum(0))), ())

    def local_features(self, image: Tensor) -> tuple[Tensor, ...]:
        """The finer maps that `forward` gives too: this encoder has none."""
        return ()

    def block_tokens(self, image: Tensor) -> Iterator[Tensor]:
        """Give the tokens after each block, one block at a time.

        Args:
            image: as for `forward`.
        Yields:
            (B, T, width): the tokens of the full scale in row-major order, then those of each further scale.
        """
        tokens = torch.cat([self._embed(image, grid) for grid in self.grids(image)], dim=1)
        for block in self.blocks:
            tokens = block(tokens, self.grids(image))
            yield tokens

    def grids(self, image: Tensor) -> tuple[Grid, ...]:
        """The token grid of each scale, the full one first."""
        patch, (height, width) = self.config.patch, image.shape[2:]
        if height % patch or width % patch:
            raise ValueError(f"image is {height}x{width}; both sides must be multiples of {patch}: pad it")
        return Grid(height // patch, width // patch), *(
            Grid(side // patch, side // patch) for side in self.config.scales
        )

    def _embed(self, image: Tensor, grid: Grid) -> Tensor:
        """The tokens (B, grid.area, width) of the image resized to a grid, with their positions."""
        image = _resized(image, Grid(grid.height * self.config.patch, grid.width * self.config.patch))
        side = self.config.position_grid
        positions = self.positions[:, 1:].transpose(1, 2).unflatten(2, (side, side))
        return (self.patches(image) + _resized(positions, grid)).flatten(2).transpose(1, 2)


class ShiftedWindowBlock(nn.Module):
    """Attention inside windows and an MLP, each with a norm before and a residual around."""

    def __init__(self, config: WindowedViTConfig, *, shift: int) -> None:
        """Build a block whose windows are moved by `shift` tokens."""
        super().__init__()
        width = config.width
        self.norm1 = nn.LayerNorm(width)
        self.attention = ShiftedWindowAttention(
            width, heads=config.heads, window=config.window, shift=shift, rotary_scale=config.rotary_scale
        )
        self.norm2 = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor, grids: tuple[Grid, ...]) -> Tensor:
        """Map the tokens (B, T, C) of all grids to the same shape."""
        layouts = self.attention.layouts(grids)
        fill = self.attention.packed_padding()
        if torch.is_grad_enabled() or tokens.device.type != "cpu":
            return self._transform(tokens, layouts, fill)
        # A row of windows depends on nothing outside of it, and is small enough to stay in the cache from the first
        # norm to the last sum.
        strips = [strip for layout in layouts for strip in layout.strips()]
        parts = tokens.split([strip.grid.area for strip in strips], dim=1)
        return torch.cat(
            [self._transform(part, [strip], fill) for part, strip in zip(parts, strips, strict=True)], dim=1
        )

    def _transform(self, tokens: Tensor, layouts: Sequence[WindowLayout], fill: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.norm1(tokens), layouts, fill)
        return tokens + self.narrow(F.gelu(self.widen(self.norm2(tokens))))


class ShiftedWindowAttention(nn.Module):
    """Attention inside windows with rotary positions.

    Where windows reach beyond the grid, a learned token fills them. It is a key like any other, not masked.
    """

    angles: Tensor

    def __init__(self, width: int, *, heads: int, window: int, shift: int, rotary_scale: float) -> None:
        """Build an attention over windows of `window` x `window` tokens, moved by `shift` tokens."""
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.padding = nn.Parameter(torch.zeros(1, width))
        self.query_key_value = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        # Attention sees differences of positions alone, so all windows share the angles of the first.
        angles = rotary_angles(window, window, width // heads, scale=rotary_scale)
        self.register_buffer("angles", angles, persistent=False)

    def layouts(self, grids: Iterable[Grid]) -> list[WindowLayout]:
        """How this layer's windows lie over each grid."""
        return [WindowLayout.over(grid, window=self.window, shift=self.shift) for grid in grids]

    def packed_padding(self) -> Tensor:
        """Query, key and value of the token that fills the windows: (1, 3C)."""
        return self.query_key_value(self.padding)

    def forward(self, tokens: Tensor, layouts: Sequence[WindowLayout], fill: Tensor) -> Tensor:
        """Map the tokens (B, T, C) of all layouts' grids, one after the other, to the same shape.

        Args:
            tokens: normalised.
            layouts: where the windows are.
            fill: from `packed_padding`.
        """
        # The linear layers act on tokens, not on windows, which at 1024x1024 hold 1.6 times as many when shifted.
        parts = self.query_key_value(tokens).split([layout.grid.area for layout in layouts], dim=1)
        attended = [
            layout.tokens(self._attend(layout.windows(part, fill))) for layout, part in zip(layouts, parts, strict=True)
        ]
        return self.project(torch.cat(attended, dim=1))

    def _attend(self, windows: Tensor) -> Tensor:
        """From packed (N, window**2, 3C), which is used up, to attended (N, window**2, C)."""
        query, key, value = windows.unflatten(-1, (3, self.heads, -1)).unbind(2)
        turn = rotate if torch.is_grad_enabled() else rotate_
        query, key = turn(query, self.angles), turn(key, self.angles)
        out = F.scaled_dot_product_attention(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2))
        return out.transpose(1, 2).flatten(2)


class WindowLayout(NamedTuple):
    """How windows lie over a grid.

    Attributes:
        grid: the tokens they cover.
        window: their side in tokens.
        top: filled rows above the grid.
        left: filled columns to the left of it.
        rows: windows from top to bottom.
        columns: windows from left to right.
    """

    grid: Grid
    window: int
    top: int
    left: int
    rows: int
    columns: int

    @classmethod
    def over(cls, grid: Grid, *, window: int, shift: int) -> WindowLayout:
        """Lay windows over a grid; where it takes more than one, the second begins `shift` tokens after the corner."""
        fits = grid.height <= window and grid.width <= window
        margin = 0 if fits else -shift % window
        rows, columns = (-(-(side + margin) // window) for side in grid)
        return cls(grid, window, margin, margin, rows, columns)

    def strips(self) -> list[WindowLayout]:
        """Each row of windows as a layout of its own, over those rows of the grid that it covers."""
        edges = [min(max(row * self.window - self.top, 0), self.grid.height) for row in range(self.rows + 1)]
        return [
            self._replace(grid=Grid(bottom - top, self.grid.width), top=self.top if row == 0 else 0, rows=1)
            for row, (top, bottom) in enumerate(pairwise(edges))
        ]

    def windows(self, tokens: Tensor, fill: Tensor) -> Tensor:
        """Cut tokens (B, grid.area, C) into windows (B * rows * columns, window**2, C); the rest is `fill` (1, C)."""
        batch, _, width = tokens.shape
        canvas = tokens.unflatten(1, self.grid)
        height, breadth = self.rows * self.window, self.columns * self.window
        if self.grid != (height, breadth):
            inside = canvas
            canvas = fill.expand(batch, height, breadth, width).clone(memory_format=torch.contiguous_format)
            self._cells(canvas).copy_(inside)
        cells = canvas.reshape(batch, self.rows, self.window, self.columns, self.window, width)
        return cells.transpose(2, 3).reshape(-1, self.window**2, width)

    def tokens(self, windows: Tensor) -> Tensor:
        """Put the windows (B * rows * columns, window**2, C) together again: tokens (B, grid.area, C)."""
        cells = windows.view(-1, self.rows, self.columns, self.window, self.window, windows.shape[-1])
        canvas = cells.transpose(2, 3).flatten(3, 4).flatten(1, 2)
        return self._cells(canvas).flatten(1, 2)

    def _cells(self, canvas: Tensor) -> Tensor:
        """The part of a plane (B, rows * window, columns * window, C) that the grid covers."""
        return canvas.narrow(1, self.top, self.grid.height).narrow(2, self.left, self.grid.width)


class ScaleFusion(nn.Module):
    """The tokens of all scales after one block, joined cell by cell."""

    def __init__(self, width: int, *, scales: int, embedding: int) -> None:
        """Build a fusion of `scales` grids of `width` channels into one of `embedding`."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(scales * width, embedding, bias=False)
        self.mixed_norm = nn.LayerNorm(embedding)

    def forward(self, tokens: Tensor, grids: tuple[Grid, ...]) -> Tensor:
        """Map the tokens (B, T, C) of all grids to a map (B, embedding, h, w) over the first grid."""
        maps = [
            _resized(part.transpose(1, 2).unflatten(2, grid), grids[0])
            for part, grid in zip(tokens.split([grid.area for grid in grids], dim=1), grids, strict=True)
        ]
        stacked = torch.cat([self.norm(scale.permute(0, 2, 3, 1)) for scale in maps], dim=-1)
        return self.mixed_norm(self.mix(stacked)).permute(0, 3, 1, 2)


def _resized(plane: Tensor, grid: Grid) -> Tensor:
    """A map (B, C, H, W) at another size; itself where it has that size."""
    if (plane.shape[2], plane.shape[3]) == grid:
        return plane
    return F.interpolate(plane, size=grid, mode="bilinear", align_corners=False)
