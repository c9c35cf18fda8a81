"""The state of a training run on disk: written atomically, resumed exactly."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from inter2former.errors import WeightsError
from inter2former.files import replacing

__all__ = ["RunState", "WeightMean"]


class WeightMean:
    """Exponential mean of a module's trained tensors, with a decay that grows from 0 so that the start is forgotten."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        """Start with the module's present weights."""
        self.decay = decay
        self.updates = 0
        self.tensors = {key: value.detach().clone() for key, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take in the module's present weights; integer tensors are copied."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        for key, value in module.state_dict().items():
            if value.is_floating_point():
                self.tensors[key].lerp_(value, 1 - decay)
            else:
                self.tensors[key].copy_(value)


@dataclass(slots=True)
class RunState:
    """All that a run needs to go on as if it had never stopped; draws depend on the step alone.

    Attributes:
        step: steps done.
        network: trained weights.
        optimiser: the optimiser's state.
        mean: the mean weights.
        mean_updates: how many updates they have seen.
    """

    step: int
    network: dict[str, Tensor]
    optimiser: dict[str, Any]
    mean: dict[str, Tensor]
    mean_updates: int

    def save(self, path: Path) -> None:
        """Write a file that appears complete or not at all."""
        with replacing(path) as stream:
            torch.save({name: getattr(self, name) for name in self.__slots__}, stream)

    @classmethod
    def load(cls, path: Path) -> RunState:
        """Read a state back; nothing but tensors and plain values is unpickled.

        Raises:
            WeightsError: the file is damaged or no training state.
        """
        try:
            values = torch.load(path, map_location="cpu", weights_only=True)
            return cls(**values)
        except (RuntimeError, TypeError, EOFError, OSError, pickle.UnpicklingError) as error:
            # torch explains itself over many lines; they stay in the chain.
            raise WeightsError(f"{path} is no training state that can be resumed; delete it to begin anew") from error
