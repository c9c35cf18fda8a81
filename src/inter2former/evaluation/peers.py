"""How fast other segmenters are, next to each other in one run.

Two kinds: the MobileSAM-architecture weights under torch, ONNX Runtime and OpenVINO, and the Segment Anything family of
`transformers` with random weights, which take the same time as trained ones. A peer whose package is not installed is
reported with the sentence that says what to install.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from inter2former.errors import MissingPackageError
from inter2former.evaluation.latency import Latency, Task, measure
from inter2former.evaluation.segmenters.mobile_sam import MobileSamSegmenter
from inter2former.evaluation.segmenters.mobile_sam_graphs import (
    GraphSegmenter,
    MobileSamGraphs,
    OnnxRuntime,
    OpenVino,
    export_mobile_sam,
)
from inter2former.evaluation.segmenters.sam_family import SamSegmenter, input_points
from inter2former.evaluation.segmenters.transformers_sam import RANDOM, TransformersSegmenter
from inter2former.machine import multiplies_bfloat16
from inter2former.prompt import Click

__all__ = ["Peer", "PeerLatency", "measure_peers", "mobile_sam_peers", "transformers_peers"]

Peer: TypeAlias = Callable[[], SamSegmenter]
"""Makes a segmenter; raises `MissingPackageError` where it cannot."""


@dataclass(frozen=True, slots=True)
class PeerLatency:
    """What a peer's stages take.

    Attributes:
        encode: from the image as (H, W, 3) RGB to the image embedding, resizing and normalising too.
        encoder: the image encoder alone.
        click: from a click, the third, to the mask at the image's size.
        decoder: of that, the prompt encoder and mask decoder alone.
    """

    STAGES: ClassVar = ("encode", "encoder", "click", "decoder")

    encode: Latency
    encoder: Latency
    click: Latency
    decoder: Latency

    def to_dict(self) -> dict[str, object]:
        """The values as JSON holds them, times in seconds."""
        return dataclasses.asdict(self)


def mobile_sam_peers(weights: str | Path, *, size: int = 1024, threads: int | None = None) -> dict[str, Peer]:
    """The MobileSAM-architecture weights in every runtime.

    Args:
        weights: a .safetensors file in the official MobileSAM layout.
        size: side of the network's input, a multiple of 16.
        threads: of each runtime; None: as many as torch has now.
    """

    @cache
    def graphs() -> MobileSamGraphs:
        return export_mobile_sam(weights, size=size)

    return {
        "MobileSAM, torch": lambda: MobileSamSegmenter(weights, size=size, threads=threads),
        "MobileSAM, ONNX Runtime": lambda: GraphSegmenter(graphs(), OnnxRuntime(threads)),
        "MobileSAM, OpenVINO": lambda: GraphSegmenter(graphs(), OpenVino(threads)),
        "MobileSAM, OpenVINO, bf16": lambda: GraphSegmenter(graphs(), OpenVino(threads, "bfloat16")),
    }


def transformers_peers(*, threads: int | None = None) -> dict[str, Peer]:
    """The Segment Anything family under torch with random weights, at 1024 pixels.

    Image encoders compute in bfloat16 where the processor has it. Elsewhere float32 is several times as fast.
    """
    precision: Literal["float32", "bfloat16"] = "bfloat16" if multiplies_bfloat16() else "float32"

    def peer(name: str) -> Peer:
        return lambda: TransformersSegmenter(f"random:{name}", precision=precision, threads=threads)

    suffix = ", bf16" if precision == "bfloat16" else ""
    return {f"{name}, torch{suffix}": peer(name) for name in RANDOM}


def measure_peers(
    peers: Mapping[str, Peer], image: NDArray[np.uint8], *, repeats: int = 9
) -> tuple[dict[str, PeerLatency], dict[str, str]]:
    """Time peers in turns.

    Args:
        peers: by name.
        image: (H, W, 3) RGB.
        repeats: of every stage.
    Returns:
        the times by name; and by name why a peer could not be measured.
    """
    tasks: dict[str, Task] = {}
    missing: dict[str, str] = {}
    for name, peer in peers.items():
        try:
            segmenter = peer()
            stages = _stages(segmenter, image)
        except MissingPackageError as error:
            missing[name] = str(error)
            continue
        except Exception as error:  # of another project's code, and must not cost the minutes measured so far
            missing[name] = f"it failed with {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            continue
        tasks |= {f"{name}\n{stage}": task for stage, task in stages.items()}
    times = measure(tasks, repeats=repeats)
    measured = dict.fromkeys(key.partition("\n")[0] for key in times)
    return {
        name: PeerLatency(*(times[f"{name}\n{stage}"] for stage in PeerLatency.STAGES)) for name in measured
    }, missing


def _stages(segmenter: SamSegmenter, image: NDArray[np.uint8]) -> dict[str, Task]:
    height, width = image.shape[:2]
    clicks = [Click(width // 2, height // 2), Click(width // 8, height // 8, False), Click(width // 2, height // 3)]
    points = input_points(clicks, segmenter.fit(width, height))
    labels = torch.tensor([int(click.positive) for click in clicks])
    # The times do not depend on what is in the pixels.
    pixels = torch.randn(1, 3, segmenter.size, segmenter.size)
    segmenter.encode(image)
    with torch.inference_mode():
        previous = segmenter.decode(points[:1], labels[:1], None, ambiguous=True)

    def first_two() -> None:
        segmenter.reset()
        for click in clicks[:2]:
            segmenter.step(click)

    def decode() -> None:
        with torch.inference_mode():
            segmenter.decode(points, labels, previous, ambiguous=False)

    return {
        "encoder": Task(lambda: segmenter.encode_pixels(pixels)),
        "encode": Task(lambda: segmenter.encode(image)),
        "click": Task(lambda: segmenter.step(clicks[2]), prepare=first_two),
        "decoder": Task(decode),
    }
