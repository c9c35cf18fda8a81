"""Figures per session, and means with intervals over objects."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.evaluation.made_runs import session

from inter2former.evaluation.metrics import bootstrap_interval
from inter2former.evaluation.protocol import RITM, STRICT
from inter2former.evaluation.reporting.measures import curve_length, estimates, measures, timings_of

NAN = float("nan")
SESSIONS = [
    session("a", [0.5, 0.86, 0.91, 0.96], seconds=[0.4, 0.1, 0.2, 0.3]),
    session("b", [0.9], seconds=[0.2], encode=0.0),
]


def test_every_measure():
    found = {measure.name: measure for measure in measures(SESSIONS, 4, 4, STRICT)}
    expected = {
        "IoU@1": [0.5, 0.9],
        "IoU@3": [0.91, 0.9],
        "IoU area": [(0.25 + 0.86 + 0.91 + 0.48) / 3, 0.9],
        "boundary IoU@4": [0.48, 0.45],
        "NoC@85": [2, 1],
        "NoC@90": [3, 1],
        "NoC@95": [4, 4],
        "NoF@85": [0, 0],
        "NoF@90": [0, 0],
        "NoF@95": [0, 1],
        "convergence": [4, 1],
        "spc_decode": [0.25, 0.2],
        "first click": [0.4, 0.2],
        "later clicks": [0.2, NAN],
        "encode": [0.5, NAN],
    }
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].values == pytest.approx(np.array(values), nan_ok=True), name
    assert [name for name, measure in found.items() if measure.more_is_better] == list(expected)[:4]


def test_a_protocol_may_end_the_curve_early():
    assert curve_length(SESSIONS, 4, STRICT) == 4
    assert curve_length(SESSIONS, 4, RITM) == 1
    assert curve_length([session("a", [])], 4, RITM) == 1
    found = {measure.name: measure for measure in measures(SESSIONS, 4, 1, RITM)}
    assert [name for name in found if "IoU" in name] == ["IoU@1", "IoU area", "boundary IoU@1"]
    assert found["IoU area"].values.tolist() == [0.5, 0.9]


def test_times():
    first, later, encode = timings_of(SESSIONS)
    assert (first.ids, first.seconds.tolist()) == (("a", "b"), [0.4, 0.2])
    assert (later.ids, later.seconds.tolist()) == (("a", "a", "a"), [0.1, 0.2, 0.3])
    assert (encode.ids, encode.seconds.tolist()) == (("a",), [0.5])


def test_intervals_are_over_objects():
    """The two sessions on a are drawn together."""
    found = estimates(["a", "b", "a"], np.array([[0.0, 1.0], [0.25, NAN], [1.0, 3.0]]))
    assert found.means == pytest.approx([1.25 / 3, 2.0])
    # Of two objects a quarter of the draws each are (a, a) and (b, b).
    assert (found.low[0], found.high[0]) == pytest.approx((0.25, 0.5))
    assert (found.low[1], found.high[1]) == (2.0, 2.0)


def test_one_session_per_object_is_the_plain_interval():
    values = [0.1, 0.5, 0.4, 0.9]
    found = estimates(["d", "c", "a", "b"], np.array(values)[:, None])
    ordered = [0.4, 0.9, 0.5, 0.1]
    assert (found.low[0], found.high[0]) == pytest.approx(bootstrap_interval(ordered))


@pytest.mark.parametrize(("ids", "table"), [(["a"], [[NAN]]), ([], np.zeros((0, 1)))])
def test_means_of_nothing(ids, table):
    found = estimates(ids, np.array(table))
    assert np.isnan([found.means, found.low, found.high]).all()
