"""Every setting of a training run, as one frozen value; unknown names are refused."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

__all__ = ["TrainingSettings"]


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How the decoder and the edge encoder are trained on cached embeddings.

    Attributes:
        steps: optimiser steps of the whole run.
        size: working size of the images in pixels.
        crop_sides: sides of the square crops in pixels, multiples of 16; one is drawn per step.
        crop_weights: how often each side is drawn, relative to each other.
        tokens_per_step: a step's batch holds as many crops as fit into this number of tokens, at least one.
        learning_rate: highest learning rate of AdamW.
        warmup_steps: linear warm-up from zero; afterwards the rate falls linearly to zero.
        weight_decay: for matrices; vectors and biases have none.
        clip_norm: greatest norm of the gradient.
        ema_decay: of the exponential mean of the weights, which is what is evaluated and shipped.
        commitment_weight: factor on the codebook's commitment loss.
        coarse_weight: factor on the auxiliary loss of the low-resolution mask.
        extra_click_gamma: ratio of the probabilities of one more simulated click.
        max_extra_clicks: greatest number of simulated clicks before the one that is learned from.
        inner_ratio: the simulated click falls where an error is deeper than 1/inner_ratio of its greatest depth.
        box_probability: how often a session starts with a box instead of a click.
        outer_radii: range in pixels of the outer radius of later clicks, drawn per session, so that the network learns
            to cope with an unknown region of any size.
        first_outer_radii: the same for the first click.
        min_object_pixels: objects with fewer working pixels in the crop are passed over.
        source_weights: how often a data set is drawn, by its name; 1 where it is not named.
        log_every: steps between log lines.
        checkpoint_every: steps between checkpoints.
        seed: of everything that is drawn.
    """

    steps: int = 1300
    size: int = 1024
    crop_sides: tuple[int, ...] = (512, 768, 1024)
    crop_weights: tuple[float, ...] = (0.8, 0.1, 0.1)
    tokens_per_step: int = 8192
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    ema_decay: float = 0.995
    commitment_weight: float = 1.0
    coarse_weight: float = 1.0
    extra_click_gamma: float = 0.6
    max_extra_clicks: int = 20
    inner_ratio: float = 1.7
    box_probability: float = 0.08
    outer_radii: tuple[int, int] = (64, 256)
    first_outer_radii: tuple[int, int] = (192, 384)
    min_object_pixels: int = 200
    source_weights: tuple[tuple[str, float], ...] = (
        ("coco", 3.0),
        ("person", 2.0),
        ("pets", 1.5),
        ("bsds", 1.5),
        ("street", 1.0),
        ("nuclei", 0.6),
        ("magnetic_tile", 0.4),
    )
    log_every: int = 10
    checkpoint_every: int = 100
    seed: int = 42

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        if len(self.crop_sides) != len(self.crop_weights):
            raise ValueError(
                f"{len(self.crop_sides)} crop_sides but {len(self.crop_weights)} crop_weights; give one weight per side"
            )
        for name in ("steps", "size", "tokens_per_step", "log_every", "checkpoint_every", "min_object_pixels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        wrong = [side for side in self.crop_sides if side % 16 or side < 16]
        if wrong:
            raise ValueError(f"crop side {wrong[0]} is no multiple of 16")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingSettings:
        """Build settings from plain values, as JSON holds them.

        Raises:
            ValueError: an unknown name, or a value of another kind than the default's.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(values.keys() - names)
        if unknown:
            raise ValueError(f"unknown training setting {unknown[0]!r}; the settings are {', '.join(sorted(names))}")
        defaults = cls()
        checked: dict[str, Any] = {key: _checked(key, value, getattr(defaults, key)) for key, value in values.items()}
        return cls(**checked)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        return dataclasses.asdict(self)


def _checked(name: str, value: object, default: object) -> object:
    """The value with lists as tuples; whole numbers also where fractions are allowed."""
    value = _frozen(value)
    wanted = int | float if isinstance(default, float) else type(default)
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise ValueError(f"training setting {name} is {value!r}; the default is {default!r}, give the same kind")
    return value


def _frozen(value: object) -> object:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value
