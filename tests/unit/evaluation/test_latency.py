"""Times are taken in turns, warm-ups left out, preparation outside the clock."""

from __future__ import annotations

import time

import pytest

from inter2former.evaluation.latency import Task, measure


def test_calls_take_turns():
    calls = []
    tasks = {
        "a": Task(lambda: calls.append("a"), prepare=lambda: calls.append("before a")),
        "b": Task(lambda: calls.append("b")),
    }
    result = measure(tasks, repeats=2, warm_ups=1)
    assert calls == ["before a", "a", "b"] * 3
    assert list(result) == ["a", "b"]
    assert [latency.repeats for latency in result.values()] == [2, 2]


def test_only_the_call_is_timed_and_only_after_the_warm_ups(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    lengths = iter([100.0, 1.0, 2.0, 3.0, 5.0])

    def advance(seconds):
        clock[0] += seconds

    task = Task(lambda: advance(next(lengths)), prepare=lambda: advance(1000.0))
    latency = measure({"a": task}, repeats=4)["a"]
    assert (latency.fastest, latency.low, latency.median, latency.high) == (1.0, 1.75, 2.5, 3.5)


def test_no_repeats_are_refused():
    with pytest.raises(ValueError, match="repeats is 0; it must be at least 1"):
        measure({}, repeats=0)
