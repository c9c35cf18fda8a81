"""MobileSAM as ONNX graphs: the same answers as under torch, in every runtime that is installed."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from inter2former.config import TinyViTConfig
from inter2former.errors import MissingPackageError
from inter2former.evaluation.segmenters.mobile_sam_graphs import (
    GraphSegmenter,
    MobileSamGraphs,
    OnnxRuntime,
    OpenVino,
    export_mobile_sam,
    export_network,
)
from inter2former.evaluation.segmenters.sam_family import SamSegmenter, padded_frame
from inter2former.model.mobile_sam import MobileSam
from inter2former.model.sam_decoder import SINGLE_MASK
from inter2former.prompt import Click

TINY = TinyViTConfig(widths=(16, 16, 16, 16), depths=(1, 1, 1, 1), windows=(2, 2, 2), heads=(1, 1, 1), embedding=16)
SIZE = 64


class Torch(SamSegmenter):
    """The same network under torch, small enough for a test."""

    def __init__(self, network):
        super().__init__(SIZE)
        self.network = network

    def fit(self, width, height):
        return padded_frame(width, height, self.size)

    def encode_pixels(self, pixels):
        self.embedding = self.network.encode(pixels)

    def decode(self, points, labels, previous, *, ambiguous):
        logits, scores = self.network.decode(self.embedding, points[None], labels[None], previous)
        chosen = 1 + int(scores[0, 1:].argmax()) if ambiguous else SINGLE_MASK
        return logits[:, chosen : chosen + 1]


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MobileSam(TINY).requires_grad_(False)


@pytest.fixture(scope="module")
def graphs(network):
    pytest.importorskip("onnx", reason="onnx is not installed; pip install -e '.[peers]' brings it")
    return export_network(network, size=SIZE)


@pytest.mark.parametrize(
    ("package", "runtime"), [("onnxruntime", OnnxRuntime(threads=1)), ("openvino", OpenVino(threads=1))]
)
def test_a_session_equals_that_under_torch(network, graphs, photo, package, runtime):
    pytest.importorskip(package, reason=f"{package} is not installed; pip install -e '.[peers]' brings it")
    graph, reference = GraphSegmenter(graphs, runtime), Torch(network)
    for each in (graph, reference):
        each.encode(photo(40, 90))
    for click in (Click(50, 20), Click(2, 3, False), Click(80, 30), Click(60, 5, False)):
        expected = reference.step(click).logits()
        # Sums of some hundred products in another order, fed back from click to click.
        np.testing.assert_allclose(graph.step(click).logits(), expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    graph.reset()
    reference.reset()
    for click in (Click(10, 10), Click(20, 20)):
        expected = reference.step(click).logits()
        np.testing.assert_allclose(graph.step(click).logits(), expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_openvino_in_bfloat16_is_close(network, graphs, photo):
    pytest.importorskip("openvino", reason="openvino is not installed; pip install -e '.[peers]' brings it")
    graph, reference = GraphSegmenter(graphs, OpenVino(threads=1, precision="bfloat16")), Torch(network)
    answers = []
    for each in (graph, reference):
        each.encode(photo(64, 64))
        answers.append(each.step(Click(30, 30)).logits())
    # 8 bits of mantissa through some fifty layers, relative to the largest logit.
    assert float(np.abs(answers[0] - answers[1]).max()) < 0.2 * float(np.abs(answers[1]).max())


@pytest.mark.parametrize("runtime", [OnnxRuntime(), OpenVino()])
def test_a_missing_runtime_is_named(monkeypatch, runtime):
    def import_module(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(MissingPackageError, match=r"needs the package (onnxruntime|openvino) .*inter2former\[peers\]"):
        GraphSegmenter(MobileSamGraphs(SIZE, b"", b""), runtime)


@pytest.mark.parametrize("size", [0, 40])
def test_sizes_that_the_encoder_does_not_take_are_refused(size):
    with pytest.raises(ValueError, match=f"size is {size}; it must be a positive multiple of 16"):
        export_mobile_sam("unused", size=size)
