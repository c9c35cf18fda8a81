"""The click loop with segmenters that answer perfectly, always the same, or by their clicks."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.evaluation.fakes import Scripted

from inter2former.clicks.realistic import RealisticClicker
from inter2former.clicks.simulate import next_click
from inter2former.data.sample import Sample
from inter2former.evaluation.click_loop import evaluate_session
from inter2former.evaluation.metrics import boundary_iou, iou
from inter2former.masks import decode_rle
from inter2former.prompt import Click

OBJECT = np.zeros((20, 30), dtype=bool)
OBJECT[4:13, 6:19] = True


def sample(ignore=None):
    return Sample("set/a", "a.png", OBJECT, ignore, "set")


def test_a_perfect_answer_ends_the_session():
    record = evaluate_session(Scripted(OBJECT), sample(), clicks=5)
    assert (record.id, record.size, record.seed) == ("set/a", (30, 20), 0)
    (only,) = record.clicks
    assert (only.click, only.iou, only.boundary_iou) == (Click(10, 8), 1.0, 1.0)
    np.testing.assert_array_equal(record.ious(5), np.ones(5))


def test_a_constant_answer_is_clicked_on_to_the_end():
    everywhere = np.ones_like(OBJECT)
    record = evaluate_session(Scripted(everywhere), sample(), clicks=6)
    clicks = [entry.click for entry in record.clicks]
    assert [click.positive for click in clicks] == [True, *[False] * 5]
    assert len({(click.x, click.y) for click in clicks}) == 6
    np.testing.assert_allclose(record.ious(6), OBJECT.mean())
    assert all(not OBJECT[click.y, click.x] for click in clicks[1:])


def test_each_click_is_the_strict_rule_applied_to_the_last_answer():
    half = OBJECT.copy()
    half[:, 12:] = False
    seen = []
    record = evaluate_session(Scripted(half, OBJECT), sample(), watch=lambda click, answer: seen.append(click))
    first = next_click(np.zeros_like(OBJECT), OBJECT)
    assert seen == [first, next_click(half, OBJECT, previous=[first])]
    assert [entry.iou for entry in record.clicks] == [iou(half, OBJECT), 1.0]
    assert [entry.boundary_iou for entry in record.clicks] == [boundary_iou(half, OBJECT), 1.0]


def test_ignored_pixels_are_no_errors():
    record = evaluate_session(Scripted(np.ones_like(OBJECT)), sample(~OBJECT), clicks=4)
    assert [entry.iou for entry in record.clicks] == [1.0]


def test_the_session_begins_anew():
    segmenter = Scripted(OBJECT)
    segmenter.clicks = [Click(0, 0)]
    evaluate_session(segmenter, sample())
    assert len(segmenter.clicks) == 1
    assert segmenter.images == []  # encoding is the caller's part


def test_masks_are_kept_as_run_lengths():
    half = OBJECT.copy()
    half[:, 12:] = False
    record = evaluate_session(Scripted(half), sample(), clicks=2)
    np.testing.assert_array_equal(decode_rle(record.mask, 20, 30), half)
    np.testing.assert_array_equal(decode_rle(record.target, 20, 30), OBJECT)


def test_the_clock_runs_while_the_segmenter_works_and_not_otherwise(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("inter2former.evaluation.click_loop.time.perf_counter", lambda: now[0])

    class Slow(Scripted):
        def step(self, click):
            now[0] += 0.25
            return super().step(click)

    def user_takes_a_second(mask, target, **options):
        now[0] += 1.0
        return next_click(mask, target, **{name: options[name] for name in ("ignore", "previous", "rule")})

    monkeypatch.setattr("inter2former.evaluation.click_loop.next_click", user_takes_a_second)
    record = evaluate_session(Slow(np.ones_like(OBJECT)), sample(), clicks=3)
    assert [entry.seconds for entry in record.clicks] == [0.25] * 3
    assert record.overhead_seconds == pytest.approx(3.0)


def test_a_realistic_user_depends_on_the_seed_and_stops_without_errors():
    users = [
        evaluate_session(Scripted(np.zeros_like(OBJECT)), sample(), clicks=3, clicker=RealisticClicker(), seed=seed)
        for seed in (0, 0, 1)
    ]
    clicks = [[entry.click for entry in record.clicks] for record in users]
    assert clicks[0] == clicks[1] != clicks[2]
    assert len(set(clicks[0])) > 1
    assert users[2].seed == 1
    assert len(evaluate_session(Scripted(OBJECT), sample(), clicker=RealisticClicker()).clicks) == 1


def test_contradictions_are_counted():
    class Stubborn(Scripted):
        def step(self, click):
            answer = super().step(click)
            return type(answer)(answer.mask, answer.logits, tuple(self.clicks[1:]))

    record = evaluate_session(Stubborn(np.ones_like(OBJECT)), sample(), clicks=3)
    assert [entry.contradicted for entry in record.clicks] == [0, 1, 2]
    assert [entry.contradicts_last for entry in record.clicks] == [False, True, True]
