"""The mean over image and mirror image, click by click."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.evaluation.fakes import Scripted

from inter2former.errors import ImageNotSetError
from inter2former.evaluation.segmenters.mirrored import MirroredSegmenter
from inter2former.prompt import Click

IMAGE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def test_logits_are_averaged_where_they_belong():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 4, 6)).astype(np.float32)
    upright, mirrored = Scripted(first), Scripted(second)
    segmenter = MirroredSegmenter(upright, mirrored)
    segmenter.encode(IMAGE)
    answer = segmenter.step(Click(1, 2, False))
    expected = (first + second[:, ::-1]) / 2
    np.testing.assert_allclose(answer.logits(), expected, rtol=1e-6)
    np.testing.assert_array_equal(answer.mask, expected > 0)
    assert (upright.clicks, mirrored.clicks) == ([Click(1, 2, False)], [Click(4, 2, False)])
    np.testing.assert_array_equal(mirrored.images[0], upright.images[0][:, ::-1])
    segmenter.reset()
    assert upright.clicks == mirrored.clicks == []


def test_clicks_need_an_image():
    mask = np.ones((4, 6), bool)
    with pytest.raises(ImageNotSetError, match="call encode"):
        MirroredSegmenter(Scripted(mask), Scripted(mask)).step(Click(0, 0))
