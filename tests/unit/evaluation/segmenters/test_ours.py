"""Our network behind the harness answers as `Predictor` does, with or without kept embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from inter2former.checkpoint import file_hash
from inter2former.errors import ImageNotSetError, WeightsError
from inter2former.evaluation.segmenters.ours import OurSegmenterFactory
from inter2former.predictor import Predictor
from inter2former.prompt import Click

CLICKS = [Click(65, 45), Click(20, 10, False), Click(90, 60)]


@pytest.fixture
def factory(random_weights):
    return OurSegmenterFactory(weights=str(random_weights), size=128)


def test_the_answers_are_those_of_the_predictor(factory, random_weights, photo):
    predictor = Predictor(weights=random_weights, size=128, encoder="torch")
    predictor.set_image(photo())
    segmenter = factory.make()
    segmenter.encode(photo())
    for _ in range(2):
        for click in CLICKS:
            answer, expected = segmenter.step(click), predictor.add_click(click.x, click.y, click.positive)
            np.testing.assert_array_equal(answer.mask, expected.mask)
            np.testing.assert_array_equal(answer.logits(), expected.logits)
            assert answer.contradicted == expected.contradicted
        segmenter.reset()
        predictor.reset()


def test_kept_embeddings_give_the_same_answers(factory, photo, tmp_path, monkeypatch):
    keeping = OurSegmenterFactory(weights=factory.weights, size=128, embeddings=str(tmp_path / "kept"))
    answers = []
    for chosen in (factory, keeping, keeping):
        segmenter = chosen.make()
        if len(answers) == 2:
            monkeypatch.setattr(segmenter._engine, "features", lambda image: pytest.fail("it was kept"))
        segmenter.encode(photo())
        answers.append([segmenter.step(click).logits() for click in CLICKS])
    np.testing.assert_array_equal(answers[1], answers[0])
    np.testing.assert_array_equal(answers[2], answers[0])
    (entry,) = (tmp_path / "kept").glob("*/*.safetensors")
    entry.write_bytes(entry.read_bytes()[:-5])
    segmenter = keeping.make()
    segmenter.encode(photo())
    np.testing.assert_array_equal([segmenter.step(click).logits() for click in CLICKS], answers[0])


def test_clicks_need_an_image(factory):
    segmenter = factory.make()
    segmenter.reset()
    with pytest.raises(ImageNotSetError, match="call encode"):
        segmenter.step(CLICKS[0])


def test_what_the_header_says(factory, random_weights, tmp_path):
    assert factory.name == "inter2former-t"
    assert factory.settings == {"size": 128, "device": "cpu", "embeddings": False}
    other = OurSegmenterFactory(size=128, encoder="openvino", precision="bfloat16")
    assert other.settings == factory.settings | {"encoder": "openvino", "precision": "bfloat16"}
    assert factory.weights_hash() == file_hash(random_weights)
    assert len(factory.weights_hash()) == 64
    with pytest.raises(WeightsError, match=r"no weights at .*absent \(No such file or directory\)"):
        OurSegmenterFactory(weights=str(tmp_path / "absent")).weights_hash()
