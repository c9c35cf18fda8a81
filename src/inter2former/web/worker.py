"""The one thread that runs the network: jobs by urgency, a long one steps aside for a more urgent one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from enum import IntEnum
from typing import Any, Generic, TypeVar

from torch import nn

from inter2former.web.metrics import Metrics

__all__ = ["Job", "Priority", "Worker", "beat_within"]

Result = TypeVar("Result")

_CALM = 0.1
"""Seconds after a click's answer in which nothing that can wait is computed: the page paints on the same cores."""


class Priority(IntEnum):
    """How urgent a job is; the least number goes first."""

    CLICK = 0
    OPEN = 1
    REGION = 2
    PREFETCH = 3
    PRECOMPUTE = 4


class Job(Generic[Result]):
    """A function that waits for its turn; `future` has its result.

    Attributes:
        future: of the result; a job that waits leaves the queue when it is cancelled.
        priority: may be lowered or raised while the job waits or runs.
        abandoned: whether a running job shall end at its next beat.
        began: when it began, as `time.perf_counter` counts; 0: not yet.
    """

    def __init__(self, priority: Priority, number: int, run: Callable[[], Result]) -> None:
        """Take a function."""
        self.future: Future[Result] = Future()
        self.priority = priority
        self.abandoned = False
        self.began = 0.0
        self._number = number
        self._run = run
        self._since = time.perf_counter()

    @property
    def order(self) -> tuple[int, int]:
        """The least goes first: by urgency, then by age."""
        return int(self.priority), self._number

    @property
    def waited(self) -> float:
        """Seconds since it was handed in."""
        return time.perf_counter() - self._since

    def cancel(self) -> None:
        """Nobody wants the result any more: a waiting job does not begin, a running one ends at its next beat."""
        self.abandoned = True
        self.future.cancel()

    def run(self) -> None:
        """Run the function and settle the future."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._run()
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class Worker:
    """One thread and the jobs that wait for it."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        """Start the thread; it ends with the process, or at `close`."""
        self._metrics = metrics
        self._condition = threading.Condition()
        self._waiting: list[Job[Any]] = []
        self._running: list[Job[Any]] = []
        self._number = 0
        self._open = True
        self._calm_until = 0.0
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    def submit(self, priority: Priority, run: Callable[[], Result]) -> Job[Result]:
        """Hand in a function.

        Args:
            priority: how urgent it is.
            run: called once, on the thread.
        Raises:
            RuntimeError: the worker is closed.
        """
        with self._condition:
            if not self._open:
                raise RuntimeError("the worker is closed")
            self._number += 1
            job = Job(priority, self._number, run)
            self._waiting.append(job)
            self._condition.notify()
        return job

    def beat(self) -> None:
        """Called by a running job now and then: more urgent jobs run first, and an abandoned one ends here.

        Raises:
            CancelledError: the job is abandoned.
        """
        if threading.current_thread() is not self._thread or not self._running:
            return
        current = self._running[-1]
        while not current.abandoned:
            if (urgent := self._take(current.priority)) is not None:
                self._perform(urgent)
            elif not self._rest(current.priority):
                break
        if current.abandoned:
            raise CancelledError

    def close(self) -> None:
        """Drop what waits and let the thread end after the present job."""
        with self._condition:
            self._open = False
            for job in (*self._waiting, *self._running):
                job.cancel()
            self._waiting.clear()
            self._condition.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=30)

    def _work(self) -> None:
        while True:
            with self._condition:
                while self._open and not self._waiting:
                    self._condition.wait()
                if not self._open:
                    return
                least = min((job.priority for job in self._waiting), default=Priority.CLICK)
            if self._rest(least):
                continue
            job = self._take(None)
            if job is not None:
                self._perform(job)

    def _rest(self, priority: Priority) -> bool:
        """Wait until the calm after a click is over, or somebody hands in a job; False: there is no need to."""
        remaining = self._calm_until - time.perf_counter()
        if priority <= Priority.OPEN or remaining <= 0:
            return False
        with self._condition:
            if self._open and not any(job.priority < priority for job in self._waiting):
                self._condition.wait(remaining)
        return True

    def _take(self, below: Priority | None) -> Job[Any] | None:
        """The most urgent job that waits; with `below` only one that is more urgent than that."""
        with self._condition:
            self._waiting = [job for job in self._waiting if not job.future.cancelled()]
            job = min(self._waiting, key=lambda waiting: waiting.order, default=None)
            if job is None or (below is not None and job.priority >= below):
                return None
            self._waiting.remove(job)
            return job

    def _perform(self, job: Job[Any]) -> None:
        if self._metrics is not None:
            self._metrics.waited.observe(job.waited)
        self._running.append(job)
        job.began = time.perf_counter()
        try:
            job.run()
        finally:
            self._running.pop()
            if job.priority is Priority.CLICK:
                self._calm_until = time.perf_counter() + _CALM


def beat_within(network: nn.Module, beat: Callable[[], None]) -> int:
    """Have a function called before each step of a network's encoders.

    Args:
        network: with the parts `encoder` and `edge_encoder`.
        beat: called on the thread that encodes.
    Returns:
        how many steps there are, about; some may be passed over.
    """
    steps = 0
    for name, encoder in network.named_children():
        for part in encoder.modules() if name in ("encoder", "edge_encoder") else ():
            if not list(part.children()):
                part.register_forward_pre_hook(lambda *_: beat())
                steps += 1
    return steps
