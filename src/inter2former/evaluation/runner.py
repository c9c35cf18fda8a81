"""A data set through the click loop, here, in several processes or on a Ray cluster; the records are the same.

They come in the data set's order whatever the number of processes, and no more images are in hand at a time than the
processes can soon take, so memory does not grow with the data set. Each process has a number of threads that does not
depend on how many processes there are: sums over another number of threads are rounded otherwise in their last bits,
which once in a while moves a pixel.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import cv2

from inter2former.errors import RunError
from inter2former.evaluation.job import ImageEvaluator, Job, Task
from inter2former.evaluation.ray_engine import evaluate_on_ray
from inter2former.evaluation.records import Record

__all__ = ["ENGINES", "Engine", "evaluate_here", "evaluate_in_processes", "tasks_of"]

Result = TypeVar("Result")
Engine = Callable[[Job, Iterable[Task], int, int], Iterator[Record]]
"""Job, tasks, number of processes and threads of each, to the records in the order of the tasks."""


def tasks_of(images: int, *, shard: tuple[int, int] = (1, 1), after: Task | None = None) -> list[Task]:
    """The images that a run still has to do, in the data set's order.

    Args:
        images: of the data set.
        shard: (i, n): every n-th image from the i-th on, 1 <= i <= n.
        after: the last image that an earlier run began, with what it finished of it; all before it are done.
    Raises:
        ValueError: no such shard.
    """
    first, step = shard
    if not 1 <= first <= step:
        raise ValueError(f"shard is {first}/{step}; write it as I/N with 1 <= I <= N, such as 2/4")
    indices = range(first - 1, images, step)
    if after is None:
        return [Task(index) for index in indices]
    return [after if index == after.index else Task(index) for index in indices if index >= after.index]


def evaluate_here(job: Job, tasks: Iterable[Task], workers: int, threads: int) -> Iterator[Record]:
    """Evaluate in this process; each record comes as soon as its session is finished."""
    evaluator = ImageEvaluator(job, threads)
    for task in tasks:
        yield from evaluator.evaluate(task)


def evaluate_in_processes(job: Job, tasks: Iterable[Task], workers: int, threads: int) -> Iterator[Record]:
    """Evaluate in several processes of this machine; the records of an image come together.

    Raises:
        RunError: a process died.
    """
    # Not forked: a forked process may inherit a lock that a thread of torch holds.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(job, threads))
    try:
        started = (pool.submit(_evaluate, task) for task in tasks)
        for future in _few_at_a_time(started, 2 * workers):
            yield from future.result()
    except BrokenProcessPool:
        raise RunError(
            "a worker process died, perhaps for want of memory; finished images are kept, call again with fewer workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


ENGINES: Mapping[str, Engine] = {"local": evaluate_in_processes, "ray": evaluate_on_ray}
"""How images are spread over several processes."""


def _few_at_a_time(things: Iterable[Result], amount: int) -> Iterator[Result]:
    """Yield in order what beginning is expensive, with `amount` begun ahead."""
    begun: deque[Result] = deque()
    for thing in things:
        begun.append(thing)
        if len(begun) > amount:
            yield begun.popleft()
    yield from begun


_evaluator: ImageEvaluator | Exception | None = None


def _start(job: Job, threads: int) -> None:
    global _evaluator  # a process pool hands state to its tasks in no other way
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is the business of the process that started this one
    _die_with_parent()
    cv2.setNumThreads(threads)
    try:
        _evaluator = ImageEvaluator(job, threads)
    except Exception as error:  # one that leaves here would break the pool without a word of why
        _evaluator = error


def _die_with_parent() -> None:
    """End this process as soon as the one that started it is killed; it would wait for tasks for ever."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        assert parent is not None
        parent.join()
        os._exit(1)

    if parent is not None:
        threading.Thread(target=wait, daemon=True).start()


def _evaluate(task: Task) -> list[Record]:
    assert _evaluator is not None
    if isinstance(_evaluator, Exception):
        raise _evaluator
    return list(_evaluator.evaluate(task))
