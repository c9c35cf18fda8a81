"""The clock gives medians in milliseconds and leaves the first call out."""

from __future__ import annotations

import pytest

from inter2former.benchmark.clock import Milliseconds, peak_memory_gib, spread, take_turns, times_of
from inter2former.evaluation.latency import Task


@pytest.fixture
def fake_time(monkeypatch):
    """Time that passes only when a call says so: `fake_time(seconds)`."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def sleep(seconds):
        now[0] += seconds

    return sleep


def test_median_leaves_the_first_call_out(fake_time):
    durations = iter([100.0, 0.003, 0.001, 0.002])
    times = times_of(lambda: fake_time(next(durations)), repeats=3)
    assert (times.low, times.median, times.high) == pytest.approx((1.5, 2.0, 2.5))


def test_calls_take_turns(fake_time):
    order = []
    functions = {name: lambda name=name: (order.append(name), fake_time(0.001 * len(name))) for name in ("a", "bb")}
    times = take_turns(functions, repeats=2)
    assert {name: time.median for name, time in times.items()} == pytest.approx({"a": 1.0, "bb": 2.0})
    assert order == ["a", "bb"] * 3


def test_what_is_prepared_is_not_timed(fake_time):
    task = Task(lambda: fake_time(0.001), lambda: fake_time(5.0))
    assert take_turns({"a": task}, repeats=2)["a"].median == pytest.approx(1.0)


def test_spread():
    assert spread([4.0, 0.0, 1.0, 3.0, 2.0]) == Milliseconds(2.0, 1.0, 3.0)


def test_memory():
    assert 0.01 < peak_memory_gib() < 1000
