"""MobileSAM behind the harness: random weights, and decoders whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inter2former.errors import WeightsError
from inter2former.evaluation.segmenters import mobile_sam
from inter2former.evaluation.segmenters.mobile_sam import MobileSamSegmenter
from inter2former.prompt import Click


@pytest.fixture
def segmenter(monkeypatch):
    monkeypatch.setattr(mobile_sam, "load_mobile_sam", lambda network, path: None)
    torch.manual_seed(0)
    return MobileSamSegmenter("random", size=64)


def test_the_same_calls_give_the_same_masks(segmenter, photo):
    clicks = [Click(30, 20), Click(5, 5, False), Click(60, 40)]
    segmenter.encode(photo(45, 70))
    first = [segmenter.step(click).logits() for click in clicks]
    segmenter.reset()
    second = [segmenter.step(click).logits() for click in clicks]
    segmenter.encode(photo(45, 70))
    third = [segmenter.step(click).logits() for click in clicks]
    for one, other, again in zip(first, second, third, strict=True):
        assert one.shape == (45, 70)
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, again)
    assert np.abs(first[1] - first[0]).max() > 1e-4


def test_first_the_best_of_the_ambiguous_masks_then_the_single_one(segmenter, photo, monkeypatch):
    def decode(embedding, points, labels, previous):
        # The single mask has the best score of all, mask 2 the best of the other three.
        return torch.arange(4.0).view(1, 4, 1, 1).expand(1, 4, 16, 16) + 1, torch.tensor([[0.9, 0.2, 0.5, 0.1]])

    monkeypatch.setattr(segmenter.network, "decode", decode)
    segmenter.encode(photo(64, 64))
    assert float(segmenter.step(Click(1, 1)).logits().max()) == 3
    assert float(segmenter.step(Click(2, 2)).logits().max()) == 1


@pytest.mark.parametrize("size", [0, 40, 8192])
def test_sizes_that_the_encoder_does_not_take_are_refused(size):
    with pytest.raises(ValueError, match=f"size is {size}; it must be a multiple of 16 in"):
        MobileSamSegmenter("unused", size=size)


def test_weights_that_are_not_there_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"no weights at .*sam\.safetensors"):
        MobileSamSegmenter(tmp_path / "sam.safetensors")
