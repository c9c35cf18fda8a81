"""What bfloat16 in the image encoder costs in quality, evaluated on a machine that need not have it.

    inter2former evaluate DATASET --out runs/float32
    python bench/bfloat16.py DATASET --out runs/bfloat16
    inter2former evaluate --compare runs/float32 runs/bfloat16

Evaluates the network with the weights of whatever OpenVINO runs, and what each of these operations gives, rounded to
bfloat16 (sums in float32, as processors do it): the image encoder and what its finer maps go through on their way into
the edge terms; the rest is float32. With `--encoder-only` first, the image encoder alone. Other options are those of
`inter2former evaluate`. One process: others would not round. Several shards side by side, joined by `--merge`, use more
cores.
"""

from __future__ import annotations

import sys
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from inter2former.cli.__main__ import main as inter2former
from inter2former.kernels import reference_only
from inter2former.model.edge_terms import skip_terms
from inter2former.model.image_features import ImageFeatures
from inter2former.session.engine import Engine

aten = torch.ops.aten
# As they arrive in inference mode, before PyTorch takes them apart.
ROUNDED = {
    aten.conv2d.default,
    aten.linear.default,
    aten.gelu.default,
    aten.add.Tensor,
    aten.layer_norm.default,
    aten.scaled_dot_product_attention.default,
}


class Rounding(TorchDispatchMode):
    """Rounds the results of everything that computes; what only moves numbers needs no rounding."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func not in ROUNDED:
            return out
        return tuple(map(rounded, out)) if isinstance(out, tuple) else rounded(out)


def rounded(value):
    is_float = isinstance(value, torch.Tensor) and value.dtype == torch.float32
    return value.bfloat16().float() if is_float else value


def rounded_net(net):
    layers = (layer._replace(weight=rounded(layer.weight), bias=rounded(layer.bias)) for layer in net.convolutions)
    return net._replace(convolutions=tuple(layers))


class RoundedEngine(Engine):
    """An engine whose image encoder computes as if in bfloat16."""

    @classmethod
    def load(cls, *arguments, **options):
        engine = super().load(*arguments, **options)
        for parameter in engine.network.encoder.parameters():
            parameter.data = rounded(parameter.data)
        return engine

    def features(self, pixels):
        with Rounding():
            return super().features(rounded(pixels))


class RoundedGraphEngine(RoundedEngine):
    """As `RoundedEngine`, and the shares that the finer maps have in the edge terms are made likewise."""

    @classmethod
    def load(cls, *arguments, **options):
        engine = super().load(*arguments, **options)
        engine.nets = [rounded_net(net) for net in engine.network.skip_nets]
        return engine

    def features(self, pixels):
        found = super().features(pixels)
        with Rounding(), reference_only():
            return ImageFeatures(found.embedding, shares=skip_terms(self.nets, found.skips))


def main() -> int:
    alone = sys.argv[1:2] == ["--encoder-only"]
    engine, options = (RoundedEngine, sys.argv[2:]) if alone else (RoundedGraphEngine, sys.argv[1:])
    with mock.patch("inter2former.evaluation.segmenters.ours.Engine", engine):
        return inter2former(["evaluate", *options, "--workers", "1"])


if __name__ == "__main__":
    raise SystemExit(main())
