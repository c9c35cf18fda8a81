"""The MobileSAM-architecture weights without torch: exported to ONNX, run by ONNX Runtime or OpenVINO.

The same weights run faster there than under torch, so these are the peers that count for speed. The packages are
optional; nothing of them is imported before it is asked for.
"""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from inter2former.checkpoint import load_mobile_sam
from inter2former.config import STRIDE
from inter2former.errors import MissingPackageError
from inter2former.evaluation.segmenters.sam_family import SamSegmenter, padded_frame
from inter2former.frame import WorkingFrame
from inter2former.model.mobile_sam import MobileSam
from inter2former.model.sam_decoder import NO_POINT, SINGLE_MASK
from inter2former.session.openvino_core import load_core

__all__ = [
    "GraphRuntime",
    "GraphSegmenter",
    "MobileSamGraphs",
    "OnnxRuntime",
    "OpenVino",
    "export_mobile_sam",
    "export_network",
]

Graph: TypeAlias = Callable[[Mapping[str, NDArray[Any]]], list[NDArray[np.float32]]]
"""A graph ready to run: inputs by name to outputs in order."""

_OPSET = 17


@dataclass(frozen=True, slots=True, eq=False)
class MobileSamGraphs:
    """MobileSAM as two ONNX graphs for one input size.

    Attributes:
        size: side of the square input in pixels.
        encoder: the graph's file: `image` (1, 3, size, size) to `embedding` (1, 256, size/16, size/16).
        decoder: the graph's file: `embedding`, `points` (1, N, 2), `labels` (1, N) int64, `previous`
            (1, 1, size/4, size/4) and `has_previous` (1,), 0 or 1, to `logits` (1, 4, size/4, size/4) and `scores`
            (1, 4).
    """

    size: int
    encoder: bytes
    decoder: bytes


class GraphRuntime(Protocol):
    """A library that runs ONNX graphs."""

    def load(self, graph: bytes) -> Graph:
        """Make a graph ready to run."""
        ...


@dataclass(frozen=True, slots=True)
class OnnxRuntime:
    """ONNX Runtime on the CPU.

    Attributes:
        threads: of one graph; None: as many as torch has now.
    """

    threads: int | None = None

    def load(self, graph: bytes) -> Graph:
        """Make a graph ready to run.

        Raises:
            MissingPackageError: `onnxruntime` is not installed.
        """
        library = _library("onnxruntime")
        options = library.SessionOptions()
        options.intra_op_num_threads = self.threads or torch.get_num_threads()
        session = library.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        return lambda inputs: session.run(None, dict(inputs))


@dataclass(frozen=True, slots=True)
class OpenVino:
    """OpenVINO on the CPU.

    Attributes:
        threads: of one graph; None: as many as torch has now.
        precision: of the arithmetic; bfloat16 has an effect only where the processor has it.
    """

    threads: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"

    def load(self, graph: bytes) -> Graph:
        """Make a graph ready to run.

        Raises:
            MissingPackageError: `openvino` is not installed.
        """
        _library("openvino")
        core = load_core()
        settings = {
            "INFERENCE_NUM_THREADS": self.threads or torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[self.precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        compiled = core.compile_model(core.read_model(graph, b""), "CPU", settings)
        return lambda inputs: [np.array(output) for output in compiled(dict(inputs)).values()]


class GraphSegmenter(SamSegmenter):
    """MobileSAM as compiled graphs; the same masks as under torch up to rounding."""

    def __init__(self, graphs: MobileSamGraphs, runtime: GraphRuntime) -> None:
        """Make both graphs ready to run.

        Raises:
            MissingPackageError: the runtime is not installed.
        """
        super().__init__(graphs.size)
        self._encoder, self._decoder = runtime.load(graphs.encoder), runtime.load(graphs.decoder)
        self._nothing = np.zeros((1, 1, graphs.size // 4, graphs.size // 4), np.float32)

    def fit(self, width: int, height: int) -> WorkingFrame:
        """See `SamSegmenter`."""
        return padded_frame(width, height, self.size)

    def encode_pixels(self, pixels: Tensor) -> None:
        """See `SamSegmenter`."""
        (self._embedding,) = self._encoder({"image": pixels.contiguous().numpy()})

    def decode(self, points: Tensor, labels: Tensor, previous: Tensor | None, *, ambiguous: bool) -> Tensor:
        """See `SamSegmenter`."""
        logits, scores = self._decoder(
            {
                "embedding": self._embedding,
                "points": points[None].numpy(),
                "labels": labels[None].numpy(),
                "previous": self._nothing if previous is None else previous.contiguous().numpy(),
                "has_previous": np.array([previous is not None], np.float32),
            }
        )
        chosen = 1 + int(scores[0, 1:].argmax()) if ambiguous else SINGLE_MASK
        return torch.from_numpy(logits[:, chosen : chosen + 1])


def export_mobile_sam(weights: str | Path, *, size: int = 1024) -> MobileSamGraphs:
    """Export the weights; takes some ten seconds.

    Args:
        weights: a .safetensors file in the official MobileSAM layout.
        size: side of the network's square input, a multiple of 16.
    Raises:
        MissingPackageError: `onnx` is not installed.
        ValueError: a size that is no multiple of 16.
        WeightsError: the file is missing, damaged or of another network.
    """
    if size < STRIDE or size % STRIDE:
        raise ValueError(f"size is {size}; it must be a positive multiple of {STRIDE}")
    network = MobileSam()
    load_mobile_sam(network, weights)
    return export_network(network, size=size)


def export_network(network: MobileSam, *, size: int) -> MobileSamGraphs:
    """Export a network that is loaded already; see `export_mobile_sam`."""
    _library("onnx")
    network.requires_grad_(False).eval()
    channels = network.prompt_encoder.no_mask.numel()
    embedding = torch.zeros(1, channels, size // STRIDE, size // STRIDE)
    prompt = (torch.zeros(1, 2, 2), torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 1, size // 4, size // 4))
    return MobileSamGraphs(
        size,
        _exported(_EncoderGraph(network), {"image": torch.zeros(1, 3, size, size)}, ["embedding"]),
        _exported(
            _DecoderGraph(network, size // STRIDE),
            dict(zip(("points", "labels", "previous"), prompt, strict=True))
            | {"embedding": embedding, "has_previous": torch.ones(1)},
            ["logits", "scores"],
        ),
    )


class _EncoderGraph(nn.Module):
    def __init__(self, network: MobileSam) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network.encode(image)


class _DecoderGraph(nn.Module):
    def __init__(self, network: MobileSam, grid: int) -> None:
        super().__init__()
        self.network, self.grid = network, grid

    def forward(
        self, points: Tensor, labels: Tensor, previous: Tensor, embedding: Tensor, has_previous: Tensor
    ) -> tuple[Tensor, Tensor]:
        # One graph for first and later clicks: `MobileSam.decode` with the choice as an input.
        encoder = self.network.prompt_encoder
        points, labels = F.pad(points, (0, 0, 0, 1)), F.pad(labels, (0, 1), value=NO_POINT)
        prompt = encoder((self.grid, self.grid), points, labels, previous)
        nothing = encoder.no_mask[None, :, None, None]
        return self.network.decoder(embedding, prompt._replace(map=torch.where(has_previous > 0, prompt.map, nothing)))


def _exported(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> bytes:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # What the tracer says about Python numbers in the graph is meant: sizes are fixed, only N varies.
        warnings.simplefilter("ignore")
        path = Path(folder) / "graph.onnx"
        varying: dict[str, dict[int, str]] = {name: {1: "N"} for name in ("points", "labels") if name in inputs}
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            str(path),
            dynamo=False,  # the newer exporter needs one more package and gains nothing for graphs of fixed size
            opset_version=_OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes=varying,
        )
        return path.read_bytes()


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPackageError(
            f"this peer needs the package {name} ({error}); install it: pip install 'inter2former[peers]'"
        ) from None
