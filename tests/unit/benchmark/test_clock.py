"""The clock gives medians in milliseconds and leaves the first call out."""

from __future__ import annotations

import pytest

from inter2former.benchmark import clock
from inter2former.benchmark.clock import median_milliseconds, peak_memory_gib, processor, take_turns


@pytest.fixture
def fake_time(monkeypatch):
    """Time that passes only when a call says so: `fake_time(seconds)`."""
    now = [0.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])

    def sleep(seconds):
        now[0] += seconds

    return sleep


def test_median_leaves_the_first_call_out(fake_time):
    durations = iter([100.0, 0.003, 0.001, 0.002])
    assert median_milliseconds(lambda: fake_time(next(durations)), repeats=3) == pytest.approx(2.0)


def test_calls_take_turns(fake_time):
    order = []
    functions = {name: lambda name=name: (order.append(name), fake_time(0.001 * len(name))) for name in ("a", "bb")}
    assert take_turns(functions, repeats=2) == pytest.approx({"a": 1.0, "bb": 2.0})
    assert order == ["a", "bb"] * 3


def test_machine():
    assert processor()
    assert 0.01 < peak_memory_gib() < 1000
