"""The edge maps and the planes below them equal the stored ones."""

from __future__ import annotations

import torch

from inter2former.config import PIXEL_MEAN, PIXEL_STD, EdgeConfig
from inter2former.model.edge_encoder import EdgeEncoder


def test_planes_and_edge_maps(load_fixture, weights, renamed, tensor, within):
    tensors, description = load_fixture("canny_net")
    check, config = within(description), description["config"]
    levels = sum(key.startswith("out") for key in tensors)
    encoder = EdgeEncoder(EdgeConfig(planes="canny", depths=(config["depth"],) * levels, skips=(0,) * levels))
    encoder.load_state_dict(renamed(weights(tensors), "edge_detector.", "edge_encoder."))
    assert (tuple(config["mean"]), tuple(config["std"])) == (PIXEL_MEAN, PIXEL_STD)
    image = tensor(tensors["x"])
    with torch.no_grad():
        check(encoder.planes(image), tensors["canny_maps_normalised"], "planes")
        maps = encoder(image)
    assert len(maps) == levels
    for level, edges in enumerate(maps):
        check(edges, tensors[f"out{level}"], f"out{level}")
