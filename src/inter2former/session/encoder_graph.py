"""TinyViT as a graph of OpenVINO, written operation by operation for images of any size.

Written out rather than traced or exported, because that needs no further package and no run of the network, leaves
height and width open, and lets tokens stay in rows (height, width, channels) from end to end: 0.94 s -> 0.82 s at 1024
pixels on two cores against a graph that follows the modules' own memory order.

OpenVINO is optional; nothing of it is imported before a graph is asked for.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from inter2former.config import STRIDE
from inter2former.model.tiny_vit import MBConv, PatchMerging, TinyViT, WindowAttention, WindowBlock

__all__ = ["encoder_graph"]

Node: TypeAlias = Any
"""An operation of the graph; OpenVINO's own type is not there where OpenVINO is not."""

_STRIPS = 4
"""Into so many the widest maps are cut: 128 MB in use while an image of 1024 x 1024 is encoded, uncut 224 MB."""

_OPERATIONS = "openvino.opset13"
"""The oldest set of operations that has attention as one."""


def encoder_graph(encoder: TinyViT) -> Any:  # noqa: ANN401 - an openvino.Model
    """Write an encoder as a graph.

    Args:
        encoder: with its weights, which the graph copies.
    Returns:
        an `openvino.Model` of one input, (1, H, W, 3) float32 with H and W multiples of 16, whose outputs are the image
        embedding and the finer maps of `ImageFeatures`, channels last: (1, H/16, W/16, 256), (1, H/2, W/2, 32),
        (1, H/4, W/4, 64) and (1, H/8, W/8, 128).
    Raises:
        ImportError: there is no OpenVINO.
    """
    library, graph = importlib.import_module("openvino"), _Graph(importlib.import_module(_OPERATIONS))
    image = graph.ops.parameter([1, -1, -1, 3], np.float32, name="image")
    outputs = graph.encoder(encoder, image)
    return library.Model([graph.ops.result(output) for output in outputs], [image], "image encoder")


@dataclass(frozen=True, slots=True)
class _Grid:
    """A map's height and width, which are known when the graph runs: each a node of shape (1,)."""

    height: Node
    width: Node


@dataclass(frozen=True, slots=True)
class _Graph:
    """The layers as operations. Maps are (1, H, W, C) unless a name says `planes`: these are (1, C, H, W)."""

    ops: ModuleType

    def encoder(self, encoder: TinyViT, image: Node) -> list[Node]:
        half = self._gelu(self._convolution(encoder.stem_in, self._planes(image)))
        planes = self._convolution(encoder.stem_out, half)
        for layer in encoder.local_stage:
            assert isinstance(layer, MBConv)
            planes = self._inverted_bottleneck(layer, planes, self._grid(image, STRIDE // 4).height)
        first, *later = (merge for merge in encoder.merges if isinstance(merge, PatchMerging))
        eighth = self._merge(first, planes)
        skips = [self._rows(maps) for maps in (half, planes, eighth)]
        x, grid = skips[-1], self._grid(image, STRIDE // 2)
        for index, stage in enumerate(encoder.window_stages):
            assert isinstance(stage, nn.Sequential)
            for block in stage:
                assert isinstance(block, WindowBlock)
                x = self._block(block, x, grid)
            if index < len(later):
                x, grid = self._rows(self._merge(later[index], self._planes(x))), self._grid(image, STRIDE)
        neck = list(encoder.neck)
        for convolution, norm in zip(neck[::2], neck[1::2], strict=True):
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(norm, nn.LayerNorm)
            tokens = self._tokens(self._rows(self._convolution(convolution, self._planes(x))), convolution.out_channels)
            x = self._map(self._norm(norm, tokens), grid, convolution.out_channels)
        return [x, *skips]

    def _inverted_bottleneck(self, layer: MBConv, planes: Node, height: Node) -> Node:
        """In strips of rows, so that the map that is four times as wide never exists as a whole."""
        ops, one = self.ops, self._integers(1)
        bounds = [
            ops.divide(ops.multiply(height, self._integers(n)), self._integers(_STRIPS)) for n in range(_STRIPS + 1)
        ]
        strips = []
        for number in range(_STRIPS):
            first, last = number == 0, number == _STRIPS - 1
            top, bottom = bounds[number], bounds[number + 1]
            # One more row above and below goes into the 3x3, except where the map ends.
            above = top if first else ops.subtract(top, one)
            below = bottom if last else ops.add(bottom, one)
            wide = self._gelu(self._convolution(layer.expand, self._strip(planes, above, below)))
            wide = self._convolution(layer.depthwise, wide, above=int(first), below=int(last))
            narrow = self._convolution(layer.reduce, self._gelu(wide))
            strips.append(self._gelu(ops.add(self._strip(planes, top, bottom), narrow)))
        return ops.concat(strips, 2)

    def _strip(self, planes: Node, top: Node, bottom: Node) -> Node:
        return self.ops.slice(planes, top, bottom, self._integers(1), self._integers(2))

    def _merge(self, layer: PatchMerging, planes: Node) -> Node:
        wide = self._gelu(self._convolution(layer.expand, planes))
        return self._convolution(layer.mix, self._gelu(self._convolution(layer.depthwise, wide)))

    def _block(self, block: WindowBlock, x: Node, grid: _Grid) -> Node:
        width = block.narrow.out_features
        x = self.ops.add(x, self._attend(block, x, grid))
        tokens = self._tokens(self._rows(self._convolution(block.depthwise, self._planes(x))), width)
        wide = self._gelu(self._linear(block.widen, self._norm(block.norm, tokens)))
        return self._map(self.ops.add(tokens, self._linear(block.narrow, wide)), grid, width)

    def _attend(self, block: WindowBlock, x: Node, grid: _Grid) -> Node:
        """Attention in windows; the map is padded with zeros to whole ones, as `WindowBlock` pads it."""
        ops, side, width = self.ops, block.window, block.attention.project.out_features
        none, whole = self._integers(0), _Grid(*(self._whole(length, side) for length in (grid.height, grid.width)))
        missing = [ops.subtract(whole.height, grid.height), ops.subtract(whole.width, grid.width)]
        begin, end = self._integers(0, 0, 0, 0), ops.concat([none, *missing, none], 0)
        x = ops.pad(x, begin, end, "constant", ops.constant(np.float32(0)))
        rows = ops.divide(whole.height, self._integers(side))
        x = ops.reshape(x, ops.concat([rows, self._integers(side, -1, side, width)], 0), False)
        windows = self._permuted(x, 0, 2, 1, 3, 4)
        attended = self._attention(block.attention, ops.reshape(windows, self._integers(-1, side * side, width), False))
        x = ops.reshape(attended, ops.concat([rows, self._integers(-1, side, side, width)], 0), False)
        x = self._map(self._permuted(x, 0, 2, 1, 3, 4), whole, width)
        size = ops.concat([grid.height, grid.width], 0)
        return ops.slice(x, self._integers(0, 0), size, self._integers(1, 1), self._integers(1, 2))

    def _attention(self, layer: WindowAttention, windows: Node) -> Node:
        """Windows (N, L, C) to the same shape. Query, key and value come from three products: no copy parts them."""
        ops, packed = self.ops, layer.query_key_value
        length, width = len(layer.offset_index), packed.in_features
        parts = (layer.heads, 3, width // layer.heads)  # per head the layout is query, key, value
        weights, biases = packed.weight.unflatten(0, parts), packed.bias.unflatten(0, parts)
        normal, heads = self._norm(layer.norm, windows), self._integers(-1, length, layer.heads, parts[-1])
        query, key, value = (
            self._permuted(
                ops.reshape(
                    self._product(normal, weights[:, part].flatten(0, 1), biases[:, part].flatten()), heads, False
                ),
                *(0, 2, 1, 3),
            )
            for part in range(3)
        )
        bias = self._constant(layer.offset_bias[:, layer.offset_index][None])
        attended = self._permuted(ops.scaled_dot_product_attention(query, key, value, bias), 0, 2, 1, 3)
        return self._linear(layer.project, ops.reshape(attended, self._integers(-1, length, width), False))

    def _convolution(
        self, layer: nn.Conv2d, planes: Node, *, above: int | None = None, below: int | None = None
    ) -> Node:
        """A convolution; `above` and `below` are rows of zeros, where they differ from the layer's own."""
        ops, weight = self.ops, layer.weight
        rows, columns = (int(cells) for cells in layer.padding)
        begin, end = ([rows if given is None else given, columns] for given in (above, below))
        space = (list(layer.stride), begin, end, [1, 1])
        if layer.groups == 1:
            planes = ops.convolution(planes, self._constant(weight), *space)
        else:
            planes = ops.group_convolution(planes, self._constant(weight.unflatten(0, (layer.groups, -1))), *space)
        return planes if layer.bias is None else ops.add(planes, self._constant(layer.bias[None, :, None, None]))

    def _linear(self, layer: nn.Linear, x: Node) -> Node:
        return self._product(x, layer.weight, layer.bias)

    def _product(self, x: Node, weight: Tensor, bias: Tensor) -> Node:
        return self.ops.add(self.ops.matmul(x, self._constant(weight), False, True), self._constant(bias))

    def _norm(self, layer: nn.LayerNorm, tokens: Node) -> Node:
        # Over tokens (N, L, C) it is one kernel; over maps (1, H, W, C) it would be five.
        normal = self.ops.mvn(tokens, np.array([-1]), True, layer.eps, "INSIDE_SQRT")
        return self.ops.add(self.ops.multiply(normal, self._constant(layer.weight)), self._constant(layer.bias))

    def _gelu(self, x: Node) -> Node:
        return self.ops.gelu(x, "ERF")

    def _grid(self, image: Node, stride: int) -> _Grid:
        shape = self.ops.shape_of(image)
        sides = (self.ops.gather(shape, self._integers(axis), self.ops.constant(np.int64(0))) for axis in (1, 2))
        return _Grid(*(self.ops.divide(side, self._integers(stride)) for side in sides))

    def _whole(self, length: Node, side: int) -> Node:
        """The next multiple of `side`."""
        windows = self.ops.divide(self.ops.add(length, self._integers(side - 1)), self._integers(side))
        return self.ops.multiply(windows, self._integers(side))

    def _tokens(self, x: Node, width: int) -> Node:
        return self.ops.reshape(x, self._integers(1, -1, width), False)

    def _map(self, x: Node, grid: _Grid, width: int) -> Node:
        shape = self.ops.concat([self._integers(1), grid.height, grid.width, self._integers(width)], 0)
        return self.ops.reshape(x, shape, False)

    def _planes(self, x: Node) -> Node:
        return self._permuted(x, 0, 3, 1, 2)

    def _rows(self, planes: Node) -> Node:
        return self._permuted(planes, 0, 2, 3, 1)

    def _permuted(self, x: Node, *order: int) -> Node:
        return self.ops.transpose(x, self._integers(*order))

    def _integers(self, *values: int) -> Node:
        return self.ops.constant(np.array(values, np.int64))

    def _constant(self, values: Tensor) -> Node:
        array: NDArray[np.float32] = values.detach().float().cpu().contiguous().numpy()
        return self.ops.constant(array)
