"""Times of a whole interactive session and of each of its stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from inter2former.benchmark.clock import Milliseconds, peak_memory_gib, spread, take_turns, times_of
from inter2former.benchmark.roofline import Floor, Rates, Stage, floor_of, measured_rates
from inter2former.benchmark.scene import Scene, photo_like
from inter2former.benchmark.stages import boundary_share, click_stages, encode_stages
from inter2former.config import STRIDE, preset
from inter2former.device import full_precision
from inter2former.evaluation.latency import Task
from inter2former.frame import WorkingFrame, resize_to_working
from inter2former.machine import processor
from inter2former.model.boxes import Box
from inter2former.model.inter2former import Inter2Former
from inter2former.model.normalise import normalised_input
from inter2former.prompt import Click, MaskPrompt
from inter2former.session.compiled_encoder import EncoderRuntime, Precision
from inter2former.session.engine import Encoding, Engine
from inter2former.session.prediction import Prediction
from inter2former.session.tree import Session

__all__ = ["SessionTimes", "StageTimes", "measure_session", "random_engine"]


@dataclass(frozen=True, slots=True)
class StageTimes:
    """What a stage takes, and the least that it could.

    Attributes:
        time: on this machine.
        floor: of its operations and bytes; None where they were not counted.
    """

    time: Milliseconds
    floor: Floor | None = None

    @property
    def share(self) -> float | None:
        """The floor over the time, 0..1: how near the stage comes to the machine's limits."""
        return None if self.floor is None else self.floor.milliseconds / self.time.median

    def to_dict(self) -> dict[str, object]:
        """The values as JSON holds them."""
        floor = {} if self.floor is None else {"floor": self.floor.to_dict(), "share": self.share}
        return dataclasses.asdict(self.time) | floor


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """What a session takes on this machine.

    Attributes:
        machine: the processor's name.
        preset: the network.
        size: side of the image in pixels, which is square: the worst case of its working size.
        threads: of PyTorch.
        encoder: what ran the image encoder, and its precision.
        rates: what the machine did at its best just before.
        encode: once per image, by stage; `total` is the whole.
        first_click: the first click on an image, from the call to the mask.
        clicks: a later click by stage, for objects whose box has the share of the side that is the key, in percent;
            `total` is the whole, from the call to the mask at the image's size.
        boundary_shares: boundary tokens over all tokens at these clicks, 0..1.
        peak_memory_gib: the most memory that the process held until the first click was answered; what measuring takes
            later is not in it.
    """

    machine: str
    preset: str
    size: int
    threads: int
    encoder: str
    rates: Rates
    encode: dict[str, StageTimes]
    first_click: StageTimes
    clicks: dict[str, dict[str, StageTimes]]
    boundary_shares: dict[str, float]
    peak_memory_gib: float

    @property
    def beyond_stages(self) -> dict[str, float]:
        """For each key of `clicks` the whole click over the sum of its stages, less one: what no stage accounts for.

        The median of a whole need not be the sum of its parts' medians; a noisy machine makes it negative too.
        """
        sums = {
            share: sum(stage.time.median for name, stage in stages.items() if name != "total")
            for share, stages in self.clicks.items()
        }
        return {share: stages["total"].time.median / sums[share] - 1 for share, stages in self.clicks.items()}

    def to_dict(self) -> dict[str, object]:
        """The values as JSON holds them, times in milliseconds."""
        plain = {
            name: getattr(self, name) for name in ("machine", "preset", "size", "threads", "encoder", "peak_memory_gib")
        }
        return plain | {
            "rates": self.rates._asdict(),
            "encode": {name: stage.to_dict() for name, stage in self.encode.items()},
            "first_click": self.first_click.to_dict(),
            "clicks": {
                share: {name: stage.to_dict() for name, stage in stages.items()}
                for share, stages in self.clicks.items()
            },
            "beyond_stages": self.beyond_stages,
            "boundary_shares": self.boundary_shares,
        }


def random_engine(
    name: str,
    *,
    size: int,
    device: str = "cpu",
    encoder: EncoderRuntime = "auto",
    precision: Precision = "auto",
) -> Engine:
    """A network with random weights, to measure a preset that none come with.

    Args:
        name: of the preset.
        size: working size in pixels.
        device: where it runs.
        encoder: what runs the image encoder.
        precision: of its arithmetic.
    Raises:
        ValueError: an unknown preset, a size out of range, no such device, or an encoder that cannot be had here.
        MissingPackageError: OpenVINO is asked for and not installed.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Inter2Former(preset(name)).eval().requires_grad_(False)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Engine(network, size=size, device=device, encoder=encoder, precision=precision)


def measure_session(engine: Engine, name: str, *, repeats: int, shares: tuple[float, ...]) -> SessionTimes:
    """Time encoding, the first click and later clicks.

    Args:
        engine: whose working size is the side of the image.
        name: of its preset.
        repeats: of every stage, after one call that does not count.
        shares: sides of the objects' boxes over the side of the image.
    """
    image = photo_like(engine.size, shares)
    encoding = engine.encode(image)
    Session(engine, encoding).add(Click(engine.size // 2, engine.size // 2, True))
    peak = peak_memory_gib()
    rates = measured_rates(engine.device)
    scenes = {share: _scene(engine, encoding, share) for share in shares}
    with torch.inference_mode(), full_precision(engine.device):
        return SessionTimes(
            processor(),
            name,
            engine.size,
            torch.get_num_threads(),
            f"{engine.runtime.runtime} {engine.runtime.precision}",
            rates,
            _encode_times(engine, image, rates, repeats),
            _first_click_time(engine, encoding, repeats),
            {f"{share:.0%}": _click_times(engine, share, scene, rates, repeats) for share, scene in scenes.items()},
            {f"{share:.0%}": boundary_share(engine.network, scene) for share, scene in scenes.items()},
            peak,
        )


def _scene(engine: Engine, encoding: Encoding, share: float) -> Scene:
    return Scene.of(engine.network.config, side=STRIDE * encoding.encoded.embedding.shape[2], share=share)


def _encode_times(engine: Engine, image: NDArray[np.uint8], rates: Rates, repeats: int) -> dict[str, StageTimes]:
    config = engine.network.config
    frame = WorkingFrame.fit(image.shape[1], image.shape[0], size=engine.size, stride=STRIDE)

    def prepare() -> torch.Tensor:
        return normalised_input(
            resize_to_working(image, frame), stride=STRIDE, channel_order=config.channel_order, padding=config.padding
        )

    stages = encode_stages(engine.network, prepare().to(engine.device), engine.features)
    first, last = {"resize and normalise": prepare}, {"total": lambda: engine.encode(image)}
    return _measured(first, stages, last, rates, repeats)


def _first_click_time(engine: Engine, encoding: Encoding, repeats: int) -> StageTimes:
    middle = engine.size // 2
    # A new session each time: a session remembers what it has answered.
    return StageTimes(times_of(lambda: Session(engine, encoding).add(Click(middle, middle, True)), repeats))


def _click_times(engine: Engine, share: float, scene: Scene, rates: Rates, repeats: int) -> dict[str, StageTimes]:
    # A picture of this object alone: among others the network would not find it, but the one around it.
    encoding = engine.encode(photo_like(engine.size, (share,)))
    object_ = MaskPrompt.of(scene.mask[: engine.size, : engine.size])

    session, answers = Session(engine, encoding), []

    def begin() -> None:
        """Know the object and nothing else; the session remembers what it has answered."""
        session.reset()
        session.add(object_)

    begin()
    # Upsampling is timed on the box that the network finds, which is what the whole click upsamples.
    stages = click_stages(engine.network, encoding.encoded, scene, _tokens(session.add(scene.click)))
    whole = Task(lambda: answers.append(session.add(scene.click)), begin)
    times = _measured({}, stages, {"total": whole}, rates, repeats)

    def lap(name: str) -> StageTimes:
        """Of the whole clicks that counted, what is no stage of the network."""
        return StageTimes(spread([1000 * answer.timings[name] for answer in answers[1:]]))

    total = times.pop("total")
    return {"reference map": lap("prompt")} | times | {"mask": lap("mask"), "next map": lap("state"), "total": total}


def _tokens(prediction: Prediction) -> Box:
    """The box of an answer in tokens."""
    left, top, right, bottom = prediction._box
    return Box(left // STRIDE, top // STRIDE, -(-right // STRIDE), -(-bottom // STRIDE))


def _measured(
    first: Mapping[str, Callable[[], object]],
    stages: dict[str, Stage],
    last: Mapping[str, Callable[[], object] | Task],
    rates: Rates,
    repeats: int,
) -> dict[str, StageTimes]:
    """Time calls and stages in turns, and count the stages."""
    floors = {name: floor_of(stage, rates) for name, stage in stages.items()}
    times = take_turns({**first, **{name: stage.run for name, stage in stages.items()}, **last}, repeats)
    return {name: StageTimes(taken, floors.get(name)) for name, taken in times.items()}
