"""The windowed ViT as a graph of OpenVINO, operation by operation, for images of any size.

Where windows reach beyond the grid a learned token p fills them. Here zeros fill them, and what is attended is x - p
instead of x: query and key get back what p has of them, turned, as one table; the values' part, whose weights sum to 1,
is a constant after the attention, which the last bias takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor, nn

from inter2former.model.layers import rotate
from inter2former.model.windowed_vit import ScaleFusion, ShiftedWindowAttention, ShiftedWindowBlock, WindowedViT
from inter2former.session.graph_layers import Grid, Layers, Node

__all__ = ["WindowedViTGraph"]


@dataclass(frozen=True, slots=True)
class _Layout:
    """As `WindowLayout`, of nodes of shape (1,): the grid, rows above and columns left of it, and windows in tokens."""

    grid: Grid
    margin: Node
    whole: Grid


class WindowedViTGraph(Layers):
    """The layers of a windowed ViT. Tokens of all scales are one row: (1, T, C)."""

    def encoder(self, encoder: WindowedViT, image: Node) -> Node:
        """The embedding, a map."""
        config = encoder.config
        sides = (self.integers(scale // config.patch) for scale in config.scales)
        grids = [self.grid(image, config.patch), *(Grid(side, side) for side in sides)]
        blocks = [block for block in encoder.blocks if isinstance(block, ShiftedWindowBlock)]
        x = self.ops.concat([self._embedded(encoder, image, grid) for grid in grids], 1)
        layouts = {
            shift: [self._layout(grid, window=config.window, shift=shift) for grid in grids]
            for shift in {block.attention.shift for block in blocks}
        }
        fusions = dict(zip(config.taps, encoder.fusions, strict=True))
        tapped = []
        for index, block in enumerate(blocks):
            x = self._block(block, x, layouts[block.attention.shift])
            if index in fusions:
                fusion = fusions[index]
                assert isinstance(fusion, ScaleFusion)
                tapped.append(self._fused(fusion, x, grids))
        width = config.embedding
        smooth = self.convolution(encoder.smooth, self.planes(self.map(reduce(self.ops.add, tapped), grids[0], width)))
        return self.map(self.norm(encoder.norm, self.tokens(self.rows(smooth), width)), grids[0], width)

    def _embedded(self, encoder: WindowedViT, image: Node, grid: Grid) -> Node:
        """The tokens of one scale."""
        config = encoder.config
        patch, side = self.integers(config.patch), config.position_grid
        size = Grid(self.ops.multiply(grid.height, patch), self.ops.multiply(grid.width, patch))
        table = encoder.positions[:, 1:].transpose(1, 2).unflatten(2, (side, side))
        planes = self.convolution(encoder.patches, self._resized(self.planes(image), size))
        planes = self.ops.add(planes, self._resized(self.constant(table), grid))
        return self.tokens(self.rows(planes), config.width)

    def _block(self, block: ShiftedWindowBlock, x: Node, layouts: list[_Layout]) -> Node:
        x = self.ops.add(x, self._attention(block.attention, block.norm1, x, layouts))
        wide = self.gelu(self.linear(block.widen, self.norm(block.norm2, x)))
        return self.ops.add(x, self.linear(block.narrow, wide))

    def _attention(self, layer: ShiftedWindowAttention, norm: nn.LayerNorm, x: Node, layouts: list[_Layout]) -> Node:
        """Attention inside the windows of all grids, with the norm before it."""
        packed, padding = layer.query_key_value, layer.padding[0]
        width, parts = packed.in_features, (3, layer.heads, -1)
        weights = packed.weight.unflatten(0, parts)  # (3, heads, d, C)
        fill = layer.packed_padding()[0].unflatten(0, parts)  # (3, heads, d)
        normal = self.norm(norm, x, less=padding)
        query, key, value = (
            self.product(normal, each.flatten(0, 1), None)
            for each in (_halved(weights[0], 1), _halved(weights[1], 1), weights[2])
        )
        attended, begin = [], self.integers(0)
        for layout in layouts:
            end = self.ops.add(begin, self.ops.multiply(layout.grid.height, layout.grid.width))
            windows = [
                self._windows(self.ops.slice(part, begin, end, self.integers(1), self.integers(1)), layout, layer)
                for part in (query, key, value)
            ]
            turned = [self._turned(windows[index], layer.angles, fill[index]) for index in (0, 1)]
            found = self.ops.scaled_dot_product_attention(*turned, windows[2])
            attended.append(self._joined(found, layout, layer, width))
            begin = end
        project = layer.project
        bias = project.bias + project.weight @ fill[2].flatten()
        return self.product(self.ops.concat(attended, 1), project.weight, bias)

    def _turned(self, windows: Node, angles: Tensor, fill: Tensor) -> Node:
        """Windows (N, heads, L, d), channels halved, turned as `rotate` does; and the filling token's part."""
        ops, half = self.ops, fill.shape[1] // 2
        cosine, sine = angles.cos(), angles.sin()
        turned = rotate(fill.expand(len(angles), -1, -1), angles)  # (L, heads, d)
        table = self.constant(_halved(turned, 2).transpose(0, 1)[None])
        even, odd = ops.variadic_split(windows, np.int64(3), self.integers(half, half)).outputs()
        across = ops.multiply(ops.concat([odd, even], 3), self.constant(torch.cat((sine, -sine), 1)[None, None]))
        along = ops.multiply(windows, self.constant(torch.cat((cosine, cosine), 1)[None, None]))
        return ops.add(ops.add(along, across), table)

    def _layout(self, grid: Grid, *, window: int, shift: int) -> _Layout:
        ops, side = self.ops, self.integers(window)
        reaches = ops.convert(ops.greater(ops.maximum(grid.height, grid.width), side), "i64")
        margin = ops.multiply(reaches, self.integers(-shift % window))
        whole = (self.whole(ops.add(length, margin), window) for length in (grid.height, grid.width))
        return _Layout(grid, margin, Grid(*whole))

    def _windows(self, tokens: Node, layout: _Layout, layer: ShiftedWindowAttention) -> Node:
        """Tokens (1, T, C) of one grid as windows (N, heads, L, d); zeros fill them."""
        ops, side, none = self.ops, layer.window, self.integers(0)
        width = layer.project.in_features
        grid, margin, whole = layout.grid, layout.margin, layout.whole
        covered = (ops.add(length, margin) for length in (grid.height, grid.width))
        missing = [ops.subtract(*pair) for pair in zip((whole.height, whole.width), covered, strict=True)]
        begin, end = ops.concat([none, margin, margin, none], 0), ops.concat([none, *missing, none], 0)
        x = ops.pad(self.map(tokens, grid, width), begin, end, "constant", ops.constant(np.float32(0)))
        rows = ops.divide(whole.height, self.integers(side))
        cells = self.integers(side, -1, side, layer.heads, width // layer.heads)
        cut = self.permuted(ops.reshape(x, ops.concat([rows, cells], 0), False), 0, 2, 4, 1, 3, 5)
        return ops.reshape(cut, self.integers(-1, layer.heads, side * side, width // layer.heads), False)

    def _joined(self, windows: Node, layout: _Layout, layer: ShiftedWindowAttention, width: int) -> Node:
        """The tokens (1, T, C) of one grid from windows (N, heads, L, d)."""
        ops, side, grid = self.ops, layer.window, layout.grid
        rows = ops.divide(layout.whole.height, self.integers(side))
        cells = self.integers(-1, layer.heads, side, side, width // layer.heads)
        cut = self.permuted(ops.reshape(windows, ops.concat([rows, cells], 0), False), 0, 3, 1, 4, 2, 5)
        ends = ops.concat([ops.add(length, layout.margin) for length in (grid.height, grid.width)], 0)
        begins = ops.concat([layout.margin, layout.margin], 0)
        inside = ops.slice(self.map(cut, layout.whole, width), begins, ends, self.integers(1, 1), self.integers(1, 2))
        return self.tokens(inside, width)

    def _fused(self, fusion: ScaleFusion, x: Node, grids: list[Grid]) -> Node:
        """What a fusion makes of the tokens of all scales, over the first grid: (1, T, embedding)."""
        ops, width, begin, parts = self.ops, fusion.norm.normalized_shape[0], self.integers(0), []
        for grid, weight in zip(grids, fusion.mix.weight.split(width, dim=1), strict=True):
            end = ops.add(begin, ops.multiply(grid.height, grid.width))
            tokens = ops.slice(x, begin, end, self.integers(1), self.integers(1))
            if grid is not grids[0]:
                planes = self._resized(self.planes(self.map(tokens, grid, width)), grids[0])
                tokens = self.tokens(self.rows(planes), width)
            parts.append(self.product(self.norm(fusion.norm, tokens), weight, None))
            begin = end
        return self.norm(fusion.mixed_norm, reduce(ops.add, parts))

    def _resized(self, planes: Node, size: Grid) -> Node:
        sizes, axes = self.ops.concat([size.height, size.width], 0), self.integers(2, 3)
        return self.ops.interpolate(planes, sizes, "linear_onnx", "sizes", axes=axes)


def _halved(x: Tensor, axis: int) -> Tensor:
    """Even channels of an axis first, then the odd ones: pairs that turn are then half a head apart."""
    even, odd = x.unflatten(axis, (-1, 2)).unbind(axis + 1)
    return torch.cat((even, odd), dim=axis)
