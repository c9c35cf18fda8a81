"""Layers of torch as operations of OpenVINO's graphs.

Written out rather than traced or exported, because that needs no further package and no run of the network, and leaves
open what a module cannot: the size of the image, and the order of numbers in memory.

OpenVINO is optional; nothing of it is imported before a graph is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from inter2former.kernels.reference import Convolution

__all__ = ["Grid", "Layers", "Node"]

Node: TypeAlias = Any
"""An operation of a graph; OpenVINO's own type is not there where OpenVINO is not."""

_OPERATIONS = "openvino.opset13"
"""The oldest set of operations that has attention as one."""


def _operations() -> ModuleType:
    return importlib.import_module(_OPERATIONS)


@dataclass(frozen=True, slots=True)
class Grid:
    """A map's height and width, which are known when the graph runs: each a node of shape (1,)."""

    height: Node
    width: Node


@dataclass(frozen=True, slots=True)
class Layers:
    """Writes layers, and copies their weights.

    Maps are (1, H, W, C) unless a name says `planes`: these are (1, C, H, W). Tokens are (N, L, C).

    Attributes:
        ops: the operations, for whatever is no layer.
    """

    ops: ModuleType = field(default_factory=_operations)

    def convolution(
        self, layer: nn.Conv2d, planes: Node, *, above: int | None = None, below: int | None = None
    ) -> Node:
        """A convolution of planes.

        Args:
            layer: of one group or depth-wise.
            planes: what it sees.
            above: rows of zeros on top, where they are not as many as the layer's own.
            below: rows of zeros at the bottom, likewise.
        """
        ops, weight = self.ops, layer.weight
        rows, columns = (int(cells) for cells in layer.padding)
        begin, end = ([rows if given is None else given, columns] for given in (above, below))
        space = (list(layer.stride), begin, end, [1, 1])
        if layer.groups == 1:
            planes = ops.convolution(planes, self.constant(weight), *space)
        else:
            planes = ops.group_convolution(planes, self.constant(weight.unflatten(0, (layer.groups, -1))), *space)
        return planes if layer.bias is None else self.plus_bias(planes, layer.bias)

    def chain(self, convolutions: Sequence[Convolution], planes: Node, *, ones: bool) -> Node:
        """Convolutions one after the other, as `kernels.convolution_net` does them; stride 1, no activation.

        Args:
            convolutions: node 0 is the map.
            planes: the map.
            ones: it gets a channel of ones.
        """
        ops = self.ops
        for index, convolution in enumerate(convolutions):
            weight, sides = convolution.weight, [convolution.weight.shape[2] // 2] * 2
            space = ([1, 1], sides, sides, [1, 1])
            made = ops.convolution(planes, self.constant(weight[:, : weight.shape[1] - ones]), *space)
            if ones and index == 0:
                # A map with one more channel would be a copy of it, and its channels no multiple of a register.
                made = ops.add(made, ops.convolution(self._ones(planes), self.constant(weight[:, -1:]), *space))
                ones = False
            planes = self.plus_bias(made, convolution.bias)
        return planes

    def plus_bias(self, planes: Node, bias: Tensor) -> Node:
        """Planes with a number (C,) added to each."""
        return self.ops.add(planes, self.constant(bias[None, :, None, None]))

    def linear(self, layer: nn.Linear, x: Node) -> Node:
        """A linear layer over the last axis."""
        return self.product(x, layer.weight, layer.bias)

    def product(self, x: Node, weight: Tensor, bias: Tensor | None) -> Node:
        """As `linear`, of weights (D, C) and a bias (D,)."""
        out = self.ops.matmul(x, self.constant(weight), False, True)
        return out if bias is None else self.ops.add(out, self.constant(bias))

    def norm(self, layer: nn.LayerNorm, tokens: Node, *, less: Tensor | None = None) -> Node:
        """Layer norm of tokens: for these it is one kernel, over maps it would be five.

        Args:
            layer: over channels.
            tokens: what it sees.
            less: (C,), taken away from each result; None: nothing.
        """
        normal = self.ops.mvn(tokens, np.array([-1]), True, layer.eps, "INSIDE_SQRT")
        bias = layer.bias if less is None else layer.bias - less
        return self.ops.add(self.ops.multiply(normal, self.constant(layer.weight)), self.constant(bias))

    def gelu(self, x: Node) -> Node:
        """The exact one, as torch's."""
        return self.ops.gelu(x, "ERF")

    def grid(self, image: Node, stride: int) -> Grid:
        """The grid of a map whose cells are `stride` cells of `image` (1, H, W, C) wide."""
        shape = self.ops.shape_of(image)
        sides = (self.ops.gather(shape, self.integers(axis), self.ops.constant(np.int64(0))) for axis in (1, 2))
        return Grid(*(self.ops.divide(side, self.integers(stride)) for side in sides))

    def whole(self, length: Node, side: int) -> Node:
        """The next multiple of `side`."""
        parts = self.ops.divide(self.ops.add(length, self.integers(side - 1)), self.integers(side))
        return self.ops.multiply(parts, self.integers(side))

    def tokens(self, x: Node, width: int) -> Node:
        """A map of `width` channels as tokens (1, H * W, C)."""
        return self.ops.reshape(x, self.integers(1, -1, width), False)

    def map(self, tokens: Node, grid: Grid, width: int) -> Node:
        """Tokens of `width` channels as a map."""
        shape = self.ops.concat([self.integers(1), grid.height, grid.width, self.integers(width)], 0)
        return self.ops.reshape(tokens, shape, False)

    def planes(self, x: Node) -> Node:
        """A map as planes."""
        return self.permuted(x, 0, 3, 1, 2)

    def rows(self, planes: Node) -> Node:
        """Planes as a map."""
        return self.permuted(planes, 0, 2, 3, 1)

    def permuted(self, x: Node, *order: int) -> Node:
        """The axes of `x` in another order."""
        return self.ops.transpose(x, self.integers(*order))

    def integers(self, *values: int) -> Node:
        """Shapes, axes and orders: (n,) int64."""
        return self.ops.constant(np.array(values, np.int64))

    def constant(self, values: Tensor) -> Node:
        """Weights, in float32."""
        array: NDArray[np.float32] = values.detach().float().cpu().contiguous().numpy()
        return self.ops.constant(array)

    def _ones(self, planes: Node) -> Node:
        """One plane (1, 1, H, W) of ones."""
        sides = self.ops.gather(self.ops.shape_of(planes), self.integers(2, 3), self.ops.constant(np.int64(0)))
        return self.ops.broadcast(self.ops.constant(np.float32(1)), self.ops.concat([self.integers(1, 1), sides], 0))
