"""Times of calls, measured side by side: what disturbs the machine for a while disturbs all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["Latency", "Task", "measure"]


@dataclass(frozen=True, slots=True)
class Task:
    """A call to time.

    Attributes:
        run: what is timed.
        prepare: called before each `run`, outside the clock.
    """

    run: Callable[[], object]
    prepare: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of one call, in seconds.

    Attributes:
        median: of all repeats.
        fastest: the least.
        low: a quarter of the repeats took less.
        high: a quarter of the repeats took more.
        repeats: how many there were, warm-ups left out.
    """

    median: float
    fastest: float
    low: float
    high: float
    repeats: int


def measure(tasks: Mapping[str, Task], *, repeats: int, warm_ups: int = 1) -> dict[str, Latency]:
    """Time calls in turns: each round calls every one of them once.

    Args:
        tasks: the calls by name.
        repeats: rounds that count, at least 1.
        warm_ups: rounds before them that do not.
    Returns:
        their times by name.
    Raises:
        ValueError: less than one repeat.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; it must be at least 1")
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(warm_ups + repeats):
        for name, task in tasks.items():
            if task.prepare is not None:
                task.prepare()
            started = time.perf_counter()
            task.run()
            times[name].append(time.perf_counter() - started)
    return {name: _latency(taken[warm_ups:]) for name, taken in times.items()}


def _latency(times: list[float]) -> Latency:
    low, median, high = np.percentile(times, [25, 50, 75])
    return Latency(float(median), min(times), float(low), float(high), len(times))
