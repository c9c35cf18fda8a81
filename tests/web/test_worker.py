"""The inference thread: urgent jobs first, also in the middle of long ones, and nothing for those who have gone."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError

import pytest

from inter2former.web.worker import Priority, Worker


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.close()


@pytest.fixture
def gate():
    """Keeps the worker busy until it is set."""
    return threading.Event()


def test_urgent_jobs_go_first_then_the_older(worker, gate):
    order = []
    worker.submit(Priority.CLICK, lambda: gate.wait(10))
    jobs = [
        worker.submit(priority, lambda name=name: order.append(name))
        for name, priority in [
            ("precompute", Priority.PRECOMPUTE),
            ("prefetch", Priority.PREFETCH),
            ("first click", Priority.CLICK),
            ("open", Priority.OPEN),
            ("second click", Priority.CLICK),
        ]
    ]
    gate.set()
    for job in jobs:
        job.future.result(10)
    assert order == ["first click", "second click", "open", "prefetch", "precompute"]


def test_a_long_job_steps_aside_for_a_click_only(worker):
    order, started = [], threading.Event()
    handed_in = threading.Event()

    def long():
        started.set()
        handed_in.wait(10)
        worker.beat()
        order.append("long")

    job = worker.submit(Priority.PREFETCH, long)
    started.wait(10)
    later = worker.submit(Priority.PRECOMPUTE, lambda: order.append("precompute"))
    worker.submit(Priority.CLICK, lambda: order.append("click"))
    handed_in.set()
    job.future.result(10)
    later.future.result(10)
    assert order == ["click", "long", "precompute"]


def test_what_can_wait_rests_while_the_page_paints_a_click_s_answer(worker):
    began = {}

    def note(name):
        began[name] = time.perf_counter()

    worker.submit(Priority.CLICK, lambda: note("click")).future.result(10)
    later = worker.submit(Priority.PREFETCH, lambda: note("prefetch"))
    worker.submit(Priority.OPEN, lambda: note("open")).future.result(10)
    worker.submit(Priority.CLICK, lambda: note("second click")).future.result(10)
    later.future.result(10)
    assert list(began) == ["click", "open", "second click", "prefetch"]
    assert began["prefetch"] - began["second click"] >= 0.09


def test_a_job_that_waits_is_never_run_after_it_was_cancelled(worker, gate):
    ran = []
    worker.submit(Priority.CLICK, lambda: gate.wait(10))
    job = worker.submit(Priority.OPEN, lambda: ran.append(1))
    job.cancel()
    last = worker.submit(Priority.PRECOMPUTE, lambda: ran.append(2))
    gate.set()
    last.future.result(10)
    assert ran == [2]


def test_an_abandoned_job_ends_at_its_next_beat(worker):
    started, cancelled = threading.Event(), threading.Event()
    reached = []

    def long():
        started.set()
        cancelled.wait(10)
        worker.beat()
        reached.append(1)

    job = worker.submit(Priority.PREFETCH, long)
    started.wait(10)
    job.cancel()
    cancelled.set()
    with pytest.raises(CancelledError):
        job.future.result(10)
    assert not reached


def test_errors_reach_whoever_asked_and_the_thread_goes_on(worker):
    def fail():
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        worker.submit(Priority.CLICK, fail).future.result(10)
    assert worker.submit(Priority.CLICK, lambda: 7).future.result(10) == 7


def test_a_closed_worker_takes_nothing():
    worker = Worker()
    worker.close()
    with pytest.raises(RuntimeError, match="closed"):
        worker.submit(Priority.CLICK, lambda: 1)
