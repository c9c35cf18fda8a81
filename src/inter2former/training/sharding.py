"""Tensors that are shared out over the processes (FSDP2), for encoders whose training does not fit into one of them.

Each process keeps its part of every tensor, of its gradient and of the optimiser's state; what a layer needs is put
together while it runs. Whatever leaves the process, such as a checkpoint, is whole again, so that a run may go on with
another number of processes, or without sharing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from inter2former.model.image_encoder import ImageEncoder
from inter2former.model.tiny_vit import TinyViT
from inter2former.training.distributed import process_count

__all__ = ["clip_gradients", "is_shared", "parts_like", "share_out", "share_out_state", "whole"]


def share_out(encoder: ImageEncoder) -> None:
    """Share the tensors of an encoder out over all processes, block by block.

    Raises:
        ValueError: there is only one process.
    """
    if process_count() == 1:
        raise ValueError("shard_encoder needs several processes; start them with torchrun, or leave it out")
    mesh = init_device_mesh(next(encoder.parameters()).device.type, (process_count(),))
    stages = encoder.window_stages if isinstance(encoder, TinyViT) else [encoder.blocks]
    for stage in stages:
        for block in stage:  # type: ignore[attr-defined]
            fully_shard(block, mesh=mesh)
    fully_shard(encoder, mesh=mesh)


def is_shared(tensor: Tensor) -> bool:
    """Whether each process has a part of the tensor only."""
    return isinstance(tensor, DTensor)


def whole(value: Any) -> Any:  # noqa: ANN401 - any nesting of plain values
    """The same with every shared tensor put together; all processes must call it.

    Args:
        value: a tensor, or dictionaries and lists with tensors in them.
    """
    if isinstance(value, DTensor):
        return value.full_tensor()
    if isinstance(value, Mapping):
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


def parts_like(tensors: Mapping[str, Tensor], patterns: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Share whole tensors out as the patterns of the same names are.

    Args:
        tensors: whole, the same in all processes.
        patterns: shared or not.
    """
    return {key: _part_like(value, patterns[key]) for key, value in tensors.items()}


def share_out_state(optimiser: torch.optim.Optimizer) -> None:
    """Share the state of an optimiser out as its tensors are, after whole state was loaded."""
    for parameter, state in optimiser.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = _part_like(value, parameter)


def clip_gradients(parameters: Sequence[nn.Parameter], limit: float) -> float:
    """Scale all gradients so that their norm is at most `limit`.

    Args:
        parameters: shared or not; those without a gradient are passed over.
        limit: greatest norm.

    Returns:
        the norm before.
    """
    shared = [parameter for parameter in parameters if is_shared(parameter)]
    if not shared:
        return float(nn.utils.clip_grad_norm_(parameters, limit))
    own = [parameter for parameter in parameters if not is_shared(parameter)]
    norms = [nn.utils.get_total_norm([p.grad for p in group if p.grad is not None]) for group in (own, shared)]
    total = float(torch.stack([whole(norm) for norm in norms]).norm())
    for group in (own, shared):
        for parameter in group:
            if parameter.grad is not None:
                parameter.grad.mul_(min(1.0, limit / (total + 1e-6)))
    return total


def _part_like(value: Tensor, pattern: Tensor) -> Tensor:
    if isinstance(pattern, DTensor) and not isinstance(value, DTensor):
        return distribute_tensor(value.to(pattern.device), pattern.device_mesh, pattern.placements)
    return value.to(pattern.device)
