"""TinyViT as a graph of OpenVINO, operation by operation, for images of any size.

It differs from the module where that pays. Tokens stay in rows (height, width, channels) from end to end: 0.94 s ->
0.82 s at 1024 pixels on two cores against a graph that follows the module's own memory order.
"""

from __future__ import annotations

import numpy as np
from torch import nn

from inter2former.config import STRIDE
from inter2former.model.tiny_vit import MBConv, PatchMerging, TinyViT, WindowAttention, WindowBlock
from inter2former.session.graph_layers import Grid, Layers, Node

__all__ = ["TinyViTGraph"]

_STRIPS = 4
"""Into so many the widest maps are cut: 128 MB in use while an image of 1024 x 1024 is encoded, uncut 224 MB."""


class TinyViTGraph(Layers):
    """The layers of a TinyViT."""

    def encoder(self, encoder: TinyViT, image: Node) -> list[Node]:
        """The embedding, a map; and the finer maps as planes, fine to coarse."""
        half = self.gelu(self.convolution(encoder.stem_in, self.planes(image)))
        planes = self.convolution(encoder.stem_out, half)
        for layer in encoder.local_stage:
            assert isinstance(layer, MBConv)
            planes = self._inverted_bottleneck(layer, planes, self.grid(image, STRIDE // 4).height)
        first, *later = (merge for merge in encoder.merges if isinstance(merge, PatchMerging))
        eighth = self._merge(first, planes)
        x, grid = self.rows(eighth), self.grid(image, STRIDE // 2)
        for index, stage in enumerate(encoder.window_stages):
            assert isinstance(stage, nn.Sequential)
            for block in stage:
                assert isinstance(block, WindowBlock)
                x = self._block(block, x, grid)
            if index < len(later):
                x, grid = self.rows(self._merge(later[index], self.planes(x))), self.grid(image, STRIDE)
        neck = list(encoder.neck)
        for convolution, norm in zip(neck[::2], neck[1::2], strict=True):
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(norm, nn.LayerNorm)
            tokens = self.tokens(self.rows(self.convolution(convolution, self.planes(x))), convolution.out_channels)
            x = self.map(self.norm(norm, tokens), grid, convolution.out_channels)
        return [x, half, planes, eighth]

    def _inverted_bottleneck(self, layer: MBConv, planes: Node, height: Node) -> Node:
        """In strips of rows, so that the map that is four times as wide never exists as a whole."""
        ops, one = self.ops, self.integers(1)
        bounds = [
            ops.divide(ops.multiply(height, self.integers(n)), self.integers(_STRIPS)) for n in range(_STRIPS + 1)
        ]
        strips = []
        for number in range(_STRIPS):
            first, last = number == 0, number == _STRIPS - 1
            top, bottom = bounds[number], bounds[number + 1]
            # One more row above and below goes into the 3x3, except where the map ends.
            above = top if first else ops.subtract(top, one)
            below = bottom if last else ops.add(bottom, one)
            wide = self.gelu(self.convolution(layer.expand, self._strip(planes, above, below)))
            wide = self.convolution(layer.depthwise, wide, above=int(first), below=int(last))
            narrow = self.convolution(layer.reduce, self.gelu(wide))
            strips.append(self.gelu(ops.add(self._strip(planes, top, bottom), narrow)))
        return ops.concat(strips, 2)

    def _strip(self, planes: Node, top: Node, bottom: Node) -> Node:
        return self.ops.slice(planes, top, bottom, self.integers(1), self.integers(2))

    def _merge(self, layer: PatchMerging, planes: Node) -> Node:
        wide = self.gelu(self.convolution(layer.expand, planes))
        return self.convolution(layer.mix, self.gelu(self.convolution(layer.depthwise, wide)))

    def _block(self, block: WindowBlock, x: Node, grid: Grid) -> Node:
        width = block.narrow.out_features
        x = self.ops.add(x, self._attend(block, x, grid))
        tokens = self.tokens(self.rows(self.convolution(block.depthwise, self.planes(x))), width)
        wide = self.gelu(self.linear(block.widen, self.norm(block.norm, tokens)))
        return self.map(self.ops.add(tokens, self.linear(block.narrow, wide)), grid, width)

    def _attend(self, block: WindowBlock, x: Node, grid: Grid) -> Node:
        """Attention in windows; the map is padded with zeros to whole ones, as `WindowBlock` pads it."""
        ops, side, width = self.ops, block.window, block.attention.project.out_features
        none, whole = self.integers(0), Grid(*(self.whole(length, side) for length in (grid.height, grid.width)))
        missing = [ops.subtract(whole.height, grid.height), ops.subtract(whole.width, grid.width)]
        begin, end = self.integers(0, 0, 0, 0), ops.concat([none, *missing, none], 0)
        x = ops.pad(x, begin, end, "constant", ops.constant(np.float32(0)))
        rows = ops.divide(whole.height, self.integers(side))
        x = ops.reshape(x, ops.concat([rows, self.integers(side, -1, side, width)], 0), False)
        windows = self.permuted(x, 0, 2, 1, 3, 4)
        attended = self._attention(block.attention, ops.reshape(windows, self.integers(-1, side * side, width), False))
        x = ops.reshape(attended, ops.concat([rows, self.integers(-1, side, side, width)], 0), False)
        x = self.map(self.permuted(x, 0, 2, 1, 3, 4), whole, width)
        size = ops.concat([grid.height, grid.width], 0)
        return ops.slice(x, self.integers(0, 0), size, self.integers(1, 1), self.integers(1, 2))

    def _attention(self, layer: WindowAttention, windows: Node) -> Node:
        """Windows (N, L, C) to the same shape. Query, key and value come from three products: no copy parts them."""
        ops, packed = self.ops, layer.query_key_value
        length, width = len(layer.offset_index), packed.in_features
        parts = (layer.heads, 3, width // layer.heads)  # per head the layout is query, key, value
        weights, biases = packed.weight.unflatten(0, parts), packed.bias.unflatten(0, parts)
        normal, heads = self.norm(layer.norm, windows), self.integers(-1, length, layer.heads, parts[-1])
        query, key, value = (
            self.permuted(
                ops.reshape(
                    self.product(normal, weights[:, part].flatten(0, 1), biases[:, part].flatten()), heads, False
                ),
                *(0, 2, 1, 3),
            )
            for part in range(3)
        )
        bias = self.constant(layer.offset_bias[:, layer.offset_index][None])
        attended = self.permuted(ops.scaled_dot_product_attention(query, key, value, bias), 0, 2, 1, 3)
        return self.linear(layer.project, ops.reshape(attended, self.integers(-1, length, width), False))
