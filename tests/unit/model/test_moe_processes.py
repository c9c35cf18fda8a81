"""Two processes that train together balance their experts as one with both batches would."""

from __future__ import annotations

import multiprocessing
import socket

import pytest
import torch

from inter2former.model.boundary import TokenSplit
from inter2former.model.moe import HybridMoE

TOKENS, CHANNELS, CALLS = 24, 16, 3


def make():
    """The layer, the tokens of both processes, and their boundary flags in each call."""
    torch.manual_seed(0)
    layer = HybridMoE(CHANNELS, hidden=32, experts=4)
    layer.balance_rate = 0.1
    flags = torch.rand(CALLS, 2, 4, 6) < 0.5
    flags[1, 1] = False  # once the second process has no boundary token, and must not keep the first one waiting
    return layer, torch.randn(2, TOKENS, CHANNELS), flags


def train(layer, tokens, flags):
    for boundary in flags:
        layer.forward_training(tokens, TokenSplit.of(boundary))
    return layer.balance_bias.tolist(), int(layer.balance_step)


def in_a_process(rank, port, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    layer, tokens, flags = make()
    results.put(train(layer, tokens[rank : rank + 1], flags[:, rank : rank + 1]))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_bias_of_two_processes_is_that_of_the_joint_batch():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=in_a_process, args=(rank, port, results)) for rank in (0, 1)]
    for worker in workers:
        worker.start()
    answers = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    joint = train(*make())
    assert answers == [joint, joint]
    assert joint[1] == CALLS
    assert any(joint[0])
