"""The kernels run on as many threads as PyTorch is told to, start none beyond, and leave the processor to others."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from inter2former.kernels import native

COUNT_THREADS = """
import os, torch
from inter2former.kernels import native
x, weight = torch.ones(2000, 64), torch.ones(64, 64)

def appeared(threads):
    torch.set_num_threads(threads)
    before = len(os.listdir("/proc/self/task"))
    native.linear(x, weight, weight[0])
    return len(os.listdir("/proc/self/task")) - before

print([appeared(threads) for threads in (1, 3, 2)], flush=True)
child = os.fork()
if child == 0:
    print(appeared(3), flush=True)
    os._exit(0)
assert os.waitpid(child, 0) == (child, 0)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc, which is Linux's")
def test_pool_has_as_many_threads_as_pytorch():
    command = [sys.executable, "-W", "ignore", "-c", COUNT_THREADS]
    counted = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    # The caller works too, so the pool starts one thread less. PyTorch has not multiplied yet and has none.
    assert counted[0] == "[0, 2, 0]"
    # The child of a fork has none of its parent's threads.
    assert counted[1] == "2"


def arguments():
    torch.manual_seed(0)
    return torch.randn(500, 64), torch.randn(64, 64), torch.randn(64)


def test_threads_without_work_sleep(torch_threads):
    torch.set_num_threads(4)
    native.linear(*arguments())
    time.sleep(0.01)
    started = time.process_time()
    time.sleep(0.2)
    # Three threads that went on watching would take 0.2 s and more on two processors.
    assert time.process_time() - started < 0.05


def test_callers_side_by_side_get_the_same(torch_threads):
    torch.set_num_threads(2)
    expected, results = native.linear(*arguments()), []

    def call():
        torch.set_num_threads(2)
        results.extend(torch.equal(native.linear(*arguments_), expected) for _ in range(50))

    arguments_ = arguments()
    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert results == [True] * 150


def test_takes_turns_with_pytorch(torch_threads):
    torch.set_num_threads(2)
    square, inputs = torch.randn(300, 300), arguments()
    product, expected = square @ square, native.linear(*inputs)
    for _ in range(20):
        assert torch.equal(square @ square, product)
        assert torch.equal(native.linear(*inputs), expected)
