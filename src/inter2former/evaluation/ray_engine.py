"""The images of a run spread over a Ray cluster, or over this machine where no cluster is named."""

from __future__ import annotations

import importlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from inter2former.errors import MissingPackageError, RunError
from inter2former.evaluation.job import ImageEvaluator, Job, Task
from inter2former.evaluation.records import Record

__all__ = ["evaluate_on_ray"]


class _Actor:
    """An evaluator in a process of the cluster."""

    def __init__(self, job: Job, threads: int) -> None:
        try:
            self._evaluator: ImageEvaluator | Exception = ImageEvaluator(job, threads)
        except Exception as error:  # of one that leaves here, only a traceback as text would arrive
            self._evaluator = error

    def evaluate(self, task: Task) -> list[Record]:
        """The records of one image."""
        if isinstance(self._evaluator, Exception):
            raise self._evaluator
        return list(self._evaluator.evaluate(task))


def evaluate_on_ray(job: Job, tasks: Iterable[Task], workers: int, threads: int) -> Iterator[Record]:
    """Evaluate in actors of a Ray cluster; the records of an image come together, in the order of the tasks.

    The cluster is the one of the environment variable RAY_ADDRESS or one that the caller has joined; where there is
    neither, Ray is started on this machine for the time of the run. Every node must see the data set, the weights and
    this package under the same paths.

    Args:
        job: what to do.
        tasks: the images.
        workers: actors.
        threads: of each actor; it asks the cluster for as many cores.
    Raises:
        MissingPackageError: Ray is not installed.
        RunError: an actor died.
    """
    ray = _ray()
    joined = ray.is_initialized()
    if not joined:
        _join(ray, workers * threads)
    try:
        yield from _spread(ray, job, tasks, workers, threads)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayActorError as error:
        reason = str(error).strip().splitlines()[-1]
        raise RunError(f"an actor died ({reason}); finished images are kept, call again") from None
    finally:
        if not joined:
            ray.shutdown()


def _spread(ray: ModuleType, job: Job, tasks: Iterable[Task], workers: int, threads: int) -> Iterator[Record]:
    kind = ray.remote(num_cpus=threads)(_Actor)
    shared = ray.put(job)
    free: list[Any] = [kind.remote(shared, threads) for _ in range(workers)]
    busy: dict[Any, Any] = {}  # from the promise of records to the actor that makes them
    order: deque[Any] = deque()
    for task in tasks:
        while not free:
            for promise in ray.wait(list(busy), num_returns=1)[0]:
                free.append(busy.pop(promise))
        actor = free.pop()
        promise = actor.evaluate.remote(task)
        busy[promise] = actor
        order.append(promise)
        # Finished or not, the first has to come before too many wait behind it.
        while order and (order[0] not in busy or len(order) > 4 * workers):
            yield from ray.get(order.popleft())
    while order:
        yield from ray.get(order.popleft())


def _join(ray: ModuleType, cores: int) -> None:
    if address := os.environ.get("RAY_ADDRESS"):
        ray.init(address=address, log_to_driver=False)
    else:
        ray.init(
            address="local",
            num_cpus=max(cores, os.cpu_count() or 1),
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
        )


def _ray() -> ModuleType:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise MissingPackageError(
            f"--engine ray needs the package ray ({error}); install it with: pip install 'inter2former[ray]'"
        ) from None
