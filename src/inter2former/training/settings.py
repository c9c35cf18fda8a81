"""Every setting of a training run, as one frozen value; unknown names are refused."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

__all__ = ["SETTINGS", "TrainingSettings", "named_settings"]

AT_LEAST_ONE = (
    "steps",
    "size",
    "tokens_per_step",
    "log_every",
    "checkpoint_every",
    "min_object_pixels",
    "accumulate",
    "max_merged_objects",
    "kept_states",
    "picture_every",
    "learned_answers",
)
SHARES = (
    "box_probability",
    "merge_probability",
    "live_share",
    "synthetic_share",
    "synthetic_thin_share",
    "hidden_share",
    "unsteady_share",
)


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a network is trained: by default decoder and edge encoder, on cached embeddings of the image encoder.

    The sources of the pictures share the steps: `live_share` and `synthetic_share` of them are drawn as they come and
    encoded by the network, the rest are crops of cached embeddings.

    Attributes:
        steps: optimiser steps of the whole run.
        size: working size of the images in pixels.
        crop_sides: sides of the square crops in pixels, multiples of 16; one is drawn per step.
        crop_weights: how often each side is drawn, relative to each other.
        tokens_per_step: a step's batch holds as many crops as fit into this number of tokens, at least one.
        learning_rate: highest learning rate of AdamW.
        warmup_steps: linear warm-up from zero; afterwards the rate falls to zero.
        decay_power: power of the polynomial by which it falls; 1: linearly.
        weight_decay: for matrices; vectors and biases have none.
        clip_norm: greatest norm of the gradient.
        ema_decay: of the exponential mean of the weights, which is what is evaluated and shipped.
        commitment_weight: factor on the codebook's commitment loss.
        coarse_weight: factor on the auxiliary loss of the low-resolution mask.
        extra_click_gamma: ratio of the probabilities of one more simulated click.
        max_extra_clicks: greatest number of simulated clicks before the one that is learned from.
        learned_answers: how many of a session's answers are learned from, the last ones; the image is encoded once for
            all of them.
        inner_ratio: the simulated click falls where an error is deeper than 1/inner_ratio of its greatest depth.
        unsteady_share: share of the sessions whose clicks are those of `RealisticClicker`: drawn over the whole error,
            with an unsteady hand, some of them beside it.
        box_probability: how often a session starts with a box instead of a click.
        outer_radii: range in pixels of the outer radius of later clicks, drawn per session, so that the network learns
            to cope with an unknown region of any size.
        first_outer_radii: the same for the first click.
        min_object_pixels: objects with fewer working pixels in the crop are passed over.
        source_weights: how often a data set is drawn, by its name; 1 where it is not named.
        log_every: steps between log lines.
        checkpoint_every: steps between checkpoints.
        seed: of everything that is drawn.
        accumulate: pieces that a step's batch is computed in, one after the other, where it does not fit into memory
            at once. The gradient is the mean over the pieces; so are draws and gradient of as many processes. Only the
            balance bias of the experts moves once per piece.
        bfloat16: compute in bfloat16 where that is safe (autocast); weights and losses stay float32.
        encoder_learning_rate: highest learning rate of the image encoder's last layers; 0: the encoder stays as it is.
        encoder_layer_decay: factor on the rate per layer of the encoder, from the last one down.
        encoder_frozen_layers: how many of the encoder's first layers stay as they are, which need no gradient then.
        encoder_layers: the number of layers from which the decay is counted; 0: as many as the encoder has. The release
            counts from 24 for a ViT of 12, which slows all of its layers.
        merge_probability: how often several objects are merged into one.
        max_merged_objects: greatest number of merged objects.
        live_share: share of the steps whose pictures come from the data sets, augmented.
        live_sides: range in pixels of the longest side that such a picture is resized to, before the crop.
        synthetic_share: share of the steps whose pictures are made up, see `inter2former.data.synthetic`.
        synthetic_size: longest side of made-up pictures in pixels.
        synthetic_thin_share: share of the made-up pictures that show thin structures only.
        workers: threads that prepare batches ahead; 0: each batch is prepared when it is needed.
        kept_states: how many of the newest checkpoints are kept; older ones lie in `states/` of the run's folder.
        tensorboard: write scalars and pictures for TensorBoard into the run's folder.
        picture_every: steps between pictures.
        hidden_share: share of the patches that pre-training hides.
        shard_encoder: share the image encoder's tensors, gradients and optimiser state out over the processes (FSDP2).
        answer_weight: factor on distillation's loss of the teacher's masks.
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
    learned_answers: int = 1
    inner_ratio: float = 1.7
    unsteady_share: float = 0.0
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
    accumulate: int = 1
    decay_power: float = 1.0
    bfloat16: bool = False
    encoder_learning_rate: float = 0.0
    encoder_layer_decay: float = 0.9
    encoder_frozen_layers: int = 0
    encoder_layers: int = 0
    merge_probability: float = 0.0
    max_merged_objects: int = 3
    live_share: float = 0.0
    live_sides: tuple[int, int] = (512, 1536)
    synthetic_share: float = 0.0
    synthetic_size: int = 1024
    synthetic_thin_share: float = 0.5
    workers: int = 0
    kept_states: int = 1
    tensorboard: bool = False
    picture_every: int = 500
    hidden_share: float = 0.75
    answer_weight: float = 1.0
    shard_encoder: bool = False

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        if len(self.crop_sides) != len(self.crop_weights):
            raise ValueError(
                f"{len(self.crop_sides)} crop_sides but {len(self.crop_weights)} crop_weights; give one weight per side"
            )
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in 0..1")
        if self.live_share + self.synthetic_share > 1:
            raise ValueError(
                f"live_share is {self.live_share} and synthetic_share {self.synthetic_share}; together at most 1"
            )
        if self.encoder_learning_rate and self.live_share + self.synthetic_share < 1:
            raise ValueError(
                f"encoder_learning_rate is {self.encoder_learning_rate}, but some steps use cached embeddings, which "
                "do not change with the encoder; set live_share and synthetic_share so that they add up to 1"
            )
        if self.shard_encoder and not self.encoder_learning_rate:
            raise ValueError("shard_encoder is set but encoder_learning_rate is 0; an encoder that stays fits anywhere")
        wrong = [side for side in self.crop_sides if side % 16 or side < 16]
        if wrong:
            raise ValueError(f"crop side {wrong[0]} is no multiple of 16")

    @classmethod
    def from_dict(cls, values: dict[str, Any], defaults: TrainingSettings | None = None) -> TrainingSettings:
        """Build settings from plain values, as JSON holds them.

        Args:
            values: by the names of the settings.
            defaults: where the other settings come from; None: the defaults of this class.

        Raises:
            ValueError: an unknown name, or a value of another kind than the default's.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(values.keys() - names)
        if unknown:
            raise ValueError(f"unknown training setting {unknown[0]!r}; the settings are {', '.join(sorted(names))}")
        defaults = defaults or cls()
        checked: dict[str, Any] = {key: _checked(key, value, getattr(defaults, key)) for key, value in values.items()}
        return dataclasses.replace(defaults, **checked)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        return dataclasses.asdict(self)


def _checked(name: str, value: object, default: object) -> object:
    """The value with lists as tuples; whole numbers also where fractions are allowed."""
    value = _frozen(value)
    wanted = int | float if isinstance(default, float) else type(default)
    if not isinstance(value, wanted) or isinstance(value, bool) != isinstance(default, bool):
        raise ValueError(f"training setting {name} is {value!r}; the default is {default!r}, give the same kind")
    return value


def _frozen(value: object) -> object:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


SETTINGS: dict[str, TrainingSettings] = {
    "laptop": TrainingSettings(),
    "released": TrainingSettings(
        steps=160_000,
        learning_rate=1e-4,
        warmup_steps=1500,
        encoder_learning_rate=1e-4,
        encoder_layers=24,
        live_share=1.0,
        box_probability=0.0,
        checkpoint_every=2000,
    ),
    "pretrain": TrainingSettings(
        steps=100_000,
        learning_rate=1.5e-4,
        warmup_steps=2000,
        encoder_learning_rate=1.5e-4,
        encoder_layer_decay=1.0,
        live_share=1.0,
        checkpoint_every=2000,
    ),
    "distil": TrainingSettings(
        steps=50_000,
        learning_rate=3e-4,
        warmup_steps=1000,
        encoder_learning_rate=3e-4,
        encoder_layer_decay=1.0,
        crop_sides=(1024,),
        crop_weights=(1.0,),
        live_share=1.0,
        live_sides=(1024, 1024),
        checkpoint_every=1000,
    ),
    "fine": TrainingSettings(
        steps=20_000,
        learning_rate=3e-5,
        warmup_steps=500,
        encoder_learning_rate=3e-6,
        crop_sides=(768, 1024),
        crop_weights=(0.5, 0.5),
        live_share=0.6,
        live_sides=(1024, 2048),
        synthetic_share=0.4,
        synthetic_thin_share=0.7,
        checkpoint_every=1000,
    ),
}
"""Settings by name. "released" has the optimiser and the schedule of the released configuration files, which do not
say crop sides, batch size or augmentations; its clicks need a preset whose `ClickConfig` is the released one.
"pretrain" and "distil" are for the commands of these names; "fine" is for exact masks at high resolution, after
"released". None of these three has been run to its end."""


def named_settings(name: str) -> TrainingSettings:
    """Look settings up.

    Raises:
        ValueError: no settings of that name.
    """
    try:
        return SETTINGS[name]
    except KeyError:
        raise ValueError(f"unknown settings {name!r}; there are {', '.join(sorted(SETTINGS))}") from None
