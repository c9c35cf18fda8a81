"""Several processes that train one network: each draws its share of the batch, and they average their gradients."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn

from inter2former.device import usable_device

__all__ = ["any_process", "average_gradients", "join", "own_device", "process_count", "process_rank"]


def join() -> None:
    """Join the processes that `torchrun` started; does nothing in a process that was started alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")


def own_device(name: str) -> torch.device:
    """The device of a name; of several accelerators in one machine each process takes its own.

    Raises:
        ValueError: there is no such device here.
    """
    return usable_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if name == "cuda" else name)


def process_rank() -> int:
    """Number of this process, 0 for the first or only one."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def process_count() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process; all must call it."""
    if process_count() == 1:
        return flag
    value = torch.tensor(float(flag))
    distributed.all_reduce(value)
    return bool(value > 0)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the processes; a parameter without one counts as zero.

    One flat message: the decoder's gradients are 7 MB, so latency costs more than copying.
    """
    if process_count() == 1:
        return
    parameters = list(parameters)
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= process_count()
    parts: tuple[Tensor, ...] = flat.split([p.numel() for p in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter).clone(memory_format=torch.preserve_format)
