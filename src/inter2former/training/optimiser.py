"""The optimiser: which tensors are trained at which rate, and how the rates change over the steps."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from inter2former.model.image_encoder import ImageEncoder
from inter2former.model.tiny_vit import TinyViT
from inter2former.training.settings import TrainingSettings
from inter2former.training.sharding import is_shared

__all__ = ["ScheduledAdamW", "encoder_layers", "schedule"]


class _Rate(NamedTuple):
    """What the tensors of one group have in common."""

    peak: float
    decays: bool
    shared: bool = False  # shared tensors and others cannot be changed in one call


class ScheduledAdamW:
    """AdamW whose learning rates follow the schedule; what has no rate is frozen.

    Attributes:
        optimiser: the optimiser itself, whose state is saved.
        trained: the tensors that it changes.
    """

    def __init__(self, module: nn.Module, encoder: ImageEncoder, settings: TrainingSettings) -> None:
        """Sort the tensors that want a gradient into groups.

        Args:
            module: all that is trained.
            encoder: the image encoder in it, which has rates of its own; frozen if it is not trained.
            settings: the rates and the schedule.
        """
        self.settings = settings
        _freeze(encoder, settings)
        groups: dict[_Rate, list[nn.Parameter]] = {}
        # These two come first and in this order, whatever the network: runs of earlier versions are resumed by place.
        groups[_Rate(settings.learning_rate, True)] = []
        groups[_Rate(settings.learning_rate, False)] = []
        rates = _encoder_rates(encoder, settings)
        peaks = {id(parameter): rates[name] for name, parameter in encoder.named_parameters()}
        for parameter in module.parameters():
            if parameter.requires_grad:
                # Vectors and biases do not decay.
                peak = peaks.get(id(parameter), settings.learning_rate)
                groups.setdefault(_Rate(peak, parameter.ndim > 1, is_shared(parameter)), []).append(parameter)
        self.peaks = [rate.peak for rate in groups]
        # In the module's order: the norm of the gradient is summed in it, and another order rounds otherwise.
        self.trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        described = [
            {"params": members, "lr": rate.peak, "weight_decay": settings.weight_decay if rate.decays else 0.0}
            for rate, members in groups.items()
        ]
        self.optimiser = torch.optim.AdamW(described, lr=settings.learning_rate)

    def step(self, step: int) -> None:
        """Change the tensors by their gradients, at the rates of this step of the run."""
        share = schedule(step, self.settings)
        for group, peak in zip(self.optimiser.param_groups, self.peaks, strict=True):
            group["lr"] = peak * share
        self.optimiser.step()


def schedule(step: int, settings: TrainingSettings) -> float:
    """Share of the highest learning rate at a step: a linear warm-up, then a polynomial decay to 0."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    left = (settings.steps - step) / max(1, settings.steps - settings.warmup_steps)
    return float(max(0.0, left) ** settings.decay_power)


def encoder_layers(encoder: ImageEncoder) -> dict[str, int]:
    """The layer that each tensor of an encoder belongs to.

    Returns:
        by name: 0 for what makes tokens of pixels; 1, 2, ... for the blocks, a merging counted with the block after it;
        one more than the last block for what follows.
    """
    names = [name for name, _ in encoder.named_parameters()]
    if not isinstance(encoder, TinyViT):
        stems = ("patches.", "positions")
        return {
            name: 0 if name.startswith(stems) else _index(name, 1) + 1 if name.startswith("blocks.") else _last(encoder)
            for name in names
        }
    stages = [encoder.local_stage, *encoder.window_stages]
    starts = [1 + sum(len(stage) for stage in stages[:number]) for number in range(len(stages))]
    layers = {}
    for name in names:
        if name.startswith("stem_"):
            layers[name] = 0
        elif name.startswith("local_stage."):
            layers[name] = starts[0] + _index(name, 1)
        elif name.startswith("merges."):
            layers[name] = starts[_index(name, 1) + 1]
        elif name.startswith("window_stages."):
            layers[name] = starts[_index(name, 1) + 1] + _index(name, 2)
        else:
            layers[name] = _last(encoder)
    return layers


def _index(name: str, place: int) -> int:
    return int(name.split(".")[place])


def _last(encoder: ImageEncoder) -> int:
    """The layer after the last block."""
    if isinstance(encoder, TinyViT):
        blocks = [*encoder.local_stage, *(block for stage in encoder.window_stages for block in stage)]  # type: ignore[attr-defined]
        return len(blocks) + 1
    return len(encoder.blocks) + 1


def _freeze(encoder: ImageEncoder, settings: TrainingSettings) -> None:
    """Let only the layers want a gradient that are trained.

    Raises:
        ValueError: the settings freeze more layers than there are.
    """
    first, last = settings.encoder_frozen_layers, _last(encoder)
    if not 0 <= first <= last:
        raise ValueError(
            f"encoder_frozen_layers is {first}, but the encoder's layers are 0 to {last}; leave one to train"
        )
    layers = encoder_layers(encoder)
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(settings.encoder_learning_rate > 0 and layers[name] >= first)


def _encoder_rates(encoder: ImageEncoder, settings: TrainingSettings) -> dict[str, float]:
    """Highest learning rate per tensor of the encoder: full after the last block, less by a factor per layer below.

    Counted from more layers than there are, as the release does, every block is slower by the same further factor.
    """
    last = _last(encoder)
    top = settings.encoder_layers + 1 if settings.encoder_layers else last
    return {
        name: settings.encoder_learning_rate * settings.encoder_layer_decay ** (0 if layer == last else top - layer)
        for name, layer in encoder_layers(encoder).items()
    }
