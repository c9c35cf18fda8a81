"""Timing calls in turns, and the memory that they took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from inter2former.evaluation.latency import Task, measure
from inter2former.machine import peak_memory

__all__ = ["Milliseconds", "peak_memory_gib", "spread", "take_turns", "times_of"]


@dataclass(frozen=True, slots=True)
class Milliseconds:
    """What a call takes.

    Attributes:
        median: of all repeats.
        low: a quarter of the repeats took less.
        high: a quarter of the repeats took more.
    """

    median: float
    low: float
    high: float


def times_of(function: Callable[[], object], repeats: int) -> Milliseconds:
    """Times of a call over `repeats` calls, after one that does not count."""
    return take_turns({"": function}, repeats)[""]


def take_turns(calls: Mapping[str, Callable[[], object] | Task], repeats: int) -> dict[str, Milliseconds]:
    """Times of several calls that take turns, so that what else the machine does meets all of them alike.

    Args:
        calls: by name, a `Task` where something has to be prepared outside the clock; what they leave a GPU to do is
            waited for.
        repeats: of each, after one round that does not count.
    Returns:
        the times by name.
    """
    tasks = {name: call if isinstance(call, Task) else Task(call) for name, call in calls.items()}
    finished = {name: Task(partial(_finished, task.run), task.prepare) for name, task in tasks.items()}
    latencies = measure(finished, repeats=repeats)
    return {
        name: Milliseconds(1000 * latency.median, 1000 * latency.low, 1000 * latency.high)
        for name, latency in latencies.items()
    }


def spread(milliseconds: Sequence[float]) -> Milliseconds:
    """Median and quartiles of some times, at least one."""
    low, median, high = np.percentile(milliseconds, [25, 50, 75])
    return Milliseconds(float(median), float(low), float(high))


def _finished(function: Callable[[], object]) -> None:
    """Call, and wait for what the call left a GPU to do."""
    function()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def peak_memory_gib() -> float:
    """The most memory that this process has held so far; 0 on Windows, where it is not known."""
    return peak_memory() / 2**30
