"""Times of a whole interactive session and of each of its stages."""

from __future__ import annotations

import dataclasses
import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from inter2former.benchmark.clock import median_milliseconds, peak_memory_gib, processor, take_turns
from inter2former.benchmark.scene import Scene, photo_like
from inter2former.benchmark.stages import boundary_share, click_stages, encode_stages
from inter2former.config import STRIDE, preset
from inter2former.device import full_precision
from inter2former.frame import WorkingFrame, resize_to_working
from inter2former.model.inter2former import Inter2Former
from inter2former.model.normalise import normalised_input
from inter2former.prompt import Click, MaskPrompt
from inter2former.session.engine import Encoding, Engine
from inter2former.session.tree import Session

__all__ = ["SessionTimes", "measure_session", "random_engine"]

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Sides of the objects' boxes over the side of the image."""


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """What a session takes on this machine; times are medians in milliseconds.

    Attributes:
        machine: the processor's name.
        preset: the network.
        size: side of the image in pixels, which is square: the worst case of its working size.
        threads: of PyTorch.
        encode: once per image, by stage.
        first_click: the first click on an image.
        clicks: a later click by stage, for objects whose box has the share of the side that is the key, in percent;
            `boundary share` among them is no time but the boundary tokens over all tokens.
        peak_memory_gib: the most memory that the process held.
    """

    machine: str
    preset: str
    size: int
    threads: int
    encode: dict[str, float]
    first_click: float
    clicks: dict[str, dict[str, float]]
    peak_memory_gib: float

    def to_dict(self) -> dict[str, object]:
        """The values as JSON holds them."""
        return dataclasses.asdict(self)


def random_engine(name: str, *, size: int, device: str = "cpu") -> Engine:
    """A network with random weights, to measure a preset that none come with.

    Args:
        name: of the preset.
        size: working size in pixels.
        device: where it runs.
    Raises:
        ValueError: an unknown preset, a size out of range, or no such device.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Inter2Former(preset(name)).eval().requires_grad_(False)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Engine(network, size=size, device=device)


def measure_session(engine: Engine, name: str, *, repeats: int, shares: tuple[float, ...]) -> SessionTimes:
    """Time encoding, the first click and later clicks.

    Args:
        engine: whose working size is the side of the image.
        name: of its preset.
        repeats: of every stage, after one call that does not count.
        shares: sides of the objects' boxes over the side of the image.
    """
    image = photo_like(engine.size)
    encoding = engine.encode(image)
    with torch.inference_mode(), full_precision(engine.device):
        return SessionTimes(
            processor(),
            name,
            engine.size,
            torch.get_num_threads(),
            _encode_times(engine, image, repeats),
            _first_click_time(engine, encoding, repeats),
            {f"{share:.0%}": _click_times(engine, encoding, share, repeats) for share in shares},
            peak_memory_gib(),
        )


def _encode_times(engine: Engine, image: NDArray[np.uint8], repeats: int) -> dict[str, float]:
    config = engine.network.config
    frame = WorkingFrame.fit(image.shape[1], image.shape[0], size=engine.size, stride=STRIDE)

    def prepare() -> torch.Tensor:
        return normalised_input(
            resize_to_working(image, frame), stride=STRIDE, channel_order=config.channel_order, padding=config.padding
        )

    stages = encode_stages(engine.network, prepare().to(engine.device))
    return take_turns({"resize and normalise": prepare, **stages, "total": lambda: engine.encode(image)}, repeats)


def _first_click_time(engine: Engine, encoding: Encoding, repeats: int) -> float:
    middle = engine.size // 2
    # A new session each time: a session remembers what it has answered.
    return median_milliseconds(lambda: Session(engine, encoding).add(Click(middle, middle, True)), repeats)


def _click_times(engine: Engine, encoding: Encoding, share: float, repeats: int) -> dict[str, float]:
    network = engine.network
    scene = Scene.of(network.config, side=STRIDE * encoding.encoded.embedding.shape[2], share=share)
    object_ = MaskPrompt.of(scene.mask[: engine.size, : engine.size])

    def later_click() -> float:
        session = Session(engine, encoding)
        session.add(object_)
        started = time.perf_counter()
        session.add(scene.click)
        return 1000 * (time.perf_counter() - started)

    stages = {"reference map": lambda: scene.prompt(network.config)} | click_stages(network, encoding.encoded, scene)
    times = take_turns(stages, repeats)
    later_click()
    times["total"] = statistics.median(later_click() for _ in range(repeats))
    return times | {"boundary share": boundary_share(network, scene)}
