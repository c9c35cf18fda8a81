"""What each field of a protocol says is what the click loop does; words that no field knows are refused."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.evaluation.fakes import PainterFactory, Scripted, write_dataset

from inter2former.data.sample import Sample
from inter2former.evaluation.click_loop import evaluate_session
from inter2former.evaluation.job import ImageEvaluator, Job, Task
from inter2former.evaluation.overlap import Truth
from inter2former.evaluation.protocol import (
    INTER2FORMER,
    PROTOCOLS,
    RITM,
    SEGNEXT,
    STRICT,
    Protocol,
    explain,
    protocol_fields,
    protocol_hash,
    protocol_named,
)
from inter2former.evaluation.summary import summarise
from inter2former.masks import decode_rle
from inter2former.prompt import Click

OBJECT = np.zeros((20, 30), dtype=bool)
OBJECT[4:13, 6:19] = True
NOTHING = np.zeros_like(OBJECT)


def session(protocol, *answers, ignore=None, clicks=4, **options):
    sample = Sample("set/a", "a.png", OBJECT, ignore, "set")
    return evaluate_session(Scripted(*answers), sample, protocol, clicks=clicks, **options)


def clicks_of(record):
    return [entry.click for entry in record.clicks]


def test_clicked_pixels():
    after = clicks_of(session(STRICT, NOTHING))
    before = clicks_of(session(Protocol(clicked_pixels="before"), NOTHING))
    assert after[0] == before[0] == Click(10, 8)
    assert after[1] == Click(11, 8)  # the deepest row goes on, as if nothing had been clicked
    assert before[1] == Click(14, 7)  # away from the hole that the first click makes


def test_tie_break():
    seeds = {session(Protocol(tie_break="random"), NOTHING, clicks=1, seed=seed).clicks[0].click for seed in range(40)}
    assert seeds == {Click(x, 8) for x in range(10, 15)}
    assert session(Protocol(tie_break="random"), NOTHING, seed=3) != session(STRICT, NOTHING, seed=3)
    again = [clicks_of(session(Protocol(tie_break="random"), NOTHING, seed=3)) for _ in range(2)]
    assert again[0] == again[1]


def test_impossible_click():
    assert clicks_of(session(STRICT, OBJECT)) == [Click(10, 8)]
    corner = Protocol(impossible_click="corner")
    assert clicks_of(session(corner, OBJECT)) == [Click(10, 8), *[Click(0, 0, False)] * 3]


def test_ignored_pixels_in_clicks():
    ignore = np.zeros_like(OBJECT)
    ignore[:, 25:] = True
    strict = session(STRICT, OBJECT | ignore, ignore=ignore)
    assert clicks_of(strict) == [Click(10, 8)]
    counted = session(Protocol(ignored_in_clicks="background"), OBJECT | ignore, ignore=ignore)
    assert not counted.clicks[1].click.positive
    assert counted.clicks[1].click.x >= 25
    assert counted.clicks[1].iou == 1.0


def test_ignored_pixels_in_iou():
    ignore = np.zeros_like(OBJECT)
    ignore[:, 25:] = True
    assert session(STRICT, OBJECT | ignore, ignore=ignore).clicks[0].iou == 1.0
    record = session(Protocol(ignored_in_iou="background"), OBJECT | ignore, ignore=ignore)
    assert record.clicks[0].iou == OBJECT.sum() / (OBJECT.sum() + ignore.sum())
    assert record.clicks[0].boundary_iou < 1
    assert len(record.clicks) == 1  # the user still ignores them


def test_threshold():
    logits = np.where(OBJECT, np.float32(-0.03), np.float32(-0.05))
    assert session(STRICT, logits).clicks[0].iou == 0.0
    assert session(Protocol(threshold=0.49), logits).clicks[0].iou == 1.0  # the logit of 0.49 is -0.04
    assert session(Protocol(threshold=0.51), np.where(OBJECT, np.float32(0.05), np.float32(0.03))).clicks[0].iou == 1.0
    assert STRICT.logit_threshold == 0.0


def test_flip(tmp_path):
    dataset = write_dataset(tmp_path / "set", 1)
    for flip in (False, True):
        job = Job(dataset, PainterFactory(radius=2), Protocol(flip=flip), clicks=3)
        evaluator = ImageEvaluator(job)
        (record,) = evaluator.evaluate(Task(0))
        assert (type(evaluator._segmenter).__name__ == "MirroredSegmenter") == flip
        assert len(record.clicks) == 3


def test_objects(tmp_path):
    dataset = write_dataset(tmp_path / "set", 3, objects=2)
    each, union = (
        [r for i in range(3) for r in ImageEvaluator(Job(dataset, PainterFactory(), protocol)).evaluate(Task(i))]
        for protocol in (STRICT, Protocol(objects="union"))
    )
    assert len(each) > len(union) == 3
    assert [record.id for record in union] == [dataset.identity(index) for index in range(3)]
    both = np.logical_or(dataset.annotation(0).mask(0), dataset.annotation(0).mask(1))
    np.testing.assert_array_equal(decode_rle(union[0].target, *both.shape), both)


def test_stop_at_iou():
    half = OBJECT.copy()
    half[:, 12:] = False
    most = OBJECT.copy()
    most[:, 18:] = False
    assert len(session(STRICT, half, most, NOTHING).clicks) == 4
    stopped = session(Protocol(stop_at_iou=0.9), half, most, NOTHING)
    assert [entry.iou for entry in stopped.clicks] == [half.sum() / OBJECT.sum(), most.sum() / OBJECT.sum()]
    exactly = session(Protocol(stop_at_iou=most.sum() / OBJECT.sum()), half, most, NOTHING)
    assert len(exactly.clicks) == 2


def test_what_the_protocol_stops_below_is_not_reported():
    records = [session(Protocol(stop_at_iou=0.9), OBJECT)]
    summary = summarise("set", records, 4, Protocol(stop_at_iou=0.9))
    assert (summary.noc85, summary.noc90, summary.nof90, summary.nof95, summary.nof_ritm95) == (1, 1, 0, None, None)
    assert np.isnan(summary.noc95)
    assert set(summary.failures) == {85, 90}


def test_curve():
    most = OBJECT.copy()
    most[:, 18:] = False
    records = [session(STRICT, OBJECT), replace(session(STRICT, NOTHING, most), id="set/b")]
    extended = summarise("set", records, 4, STRICT)
    assert extended.iou_per_click == pytest.approx([0.5, *[(1 + most.sum() / OBJECT.sum()) / 2] * 3])
    shortest = summarise("set", records, 4, Protocol(curve="shortest"))
    assert shortest.iou_per_click == (0.5,)
    assert set(shortest.iou) == {1}
    assert shortest.noc90 == extended.noc90 == 1.5


def test_failures():
    records = [session(STRICT, NOTHING, NOTHING, NOTHING, OBJECT)]
    assert summarise("set", records, 4, STRICT).failures == {85: 0, 90: 0, 95: 0}
    late = summarise("set", records, 4, Protocol(failures="not before the last click"))
    assert late.failures == {85: 1, 90: 1, 95: 1}
    assert (late.nof90, late.nof_ritm90) == (0, 1)


def test_time():
    record = replace(session(STRICT, NOTHING), encode_seconds=1.0, overhead_seconds=2.0, read_seconds=3.0)
    record = replace(record, clicks=tuple(replace(entry, seconds=0.5) for entry in record.clicks))
    assert summarise("set", [record], 4, STRICT).spc_total_ms == pytest.approx(1000 * (1 + 4 * 0.5) / 4)
    whole = summarise("set", [record], 4, Protocol(time="session"))
    assert whole.spc_total_ms == pytest.approx(1000 * (1 + 2 + 3 + 4 * 0.5) / 4)
    assert whole.spc_decode_ms == pytest.approx(500)


def test_boundary_width():
    shifted = np.roll(OBJECT, 1, axis=1)
    record = session(Protocol(boundary_width=0.1), shifted, clicks=1)
    assert record.clicks[0].boundary_iou == Truth(OBJECT, width_ratio=0.1).boundary_iou(shifted)
    assert record.clicks[0].boundary_iou > session(STRICT, shifted, clicks=1).clicks[0].boundary_iou > 0


def test_presets_are_what_their_code_does():
    assert STRICT == Protocol()
    assert RITM == Protocol(
        impossible_click="corner",
        threshold=0.49,
        flip=True,
        stop_at_iou=0.95,
        curve="shortest",
        failures="not before the last click",
        time="session",
    )
    assert replace(RITM, flip=False) == SEGNEXT
    assert {
        field.name
        for field in dataclasses.fields(Protocol)
        if getattr(INTER2FORMER, field.name) != getattr(STRICT, field.name)
    } == {"clicked_pixels", "tie_break", "ignored_in_clicks", "ignored_in_iou"}
    assert set(PROTOCOLS) == {"strict", "ritm", "segnext", "inter2former"}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_field_is_explained(name):
    protocol = protocol_named(name)
    lines = explain(protocol).splitlines()
    fields = dataclasses.fields(Protocol)
    assert len(lines) == len(fields) + 1
    for line, field, (shown_name, value, meaning) in zip(lines, fields, protocol_fields(protocol), strict=False):
        assert re.split(r"\s{2,}", line) == [field.name, value, meaning]
        assert shown_name == field.name
        assert len(meaning) > 20
    assert "Library versions" in lines[-1]


def test_every_word_of_every_field_has_a_meaning():
    for field in dataclasses.fields(Protocol):
        for word in re.findall(r"[\"']([^\"']+)[\"']", str(field.type)):
            (meaning,) = [m for n, _, m in protocol_fields(Protocol(**{field.name: word})) if n == field.name]
            assert meaning


def test_hash_follows_every_field():
    others = {
        "clicked_pixels": "before",
        "tie_break": "random",
        "impossible_click": "corner",
        "ignored_in_clicks": "background",
        "ignored_in_iou": "background",
        "threshold": 0.49,
        "flip": True,
        "objects": "union",
        "stop_at_iou": 0.9,
        "curve": "shortest",
        "failures": "not before the last click",
        "time": "session",
        "boundary_width": 0.01,
    }
    hashes = {protocol_hash(Protocol(**{name: value})) for name, value in others.items()}
    assert len(hashes | {protocol_hash(STRICT)}) == len(others) + 1
    assert protocol_hash(STRICT) == "92bc646416e1e127"  # the same on every machine and in every version


def test_refusals():
    with pytest.raises(ValueError, match="unknown protocol 'best'; the protocols are strict, ritm, segnext, inter"):
        protocol_named("best")
    with pytest.raises(ValueError, match="tie_break is 'first'; expected 'raster' or 'random'"):
        Protocol(tie_break="first")
    for threshold in (0, 1, float("nan")):
        with pytest.raises(ValueError, match=f"threshold is {threshold}"):
            Protocol(threshold=threshold)
    with pytest.raises(ValueError, match="stop_at_iou is 90"):
        Protocol(stop_at_iou=90)
    with pytest.raises(ValueError, match="boundary_width is 0"):
        Protocol(boundary_width=0)
