"""The click loop with predictors that answer perfectly, always the same, or by their clicks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from inter2former.clicks.simulate import next_click
from inter2former.data.sample import Sample
from inter2former.errors import DataError
from inter2former.evaluation.protocol import ClickRecord, SessionRecord, evaluate_sample
from inter2former.prompt import Click

OBJECT = np.zeros((20, 30), dtype=bool)
OBJECT[4:13, 6:19] = True


class Scripted:
    """Answers click number n with mask number n, the last one for ever."""

    def __init__(self, *masks):
        self.masks, self.clicks, self.images, self.image_size = masks, [], [], (30, 20)

    def set_image(self, image):
        self.images.append(image)

    def reset(self):
        self.clicks = []

    def add_click(self, x, y, positive):
        self.clicks.append(Click(x, y, positive))
        return SimpleNamespace(mask=self.masks[min(len(self.clicks), len(self.masks)) - 1], contradicted=())


def sample(ignore=None):
    return Sample("set/a", Path("a.png"), OBJECT, ignore, "set")


def test_a_perfect_answer_ends_the_session():
    predictor = Scripted(OBJECT)
    record = evaluate_sample(predictor, sample(), clicks=5)
    assert record.id == "set/a"
    assert predictor.images == [Path("a.png")]
    (only,) = record.clicks
    assert (only.click, only.iou, only.boundary_iou) == (Click(10, 8), 1.0, 1.0)
    np.testing.assert_array_equal(record.ious(5), np.ones(5))
    np.testing.assert_array_equal(record.boundary_ious(3), np.ones(3))


def test_a_constant_answer_is_clicked_on_to_the_end():
    everywhere = np.ones_like(OBJECT)
    record = evaluate_sample(Scripted(everywhere), sample(), clicks=6)
    clicks = [entry.click for entry in record.clicks]
    assert [click.positive for click in clicks] == [True, *[False] * 5]
    assert len({(click.x, click.y) for click in clicks}) == 6
    np.testing.assert_allclose(record.ious(6), OBJECT.mean())
    assert all(not OBJECT[click.y, click.x] for click in clicks[1:])


def test_each_click_is_the_strict_rule_applied_to_the_last_answer():
    half = OBJECT.copy()
    half[:, 12:] = False
    seen = []
    record = evaluate_sample(Scripted(half, OBJECT), sample(), watch=lambda click, predictor: seen.append(click))
    first = next_click(np.zeros_like(OBJECT), OBJECT)
    assert seen == [first, next_click(half, OBJECT, previous=[first])]
    np.testing.assert_allclose(record.ious(4), [half.sum() / OBJECT.sum(), 1, 1, 1])


def test_ignored_pixels_are_no_errors():
    ignore = ~OBJECT
    record = evaluate_sample(Scripted(np.ones_like(OBJECT)), sample(ignore), clicks=4)
    assert [entry.iou for entry in record.clicks] == [1.0]


def test_an_image_that_is_set_is_not_set_again_but_the_session_is_new():
    predictor = Scripted(OBJECT)
    predictor.clicks = [Click(0, 0)]
    record = evaluate_sample(predictor, sample(), encode=False)
    assert (predictor.images, record.encode_seconds) == ([], 0.0)
    assert len(predictor.clicks) == 1
    assert evaluate_sample(predictor, sample()).encode_seconds > 0


def test_a_mask_of_another_size_is_named():
    predictor = Scripted(OBJECT)
    predictor.image_size = (20, 30)
    with pytest.raises(DataError, match=r"the mask of a\.png is 30x20, but the upright image is 20x30"):
        evaluate_sample(predictor, sample())


def test_short_sessions_keep_their_last_value():
    entries = tuple(ClickRecord(Click(0, 0), value, value / 2, 0.1) for value in (0.25, 0.75))
    record = SessionRecord("a", entries, 0.5)
    np.testing.assert_array_equal(record.ious(4), [0.25, 0.75, 0.75, 0.75])
    np.testing.assert_array_equal(record.boundary_ious(1), [0.125])
    np.testing.assert_array_equal(SessionRecord("a", (), 0.0).ious(2), [0, 0])
