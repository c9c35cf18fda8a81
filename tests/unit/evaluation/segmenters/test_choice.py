"""Segmenters by name; each factory is a value that can be sent to another process."""

from __future__ import annotations

import pickle

import pytest

from inter2former.errors import WeightsError
from inter2former.evaluation.segmenters.choice import MobileSamFactory, TransformersFactory, segmenter_factory
from inter2former.evaluation.segmenters.ours import OurSegmenterFactory

OPTIONS = {"preset": "inter2former-t", "weights": None, "size": 512}


def test_names():
    ours = segmenter_factory("ours", **{**OPTIONS, "weights": "w"}, device="cuda", embeddings="kept", encoder="auto")
    assert ours == OurSegmenterFactory("inter2former-t", "w", 512, "cuda", "kept", "auto", "float32")
    assert segmenter_factory("mobilesam:a:b", **OPTIONS) == MobileSamFactory("a:b", 512)
    assert segmenter_factory("transformers:random:sam-vit-b", **OPTIONS) == TransformersFactory("random:sam-vit-b")


def test_what_the_header_says(tmp_path):
    assert MobileSamFactory("f", 64).settings == {"size": 64}
    assert MobileSamFactory("f").name == "mobilesam"
    assert TransformersFactory("sam").name == "transformers:sam"
    assert TransformersFactory(str(tmp_path)).weights_hash() == ""
    (tmp_path / "model.safetensors").write_bytes(b"one")
    one = TransformersFactory(str(tmp_path)).weights_hash()
    (tmp_path / "more.safetensors").write_bytes(b"two")
    assert len({one, TransformersFactory(str(tmp_path)).weights_hash(), ""}) == 3


def test_factories_can_be_sent():
    for factory in (MobileSamFactory("f"), TransformersFactory("t"), OurSegmenterFactory()):
        assert pickle.loads(pickle.dumps(factory)) == factory


def test_refusals(tmp_path):
    for model in ("sam", "mobilesam", "mobilesam:", "transformers:", "OURS"):
        with pytest.raises(ValueError, match=f"unknown model '{model}'; expected ours, mobilesam:FILE"):
            segmenter_factory(model, **OPTIONS)
    options = {"weights": "w", "embeddings": "e", "device": "cuda", "encoder": "openvino", "precision": "bfloat16"}
    for option, value in options.items():
        with pytest.raises(ValueError, match=f"--{option} is for our own network"):
            segmenter_factory("mobilesam:f", **{**OPTIONS, option: value})
    with pytest.raises(WeightsError, match="absent"):
        MobileSamFactory(str(tmp_path / "absent")).weights_hash()
