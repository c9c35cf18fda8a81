"""Gradients and flags across processes; alone, a process is its own mean."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import socket

import pytest
import torch

from inter2former.checkpoint import load_tensors
from inter2former.data.folder import open_folder
from inter2former.model.moe import HybridMoE
from inter2former.training.clicking import Clicking
from inter2former.training.crops import CropSampler
from inter2former.training.distributed import (
    any_process,
    average_gradients,
    join,
    own_device,
    process_count,
    process_rank,
)
from inter2former.training.embedding_cache import EmbeddingCache
from inter2former.training.live import LiveSampler, annotated_target
from inter2former.training.loop import Trainer
from inter2former.training.sharding import whole


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


def test_devices():
    assert own_device("cpu") == torch.device("cpu")
    for name in ("tpu", "cuda:77", ""):
        with pytest.raises(ValueError, match=f"cannot compute on the device '{name}': .*; use cpu"):
            own_device(name)


def in_a_process(rank, port, results):
    join_as(rank, port)
    parameters = parameters_with_gradients(rank)
    average_gradients(parameters)
    gradients = [parameter.grad.tolist() for parameter in parameters]
    results.put((process_rank(), process_count(), any_process(rank == 1), any_process(False), gradients))


def join_as(rank, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE="2", RANK=str(rank))
    torch.set_num_threads(1)
    join()


def in_two_processes(target, *arguments):
    """What the target puts into its queue in each process: `target(rank, port, results, *arguments)`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=target, args=(rank, port, results, *arguments)) for rank in (0, 1)]
    for worker in workers:
        worker.start()
    answers = sorted(results.get(timeout=300) for _ in workers)
    for worker in workers:
        worker.join()
    return answers


@pytest.mark.slow
def test_two_processes():
    answers = in_two_processes(in_a_process)
    mean = [[[1.5] * 3] * 2, [0.0, 0.5, 1.0, 1.5]]
    assert answers == [(rank, 2, True, False, mean) for rank in (0, 1)]


def train_a_little(folder, cache, out, make_network, settings):
    """Three steps on the folder's photos; the weights' sums and the losses of the first process."""
    # The bias that balances the experts moves once per piece, but once for all processes.
    HybridMoE.balance_rate = 0.0
    network = make_network()
    sampler = CropSampler([open_folder(folder)], EmbeddingCache(cache, network.encoder, size=settings.size), settings)
    trainer = Trainer(Clicking(network, settings), sampler, settings, out)
    trainer.run(lambda report: None)
    return {
        name: value.double() for name, value in trainer.objective.network.state_dict().items() if "balance" not in name
    }


class StopsAt:
    """A source that interrupts the run while it draws for a step; None: it never does."""

    def __init__(self, source, step):
        self.source, self.step = source, step

    def batch(self, step, *, rank=0, processes=1):
        if step == self.step:
            signal.raise_signal(signal.SIGTERM)
        return self.source.batch(step, rank=rank, processes=processes)


def train_encoder_too(folder, out, make_network, settings, stop=None):
    """As `train_a_little`, on pictures that the network encodes itself; whole tensors, in double precision."""
    HybridMoE.balance_rate = 0.0
    network = make_network()
    sampler = LiveSampler("photos", annotated_target([open_folder(folder)], settings), settings)
    trainer = Trainer(Clicking(network, settings), StopsAt(sampler, stop), settings, out)
    trainer.run(lambda report: None)
    assert trainer.step == (settings.steps if stop is None else stop + 1)
    tensors = whole(trainer.objective.network.state_dict())
    return {name: value.double() for name, value in tensors.items() if "balance" not in name}


def train_shared_in_a_process(rank, port, results, folder, out, make_network, settings):
    join_as(rank, port)
    # Stopped after the second step and resumed, which puts the shared state together and takes it apart again.
    train_encoder_too(folder, out / "both", make_network, settings, stop=1)
    weights = train_encoder_too(folder, out / "both", make_network, settings)
    results.put((rank, {name: value.tolist() for name, value in weights.items()}))


@pytest.mark.slow
def test_a_shared_encoder_is_trained_as_a_whole_one(make_folder, new_network, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(HybridMoE, "balance_rate", 0.0)
    folder = make_folder()
    settings = dataclasses.replace(
        settings, steps=3, tokens_per_step=64, live_share=1.0, live_sides=(80, 130), encoder_learning_rate=1e-3
    )
    alone = train_encoder_too(folder, tmp_path / "alone", new_network, dataclasses.replace(settings, accumulate=2))
    shared = dataclasses.replace(settings, shard_encoder=True)
    answers = in_two_processes(train_shared_in_a_process, folder, tmp_path, new_network, shared)
    start = new_network().state_dict()
    for _, together in answers:
        for name, values in together.items():
            torch.testing.assert_close(torch.tensor(values, dtype=torch.float64), alone[name], rtol=1e-3, atol=2e-4)
    assert not torch.equal(start["encoder.stem_in.weight"].double(), alone["encoder.stem_in.weight"])
    weights, _ = load_tensors(tmp_path / "both" / "weights.safetensors")
    assert weights["encoder.stem_in.weight"].shape == start["encoder.stem_in.weight"].shape


def test_sharing_needs_several_processes(new_network, settings, tmp_path):
    settings = dataclasses.replace(settings, live_share=1.0, encoder_learning_rate=1e-3, shard_encoder=True)
    network = new_network()
    with pytest.raises(ValueError, match="shard_encoder needs several processes; start them with torchrun"):
        Trainer(Clicking(network, settings), None, settings, tmp_path / "run")


def train_in_a_process(rank, port, results, folder, cache, out, make_network, settings):
    join_as(rank, port)
    weights = train_a_little(folder, cache, out / "both", make_network, settings)
    results.put((rank, {name: value.tolist() for name, value in weights.items() if not name.startswith("encoder.")}))


@pytest.mark.slow
def test_two_processes_train_as_one_with_two_pieces(make_folder, new_network, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(HybridMoE, "balance_rate", 0.0)
    folder, cache = make_folder(), tmp_path / "cache"
    settings = dataclasses.replace(settings, steps=3, tokens_per_step=64)
    pieces = dataclasses.replace(settings, accumulate=2)
    alone = train_a_little(folder, cache, tmp_path / "alone", new_network, pieces)
    answers = in_two_processes(train_in_a_process, folder, cache, tmp_path, new_network, settings)
    assert [rank for rank, _ in answers] == [0, 1]
    start = new_network().state_dict()
    for _, together in answers:
        for name, values in together.items():
            # Adam divides by the root of the squared gradient, which magnifies rounding where the gradient is near 0.
            torch.testing.assert_close(torch.tensor(values, dtype=torch.float64), alone[name], rtol=1e-3, atol=2e-4)
    moved = [name for name in answers[0][1] if not torch.equal(start[name].double(), alone[name])]
    assert len(moved) > 50
    assert answers[0][1] == answers[1][1]
