"""Records come to the figures that one computes by hand."""

from __future__ import annotations

import json
import math

import pytest

from inter2former.evaluation.protocol import ClickRecord, SessionRecord
from inter2former.evaluation.report import summarise
from inter2former.prompt import Click


def record(ious, seconds, encode=0.0):
    entries = zip(ious, seconds, strict=True)
    return SessionRecord("a", tuple(ClickRecord(Click(0, 0), iou, iou / 2, took) for iou, took in entries), encode)


RECORDS = [
    record([0.5, 0.86, 0.91, 0.96], [0.4, 0.1, 0.2, 0.3], encode=0.6),
    record([0.9], [0.2]),
    record([0.1, 0.2, 0.3, 0.4], [0.6, 0.1, 0.1, 0.1], encode=0.2),
]


def test_figures():
    summary = summarise("set", RECORDS, 4)
    assert (summary.dataset, summary.objects) == ("set", 3)
    assert (summary.noc85, summary.noc90, summary.noc95) == pytest.approx((7 / 3, 8 / 3, 4))
    assert (summary.nof85, summary.nof90, summary.nof95) == (1, 1, 2)
    assert summary.iou == pytest.approx({1: 0.5, 3: (0.91 + 0.9 + 0.3) / 3})
    assert summary.boundary_iou_5 == pytest.approx((0.48 + 0.45 + 0.2) / 3)
    assert summary.click_p50_ms == pytest.approx(100)
    assert summary.click_p95_ms == pytest.approx(275)
    assert summary.first_click_p50_ms == pytest.approx(400)
    assert summary.encode_p50_ms == pytest.approx(400)


def test_what_was_not_measured_is_nan_and_null():
    summary = summarise("set", RECORDS[1:2], 1)
    assert math.isnan(summary.click_p50_ms)
    values = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert values["click_p50_ms"] is values["encode_p50_ms"] is None
    assert values["first_click_p50_ms"] == pytest.approx(200)
    assert values["iou"] == {"1": 0.9}


def test_no_records_are_refused():
    with pytest.raises(ValueError, match="set holds no objects to evaluate"):
        summarise("set", [], 5)
