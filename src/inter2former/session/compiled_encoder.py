"""The image encoder as a compiled graph: the same features, sooner, where OpenVINO can run it."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inter2former.errors import MissingPackageError
from inter2former.model.edge_terms import SkipNet
from inter2former.model.image_encoder import ImageEncoder
from inter2former.model.image_features import ImageFeatures
from inter2former.model.tiny_vit import TinyViT
from inter2former.session import encoder_graph, graph_layers, tiny_vit_graph, windowed_vit_graph
from inter2former.session.blob_store import BlobStore
from inter2former.session.openvino_core import load_core

__all__ = ["Arithmetic", "CompiledEncoder", "EncoderRuntime", "Precision", "RuntimeChoice", "choose_runtime"]

EncoderRuntime = Literal["auto", "torch", "openvino"]
"""What runs the image encoder; "auto": OpenVINO where it is installed and far ahead, torch elsewhere.

With the windowed ViT it is ahead in bfloat16 alone: nine tenths of its time are large products, which take as long in
both.
"""

Arithmetic = Literal["float32", "bfloat16"]
"""What the image encoder computes in; everything else is float32."""

Precision = Literal["auto", "float32", "bfloat16"]
"""What is asked for; "auto": bfloat16 where OpenVINO runs a TinyViT and the processor has it, else float32.

For a TinyViT an evaluation shows no loss (docs/experiments.md); the windowed ViT has not been evaluated.
"""

_FAR_AHEAD = "AVX512"
"""The capability, as torch names it, with which OpenVINO gains enough to be worth 0.3 GiB of memory (docs/adr/0004)."""

_WRITERS = (encoder_graph, graph_layers, tiny_vit_graph, windowed_vit_graph)
"""The modules whose text says what a graph is."""


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """What runs the image encoder.

    Attributes:
        runtime: the library.
        precision: of its arithmetic.
        reason: why it is this one, in words.
    """

    runtime: Literal["torch", "openvino"]
    precision: Arithmetic
    reason: str


def choose_runtime(
    encoder: ImageEncoder, device: torch.device, *, wanted: EncoderRuntime, precision: Precision
) -> RuntimeChoice:
    """Decide what runs an encoder.

    Args:
        encoder: the network's.
        device: where the network is.
        wanted: "auto", or the library that must do it.
        precision: of the arithmetic.
    Raises:
        ValueError: an unknown word, or what is wanted cannot be had here.
        MissingPackageError: OpenVINO is wanted and not installed.
    """
    for name, value, choices in (("encoder", wanted, EncoderRuntime), ("precision", precision, Precision)):
        if value not in get_args(choices):
            raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(get_args(choices))}")
    obstacle = None if device.type == "cpu" else f"the network runs on {device.type}"
    installed = importlib.util.find_spec("openvino") is not None
    if wanted == "openvino":
        if obstacle is not None:
            raise ValueError(f"OpenVINO cannot run this image encoder: {obstacle}; ask for torch or auto")
        if not installed:
            raise MissingPackageError(
                "the encoder openvino needs the package openvino; install it: pip install openvino"
            )
        return _with_precision(precision, encoder, "asked for")
    capability = torch.backends.cpu.get_cpu_capability()
    gains = isinstance(encoder, TinyViT) or precision == "bfloat16"
    if wanted == "auto" and obstacle is None and installed and capability == _FAR_AHEAD and gains:
        return _with_precision(precision, encoder, f"installed, and the processor has {capability}")
    if precision == "bfloat16":
        raise ValueError("precision is bfloat16, which torch does not run; ask for the encoder openvino")
    if wanted == "torch":
        return RuntimeChoice("torch", "float32", "asked for")
    if obstacle is None and not installed:
        obstacle = "openvino is not installed"
    if obstacle is None and not gains:
        obstacle = "as quick as openvino in float32 with this encoder, and 1.3 GiB less memory"
    return RuntimeChoice("torch", "float32", obstacle or f"the processor has {capability}, not {_FAR_AHEAD}")


def _with_precision(precision: Precision, encoder: ImageEncoder, reason: str) -> RuntimeChoice:
    if precision == "float32" or (precision == "auto" and not (isinstance(encoder, TinyViT) and _has_bfloat16())):
        return RuntimeChoice("openvino", "float32", reason)
    if not _has_bfloat16():
        # OpenVINO itself would compute in float32 and not say so.
        raise ValueError("precision is bfloat16, which this processor does not have; ask for float32 or auto")
    return RuntimeChoice("openvino", "bfloat16", reason)


def _has_bfloat16() -> bool:
    return "BF16" in load_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class CompiledEncoder:
    """An image encoder run by OpenVINO; safe to call from several threads.

    Compiled at the first call, with as many threads as torch has then, and again when torch has another number. What
    compiling takes most of its time for is kept in the user's cache folder, so that each machine does it once.
    """

    def __init__(
        self,
        encoder: ImageEncoder,
        nets: Sequence[SkipNet] = (),
        *,
        precision: Arithmetic = "float32",
        store: BlobStore | None = None,
    ) -> None:
        """Take an encoder.

        Args:
            encoder: with its weights on the CPU; they must not change any more.
            nets: what its finer maps go through in the same graph, as `Inter2Former.skip_nets` gives it.
            precision: of the arithmetic; the processor has it.
            store: where compiled graphs are kept; None: in `BlobStore.of_user`.
        """
        self.encoder = encoder
        self.nets = tuple(nets)
        self.precision = precision
        self.store = BlobStore.of_user() if store is None else store
        self._lock = threading.Lock()
        self._compiled: Any = None
        self._blob: NDArray[np.uint8] | None = None
        self._threads = 0

    def __call__(self, image: Tensor) -> ImageFeatures:
        """Encode one normalised image.

        Args:
            image: (1, 3, H, W) float32, quickest with channels last; H and W are multiples of 16.
        Returns:
            as the encoder's `forward`, equal up to rounding; where there are nets, shares instead of finer maps.
        """
        pixels = image.permute(0, 2, 3, 1).contiguous().numpy()
        with self._lock:
            request = self._ready().create_infer_request()
            request.infer({0: pixels}, share_inputs=True, share_outputs=True)
        # Not copied: the arrays keep their memory alive, and the request is used once.
        embedding, *finer = (
            torch.from_numpy(request.get_output_tensor(index).data) for index in range(len(request.output_tensors))
        )
        if self.nets:
            return ImageFeatures(_planes(embedding), shares=tuple(finer))
        return ImageFeatures(_planes(embedding), tuple(map(_planes, finer)))

    def prepare(self) -> None:
        """Compile now what the first call would compile."""
        with self._lock:
            self._ready()

    def _ready(self) -> Any:  # noqa: ANN401 - an openvino.CompiledModel
        threads = torch.get_num_threads()
        if self._compiled is None or self._threads != threads:
            self._compiled, self._threads = self._compile(threads), threads
        return self._compiled

    def _compile(self, threads: int) -> Any:  # noqa: ANN401 - an openvino.CompiledModel
        library, core = importlib.import_module("openvino"), load_core()
        settings = {
            # Left to itself it takes bfloat16 where the processor has it.
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[self.precision],
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            # Two processes that both pin threads would pin them to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        key = self._key(library, core)
        # Not copied: the weights of what is imported lie in it.
        self._blob = self.store.get(key)
        if self._blob is not None:
            try:
                return core.import_model(library.Tensor(self._blob, shared_memory=True), "CPU", settings)
            except RuntimeError:  # of another build of OpenVINO: as good as no entry
                self._blob = None
        compiled = core.compile_model(encoder_graph.encoder_graph(self.encoder, self.nets), "CPU", settings)
        exported = compiled.export_model()
        self.store.put(key, exported if isinstance(exported, bytes) else exported.getvalue())
        return compiled

    def _key(self, library: Any, core: Any) -> str:  # noqa: ANN401 - the module openvino and an openvino.Core
        """Whatever the compiled graph depends on, as hexadecimal digits."""
        facts = [library.get_version(), self.precision, *map(inspect.getsource, _WRITERS)]
        facts += [core.get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
        facts += [self.encoder.config, *(net._replace(convolutions=()) for net in self.nets)]
        digest = hashlib.sha256(json.dumps(facts, default=str).encode("utf-8"))
        carried = [each for net in self.nets for layer in net.convolutions for each in (layer.weight, layer.bias)]
        for name, value in (*self.encoder.state_dict().items(), *(("", each) for each in carried)):
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.contiguous().numpy().data)
        return digest.hexdigest()


def _planes(map_: Tensor) -> Tensor:
    return map_.permute(0, 3, 1, 2)
