"""Records come to the figures that one computes by hand, from memory as from disk."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from tests.unit.evaluation.made_runs import header, write_run

from inter2former.errors import RunError
from inter2former.evaluation.metrics import bootstrap_interval
from inter2former.evaluation.protocol import STRICT, protocol_hash
from inter2former.evaluation.records import ClickRecord, Problem, SessionRecord
from inter2former.evaluation.summary import summarise, summarise_run
from inter2former.prompt import Click


def record(name, ious, seconds, encode=0.0, seed=0, **changes):
    entries = zip(ious, seconds, strict=True)
    clicks = tuple(ClickRecord(Click(0, 0), iou, iou / 2, took) for iou, took in entries)
    return replace(SessionRecord(name, seed, "a.png", (4, 3), clicks, encode), **changes)


RECORDS = [
    record("a", [0.5, 0.86, 0.91, 0.96], [0.4, 0.1, 0.2, 0.3], encode=0.6, overhead_seconds=0.5, peak_bytes=1 << 20),
    Problem("x", "x.png is gone"),
    record("b", [0.9], [0.2], overhead_seconds=0.1, read_seconds=0.1, peak_bytes=3 << 20),
    record("c", [0.1, 0.2, 0.3, 0.4], [0.6, 0.1, 0.1, 0.1], encode=0.2),
]


def test_figures():
    summary = summarise("set", RECORDS, 4)
    assert (summary.dataset, summary.objects, summary.sessions, summary.problems) == ("set", 3, 3, 1)
    assert (summary.noc85, summary.noc90, summary.noc95) == pytest.approx((7 / 3, 8 / 3, 4))
    assert (summary.nof85, summary.nof90, summary.nof95) == (1, 1, 2)
    assert (summary.nof_ritm85, summary.nof_ritm90, summary.nof_ritm95) == (1, 1, 3)
    assert summary.failures == {85: 1, 90: 1, 95: 2}
    assert summary.iou == pytest.approx({1: 0.5, 3: (0.91 + 0.9 + 0.3) / 3})
    assert summary.boundary_iou == pytest.approx({1: 0.25, 3: (0.91 + 0.9 + 0.3) / 6})
    assert summary.boundary_iou_5 == pytest.approx((0.48 + 0.45 + 0.2) / 3)
    assert summary.iou_per_click == pytest.approx((0.5, (0.86 + 0.9 + 0.2) / 3, 2.11 / 3, 2.26 / 3))
    assert summary.iou_area == pytest.approx((0.5 / 2 + 1.96 / 3 + 2.11 / 3 + 2.26 / 6) / 3)
    assert summary.convergence == pytest.approx((4 + 1 + 4) / 3)
    assert summary.spc_decode_ms == pytest.approx(1000 * 2.1 / 9)
    assert summary.spc_decode_p50_ms == pytest.approx(200)
    assert summary.spc_decode_p95_ms == pytest.approx(1000 * (0.4 + 0.6 * 0.2))
    assert summary.spc_total_ms == pytest.approx(1000 * (2.1 + 0.8) / 9)
    assert summary.first_click_p50_ms == pytest.approx(400)
    assert summary.encode_p50_ms == pytest.approx(400)
    assert summary.overhead_share == pytest.approx(0.6 / (2.1 + 0.8 + 0.6 + 0.1))
    assert summary.peak_memory_mb == 3
    assert summary.noc_over_seeds == {}


def test_every_mean_has_its_interval():
    summary = summarise("set", RECORDS, 4)
    assert summary.intervals["noc90"] == pytest.approx(bootstrap_interval([3, 1, 4]))
    assert summary.intervals["iou_3"] == pytest.approx(bootstrap_interval([0.91, 0.9, 0.3]))
    assert summary.intervals["boundary_iou_1"] == pytest.approx(bootstrap_interval([0.25, 0.45, 0.05]))
    assert summary.intervals["convergence"] == pytest.approx(bootstrap_interval([4, 1, 4]))
    means = {"noc85", "noc90", "noc95", "iou_area", "convergence", "spc_decode_ms", "spc_total_ms"}
    means |= {"contradicted_last", "contradicted_any"}
    means |= {f"{name}_{k}" for name in ("iou", "boundary_iou") for k in (1, 2, 3, 4)}
    assert set(summary.intervals) == means
    low, high = summary.intervals["spc_total_ms"]
    assert low < summary.spc_total_ms < high


def test_contradictions():
    clicks = tuple(ClickRecord(Click(0, 0), 0.5, 0.5, 0.1, n, n == 2) for n in (0, 1, 2, 0))
    summary = summarise("set", [replace(RECORDS[0], clicks=clicks)], 4)
    assert (summary.contradicted_last, summary.contradicted_any) == (0.25, 0.5)


def test_several_users_per_object():
    records = [
        record(name, [reached - 0.01, reached], [0.1, 0.1], seed=seed)
        for name, levels in (("a", (0.9, 0.95, 0.5)), ("b", (0.92, 0.8, 0.91)))
        for seed, reached in enumerate(levels)
    ]
    summary = summarise("set", records, 2)
    assert (summary.objects, summary.sessions) == (2, 6)
    per_seed = [(2 + 1) / 2, (1 + 2) / 2, (2 + 1) / 2]
    assert summary.noc90 == pytest.approx(1.5)
    found = summary.noc_over_seeds[90]
    assert found == pytest.approx({"mean": 1.5, "spread": 0.0, "worst": max(per_seed)})
    assert summary.noc_over_seeds[85] == pytest.approx({"mean": 4 / 3, "spread": math.sqrt(1 / 12), "worst": 1.5})
    assert summary.nof90 == 2
    # Objects are drawn, not sessions: the three users of one object stay together.
    assert summary.intervals["noc90"] == pytest.approx(bootstrap_interval([5 / 3, 4 / 3]))


def test_what_was_not_measured_is_nan_and_null():
    summary = summarise("set", [RECORDS[2]], 1)
    assert math.isnan(summary.encode_p50_ms)
    values = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert values["encode_p50_ms"] is None
    assert values["first_click_p50_ms"] == pytest.approx(200)
    assert values["iou"] == {"1": 0.9}
    no_clicks = summarise("set", [record("a", [], [])], 2)
    assert json.loads(json.dumps(no_clicks.to_dict(), allow_nan=False))["intervals"]["spc_decode_ms"] == [None, None]
    assert no_clicks.noc90 == 2


def test_from_disk_as_from_memory(tmp_path):
    made = header(settings={"clicks": 4})
    folder = write_run(tmp_path / "run", RECORDS, settings=made.settings)
    assert summarise_run(folder) == summarise("ducks", RECORDS, 4)
    other = write_run(tmp_path / "other", RECORDS, protocol="ritm")
    with pytest.raises(RunError, match=r"other was made under a protocol 'ritm' that this version does not know"):
        summarise_run(other)
    assert made.protocol_hash == protocol_hash(STRICT)


def test_a_table_for_people():
    rows = dict(line.split(maxsplit=1) for line in summarise("set", RECORDS, 4).to_text().splitlines())
    assert rows["objects"] == "3"
    assert rows["noc90"].split() == ["2.667", "[1,", "4]"]
    assert rows["iou_3"].startswith("0.7033")
    assert rows["failures_95"] == "2"
    assert "iou_per_click" not in rows


def test_no_sessions_are_refused():
    with pytest.raises(ValueError, match=r"set holds no objects to evaluate; check its masks$"):
        summarise("set", [], 5)
    with pytest.raises(ValueError, match=r"check its masks \(1 problems; the first: x.png is gone\)"):
        summarise("set", RECORDS[1:2], 5)
