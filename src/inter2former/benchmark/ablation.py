"""What each part of the method costs: the rows of the paper's ablation, each a change of the configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from inter2former.benchmark.clock import take_turns
from inter2former.benchmark.counting import count_operations
from inter2former.benchmark.scene import Scene
from inter2former.benchmark.stages import boundary_share, click_stages
from inter2former.config import STRIDE, ModelConfig, TinyViTConfig
from inter2former.device import full_precision, usable_device
from inter2former.model.inter2former import EncodedImage, Inter2Former

__all__ = ["AblationRow", "ablation_rows", "measure_ablation"]


@dataclass(frozen=True, slots=True)
class AblationRow:
    """What one row costs at a click; encoding is the same for all.

    Attributes:
        name: what was changed, or "as configured".
        parameters: trained numbers of everything that runs at a click.
        operations: additions and multiplications at a click, by stage; see `count_operations`.
        milliseconds: median time of each stage.
        boundary_share: boundary tokens over all tokens.
    """

    name: str
    parameters: int
    operations: dict[str, int]
    milliseconds: dict[str, float]
    boundary_share: float

    def to_dict(self) -> dict[str, object]:
        """The values as JSON holds them."""
        return dataclasses.asdict(self)


def ablation_rows(config: ModelConfig) -> dict[str, ModelConfig]:
    """A configuration and all that differ from it in one choice about the method, by what differs."""
    choices: dict[str, tuple[object, ...]] = {
        "attention": ("hybrid", "full", "bsq", "vq"),
        "prompt": ("dynamic", "dense"),
        "upsampling": ("local", "full"),
        "feed_forward": ("hybrid", "shared"),
        "boundary": ("exact", "release"),
        "code_bits": (4, 8, 12),
        "experts_per_token": (1, 2),
    }
    rows = {"as configured": config}
    for field, values in choices.items():
        for value in values:
            if value != getattr(config.decoder, field):
                change: dict[str, Any] = {field: value}
                decoder = dataclasses.replace(config.decoder, **change)
                rows[f"{field} {value}"] = dataclasses.replace(config, decoder=decoder)
    return rows


def measure_ablation(
    config: ModelConfig, *, size: int, share: float, repeats: int, device: str = "cpu"
) -> Iterator[AblationRow]:
    """Measure every row with random weights, on random embeddings: the cost does not depend on what they say.

    Args:
        config: the network that the rows differ from.
        size: side of the square image in pixels.
        share: side of the object's box over the side of the image.
        repeats: of every stage, after one call that does not count.
        device: where it is measured.
    Yields:
        the rows, as soon as each is measured.
    Raises:
        ValueError: there is no such device.
    """
    side, place = size + -size % STRIDE, usable_device(device)
    # The paper's method has no window: the rows compare what is done with all tokens.
    config = dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, window_margin=None))
    with torch.inference_mode(), full_precision(place), torch.random.fork_rng():
        torch.manual_seed(0)
        encoded = _random_image(config, side, place)
        for name, changed in ablation_rows(config).items():
            torch.manual_seed(0)
            # The encoder does not run at a click: the small one is quickly made.
            network = Inter2Former(dataclasses.replace(changed, encoder=TinyViTConfig())).eval().requires_grad_(False)
            network = network.to(place)
            scene = Scene.of(changed, side=side, share=share)
            stages = click_stages(network, network.prepared(encoded), scene)
            times = take_turns({stage: part.run for stage, part in stages.items()}, repeats)
            yield AblationRow(
                name,
                _parameters(network),
                {stage: count_operations(part.counted or part.run) for stage, part in stages.items()},
                {stage: time.median for stage, time in times.items()},
                boundary_share(network, scene),
            )


def _random_image(config: ModelConfig, side: int, device: torch.device) -> EncodedImage:
    width, tokens = config.decoder.width, side // STRIDE
    edges = tuple(
        torch.randn(1, width // 4**level, tokens * 2 ** (level + 1), tokens * 2 ** (level + 1), device=device)
        for level in range(4)
    )
    return EncodedImage(torch.randn(1, width, tokens, tokens, device=device), edges)


def _parameters(network: Inter2Former) -> int:
    """Trained numbers that are read at a click."""
    once_per_image = ("encoder.", "edge_encoder.", "embedding_norm.")
    return sum(value.numel() for name, value in network.named_parameters() if not name.startswith(once_per_image))
