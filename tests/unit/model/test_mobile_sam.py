"""MobileSAM on random weights: what goes in, what comes out, what is refused."""

from __future__ import annotations

import pytest
import torch

from inter2former.config import TinyViTConfig
from inter2former.model.mobile_sam import MobileSam
from inter2former.model.sam_decoder import NO_POINT

TINY = TinyViTConfig(widths=(16, 16, 16, 16), depths=(1, 1, 1, 1), windows=(2, 2, 2), heads=(1, 1, 1), embedding=16)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return MobileSam(TINY).requires_grad_(False)


def test_sizes(network):
    embedding = network.encode(torch.randn(2, 3, 64, 64))
    assert embedding.shape == (2, 16, 4, 4)
    logits, scores = network.decode(embedding, torch.rand(2, 3, 2), torch.ones(2, 3, dtype=torch.int64))
    assert logits.shape == (2, 4, 16, 16)
    assert scores.shape == (2, 4)


def test_a_point_that_is_none_follows_the_clicks(network):
    embedding, points, labels = torch.randn(1, 16, 4, 4), torch.rand(1, 2, 2), torch.tensor([[1, 0]])
    padded = torch.cat((points, torch.full((1, 1, 2), 7.0)), dim=1), torch.tensor([[1, 0, NO_POINT]])
    expected = network.decoder(embedding, network.prompt_encoder((4, 4), *padded))
    for one, other in zip(network.decode(embedding, points, labels), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_the_previous_answer_matters(network):
    embedding, points, labels = torch.randn(1, 16, 4, 4), torch.rand(1, 1, 2), torch.tensor([[1]])
    logits, _ = network.decode(embedding, points, labels)
    again, _ = network.decode(embedding, points, labels, logits[:, :1])
    assert float((again - logits).abs().max()) > 1e-4


@pytest.mark.parametrize(
    ("points", "labels", "previous", "message"),
    [
        ((1, 2, 3), (1, 2), None, r"points are \(1, 2, 3\) and labels \(1, 2\); wanted \(1, N, 2\) and \(1, N\)"),
        ((1, 2, 2), (1, 3), None, r"points are \(1, 2, 2\) and labels \(1, 3\)"),
        ((2, 1, 2), (2, 1), None, r"points are \(2, 1, 2\) and labels \(2, 1\); wanted \(1, N, 2\)"),
        ((1, 2, 2), (1, 2), (1, 1, 8, 8), r"previous is \(1, 1, 8, 8\), wanted \(1, 1, 16, 16\)"),
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(network, points, labels, previous, message):
    previous = None if previous is None else torch.zeros(previous)
    with pytest.raises(ValueError, match=message):
        network.decode(torch.zeros(1, 16, 4, 4), torch.zeros(points), torch.zeros(labels, dtype=torch.int64), previous)
