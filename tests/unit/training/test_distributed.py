"""Gradients and flags across processes; alone, a process is its own mean."""

from __future__ import annotations

import multiprocessing
import os
import socket

import pytest
import torch

from inter2former.training.distributed import any_process, average_gradients, join, process_count, process_rank


def parameters_with_gradients(rank):
    first, second = torch.nn.Parameter(torch.zeros(2, 3)), torch.nn.Parameter(torch.zeros(4))
    first.grad = torch.full((2, 3), float(rank + 1))
    if rank == 0:  # the other process has none, as where no token reached an expert
        second.grad = torch.arange(4.0)
    return [first, second]


def test_alone():
    join()
    assert (process_rank(), process_count()) == (0, 1)
    assert any_process(True)
    assert not any_process(False)
    parameters = parameters_with_gradients(1)
    average_gradients(parameters)
    assert torch.equal(parameters[0].grad, torch.full((2, 3), 2.0))
    assert parameters[1].grad is None


def in_a_process(rank, port, results):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE="2", RANK=str(rank))
    torch.set_num_threads(1)
    join()
    parameters = parameters_with_gradients(rank)
    average_gradients(parameters)
    gradients = [parameter.grad.tolist() for parameter in parameters]
    results.put((process_rank(), process_count(), any_process(rank == 1), any_process(False), gradients))


@pytest.mark.slow
def test_two_processes():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=in_a_process, args=(rank, port, results)) for rank in (0, 1)]
    for worker in workers:
        worker.start()
    answers = sorted(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    mean = [[[1.5] * 3] * 2, [0.0, 0.5, 1.0, 1.5]]
    assert answers == [(rank, 2, True, False, mean) for rank in (0, 1)]
