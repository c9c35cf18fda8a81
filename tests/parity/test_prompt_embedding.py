"""The dense prompt embedding, its box and its strided convolutions equal the stored ones."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from inter2former.model.boxes import prompt_box
from inter2former.model.prompt_embedding import PatchConvolution, PromptEmbedding


def test_embedding_and_background(load_fixture, cases, weights, renamed, tensor, within):
    tensors, description = load_fixture("dpe")
    check = within(description)
    embedding = PromptEmbedding(tuple(description["config"]["ref_dims"]), border="zero")
    embedding.load_state_dict(renamed(weights(tensors), "neck.", "prompt_embedding."))
    assert embedding.stride == description["config"]["stride"]
    assert cases(tensors)
    with torch.no_grad():
        check(embedding.background(), tensors["back_embed"], "background")
        for case in cases(tensors):
            check(embedding(tensor(tensors[f"{case}.ref_label"])), tensors[f"{case}.ref_embed"], case)


def test_box(load_fixture, cases, tensor):
    tensors, description = load_fixture("dpe")
    stride = description["config"]["stride"]
    for case in cases(tensors):
        for reference_map, stored in zip(tensors[f"{case}.ref_label"], tensors[f"{case}.box"], strict=True):
            box = prompt_box(tensor(reference_map[0]), stride=stride)
            np.testing.assert_array_equal(box.scaled(stride), stored, err_msg=case)


def test_strided_convolutions(load_fixture, weights, tensor, within):
    tensors, description = load_fixture("patch_conv")
    check, config = within(description), description["config"]
    convolution = PatchConvolution(config["in_dim"], tuple(config["dims"]), strides=tuple(config["strides"]))
    convolution.load_state_dict({key.removeprefix("stem."): value for key, value in weights(tensors).items()})
    with torch.no_grad():
        check(convolution(tensor(tensors["x"])), tensors["out"], "out")
        size = [side * int(np.prod(config["strides"])) for side in config["target_hw"]]
        resized = F.interpolate(tensor(tensors["x2"]), size=size, mode="area")
        check(convolution(resized), tensors["out_t"], "out_t")
