"""How fast a stage could be: its operations and bytes at the rates that this machine reaches in this process."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from inter2former.benchmark.counting import count_operations

__all__ = ["Floor", "Rates", "Stage", "floor_of", "measured_rates"]

_SIDE = 1024
_COPIED = 1 << 25
_BEST_OF = 5


class Stage(NamedTuple):
    """A part of the work that can be timed and counted by itself.

    Attributes:
        run: does it and returns what it makes.
        reads: tensors and modules, each of whose numbers it reads at least once.
        counted: what is counted in place of `run`, where that takes a way that PyTorch cannot see; None: `run`.
    """

    run: Callable[[], object]
    reads: tuple[Tensor | nn.Module, ...]
    counted: Callable[[], object] | None = None


class Rates(NamedTuple):
    """What the machine does at its best.

    Attributes:
        operations: additions and multiplications in a product of two float32 matrices, per second.
        bytes: read and written in a copy that no cache holds, per second.
    """

    operations: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Floor:
    """The least that a stage has to do.

    Attributes:
        operations: in matrix products, convolutions and attention, as the reference kernels need them; a native kernel
            that gets along with fewer may be faster than the floor.
        bytes: of what it reads and makes, each number once.
        milliseconds: what that takes at the machine's rates, whichever of the two takes longer.
    """

    operations: int
    bytes: int
    milliseconds: float

    def to_dict(self) -> dict[str, float]:
        """The values as JSON holds them."""
        return dataclasses.asdict(self)


def measured_rates(device: torch.device) -> Rates:
    """The best of a few products of 1024 x 1024 matrices, and of a few copies of 128 MiB.

    Args:
        device: where they are measured.
    """
    left, right = torch.ones(_SIDE, _SIDE, device=device), torch.ones(_SIDE, _SIDE, device=device)
    source = torch.ones(_COPIED, device=device)
    target = torch.empty_like(source)
    product = _fastest(lambda: torch.mm(left, right), device)
    copy = _fastest(lambda: target.copy_(source), device)
    return Rates(2 * _SIDE**3 / product, 2 * source.nbytes / copy)


def floor_of(stage: Stage, rates: Rates) -> Floor:
    """Count a stage and say what it takes at least.

    Args:
        stage: is run once or twice.
        rates: of the machine.
    """
    operations = count_operations(stage.counted or stage.run)
    moved = _bytes((*stage.reads, stage.run()))
    return Floor(operations, moved, 1000 * max(operations / rates.operations, moved / rates.bytes))


def _bytes(values: Iterable[object]) -> int:
    """Bytes of all tensors in modules, tuples and lists."""
    total = 0
    for value in values:
        if isinstance(value, Tensor):
            total += value.nbytes
        elif isinstance(value, nn.Module):
            total += _bytes(value.parameters())
        elif isinstance(value, tuple | list):
            total += _bytes(value)
    return total


def _fastest(call: Callable[[], object], device: torch.device) -> float:
    taken = []
    for _ in range(_BEST_OF + 1):
        started = time.perf_counter()
        call()
        if device.type != "cpu":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return min(taken[1:])
