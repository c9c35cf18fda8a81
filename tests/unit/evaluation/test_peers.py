"""Peers are timed stage by stage; one that cannot be made is named with its reason."""

from __future__ import annotations

import pytest
import torch

from inter2former.errors import MissingPackageError
from inter2former.evaluation.peers import measure_peers, mobile_sam_peers, transformers_peers
from inter2former.evaluation.segmenters.sam_family import SamSegmenter, padded_frame
from inter2former.evaluation.segmenters.transformers_sam import RANDOM


class Counting(SamSegmenter):
    """Counts encodings and decodings, and remembers how many points the decodings had."""

    def __init__(self):
        super().__init__(32)
        self.encodings, self.decodings = 0, []

    def fit(self, width, height):
        return padded_frame(width, height, self.size)

    def encode_pixels(self, pixels):
        assert pixels.shape == (1, 3, 32, 32)
        self.encodings += 1

    def decode(self, points, labels, previous, *, ambiguous):
        assert points.shape == (len(labels), 2)
        self.decodings.append(len(points))
        return torch.zeros(1, 1, 8, 8)


def unavailable():
    raise MissingPackageError("this peer needs the package nonesuch")


class Failing(Counting):
    """A runtime that refuses its graph."""

    def encode_pixels(self, pixels):
        raise RuntimeError("no such operation: Split\nand a page of details")


def test_every_stage_is_measured(photo):
    peer = Counting()
    peers = {"one": lambda: peer, "other": unavailable, "third": Failing}
    times, missing = measure_peers(peers, photo(20, 30), repeats=2)
    assert list(times) == ["one"]
    assert missing == {
        "other": "this peer needs the package nonesuch",
        "third": "it failed with RuntimeError: no such operation: Split",
    }
    assert peer.encodings == 1 + 2 * 3  # once at first, then "encode" and "encoder" in each of three rounds
    assert peer.decodings == [1] + [1, 2, 3, 3] * 3  # per round a session of three clicks, and the third alone
    for latency in (times["one"].encode, times["one"].encoder, times["one"].click, times["one"].decoder):
        assert latency.repeats == 2
        assert latency.median > 0


def test_naming_peers_builds_none():
    assert list(mobile_sam_peers("nowhere")) == [
        "MobileSAM, torch",
        "MobileSAM, ONNX Runtime",
        "MobileSAM, OpenVINO",
        "MobileSAM, OpenVINO, bf16",
    ]


@pytest.mark.parametrize(("has_it", "suffix"), [(True, ", bf16"), (False, "")])
def test_bfloat16_is_for_processors_that_have_it(monkeypatch, has_it, suffix):
    monkeypatch.setattr("inter2former.evaluation.peers.multiplies_bfloat16", lambda: has_it)
    assert list(transformers_peers()) == [f"{name}, torch{suffix}" for name in RANDOM]
