"""Image encoders as graphs of OpenVINO, for images of any size."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from inter2former.model.edge_terms import SkipNet
from inter2former.model.image_encoder import ImageEncoder
from inter2former.model.tiny_vit import TinyViT
from inter2former.session.graph_layers import Layers
from inter2former.session.tiny_vit_graph import TinyViTGraph
from inter2former.session.windowed_vit_graph import WindowedViTGraph

__all__ = ["encoder_graph"]


def encoder_graph(encoder: ImageEncoder, nets: Sequence[SkipNet] = ()) -> Any:  # noqa: ANN401 - an openvino.Model
    """Write an encoder as a graph.

    Args:
        encoder: with its weights, which the graph copies.
        nets: what its finer maps go through, one for each, fine to coarse; none: they are outputs themselves.
    Returns:
        an `openvino.Model` of one input, (1, H, W, 3) float32 with H and W multiples of 16, whose outputs are the image
        embedding, channels last: (1, H/16, W/16, 256); and, fine to coarse, what the nets make of the finer maps,
        channels first, or these maps, channels last, as `ImageFeatures` has them otherwise.
    Raises:
        ImportError: there is no OpenVINO.
    """
    layers = Layers()
    image = layers.ops.parameter([1, -1, -1, 3], np.float32, name="image")
    if isinstance(encoder, TinyViT):
        embedding, *finer = TinyViTGraph().encoder(encoder, image)
    else:
        embedding, finer = WindowedViTGraph().encoder(encoder, image), []
    if nets:
        shares = [
            layers.chain(net.convolutions, planes, ones=net.ones) for net, planes in zip(nets, finer, strict=True)
        ]
    else:
        shares = [layers.rows(planes) for planes in finer]
    results = [layers.ops.result(output) for output in (embedding, *shares)]
    return importlib.import_module("openvino").Model(results, [image], "image encoder")
