"""The network as sessions see it: encode an image once, then answer reference maps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inter2former.checkpoint import file_hash, load_weights, shipped_weights
from inter2former.config import STRIDE, preset
from inter2former.device import full_precision, usable_device
from inter2former.frame import WorkingBox, WorkingFrame, resize_to_working
from inter2former.model.image_features import ImageFeatures
from inter2former.model.inter2former import EncodedImage, Inter2Former
from inter2former.model.normalise import normalised_input
from inter2former.session.compiled_encoder import CompiledEncoder, EncoderRuntime, Precision, choose_runtime
from inter2former.session.encoding_store import EncodingStore

__all__ = ["Encoding", "Engine"]


@dataclass(frozen=True, eq=False)
class Encoding:
    """Everything that is computed once per image; any number of sessions share it.

    Attributes:
        frame: how the image lies in the network's input.
        encoded: the image embedding and the edge maps.
        seconds: what it took.
    """

    frame: WorkingFrame
    encoded: EncodedImage
    seconds: float

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, for a `ByteCache` of encodings."""
        tensors = (self.encoded.embedding, *self.encoded.edges)
        return sum(tensor.element_size() * tensor.nelement() for tensor in tensors)


class Engine:
    """A network with its working size and device. Holds no image and no prompt; one is enough for all sessions.

    Calls from several threads do not disturb each other, but share the cores: a server does better with one queue.
    """

    def __init__(
        self,
        network: Inter2Former,
        *,
        size: int = 1024,
        device: str = "cpu",
        store: EncodingStore | None = None,
        encoder: EncoderRuntime = "auto",
        precision: Precision = "auto",
    ) -> None:
        """Take a network.

        Args:
            network: with its weights; is moved to the device.
            size: the image's longest side in the network's input, in pixels, 16..4096.
            device: where the network runs, as torch names it.
            store: where encodings of this network and size are kept; None: each is computed.
            encoder: what runs the image encoder, "auto", "torch" or "openvino", see `choose_runtime`. Both give the
                same up to rounding.
            precision: of the image encoder's arithmetic, "auto", "float32" or "bfloat16"; the last needs OpenVINO and a
                processor that has it.
        Raises:
            ValueError: a size out of range, no such device, or an encoder that cannot be had here.
            MissingPackageError: OpenVINO is asked for and not installed.
        """
        WorkingFrame.fit(1, 1, size=size, stride=STRIDE)
        self.size = size
        self.store = store
        self.device = usable_device(device)
        self.network = network.to(self.device)
        self.runtime = choose_runtime(network.encoder, self.device, wanted=encoder, precision=precision)
        self.compiled: CompiledEncoder | None = None
        if self.runtime.runtime == "openvino":
            self.compiled = CompiledEncoder(network.encoder, network.skip_nets, precision=self.runtime.precision)

    @classmethod
    def load(
        cls,
        name: str = "inter2former-t",
        weights: str | os.PathLike[str] | None = None,
        *,
        size: int = 1024,
        device: str = "cpu",
        encodings: str | os.PathLike[str] | None = None,
        read_only: bool = False,
        encoder: EncoderRuntime = "auto",
        precision: Precision = "auto",
    ) -> Engine:
        """Build a network and load its weights.

        Args:
            name: of the preset, see `inter2former.config.PRESETS`.
            weights: a safetensors file; None: the weights that come with the package.
            size: the image's longest side in the network's input, in pixels, 16..4096.
            device: where the network runs, as torch names it.
            encodings: folder in which encodings are kept between runs, see `EncodingStore`; None: they are not.
            read_only: encodings are taken from the folder, and none is added.
            encoder: what runs the image encoder, as for the engine itself.
            precision: of the image encoder's arithmetic, likewise.
        Raises:
            ValueError: an unknown preset, a size out of range, no such device, an encoder that cannot be had here, or
                a folder that is only to be read and has nothing of this network and size.
            MissingPackageError: OpenVINO is asked for and not installed.
            WeightsError: the weights are missing or do not fit.
        """
        config = preset(name)
        path = shipped_weights(name) if weights is None else weights
        network = Inter2Former(config).eval().requires_grad_(False)
        load_weights(network, os.fspath(path))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        engine = cls(network, size=size, device=device, encoder=encoder, precision=precision)
        if encodings is not None:
            # Encodings of both runtimes are equal up to rounding and share a folder; those of less precision do not.
            chosen, digits = engine.runtime.precision, file_hash(path)
            digits = digits if chosen == "float32" else f"{chosen}-{digits}"
            engine.store = EncodingStore(encodings, weights_hash=digits, size=size, read_only=read_only)
        return engine

    def encode(self, image: NDArray[np.uint8], report: Callable[[str], None] | None = None) -> Encoding:
        """Everything about an image that does not depend on prompts.

        Args:
            image: (H, W, 3) uint8 RGB, as `inter2former.images.load_image` gives it.
            report: called with the name of each stage before it begins: "resize", "embed".
        Returns:
            what sessions on this image need; read from the store where that has it, kept there where it has not.
        Raises:
            OSError: it cannot be kept; the disk is full, for instance.
        """
        started = time.perf_counter()
        frame = WorkingFrame.fit(image.shape[1], image.shape[0], size=self.size, stride=STRIDE)
        encoded = None if self.store is None else self.store.get(image)
        if encoded is not None:
            return Encoding(frame, _moved(encoded, self.device), time.perf_counter() - started)
        encoded = self._encoded(image, frame, report)
        seconds = time.perf_counter() - started
        if self.store is not None:
            self.store.put(image, encoded)
        return Encoding(frame, encoded, seconds)

    def _encoded(
        self, image: NDArray[np.uint8], frame: WorkingFrame, report: Callable[[str], None] | None
    ) -> EncodedImage:
        config = self.network.config
        if report is not None:
            report("resize")
        working = resize_to_working(image, frame)
        network_input = normalised_input(
            working, stride=STRIDE, channel_order=config.channel_order, padding=config.padding
        )
        if report is not None:
            report("embed")
        with torch.inference_mode(), full_precision(self.device):
            pixels = network_input.to(self.device)
            return self.network.encoded(pixels, self.features(pixels))

    def features(self, pixels: Tensor) -> ImageFeatures:
        """What the image encoder makes of one image, run by what `runtime` says; within `torch.inference_mode`.

        OpenVINO gives shares of the edge terms instead of the finer maps where the network has them.

        Args:
            pixels: (1, 3, H, W) normalised, on the engine's device; H and W are multiples of 16.
        """
        return self.network.encoder(pixels) if self.compiled is None else self.compiled(pixels)

    def answer(self, encoding: Encoding, reference_map: NDArray[np.uint8]) -> tuple[NDArray[np.float32], WorkingBox]:
        """One round of the network.

        Args:
            encoding: of the image.
            reference_map: (h, w) uint8 states 0..4, of the padded size of the encoding's frame.
        Returns:
            mask logits (bottom - top, right - left) float32 in a box, and the box in working pixels; outside it there
            is background.
        """
        with torch.inference_mode(), full_precision(self.device):
            plane = torch.from_numpy(reference_map)[None, None].to(self.device)
            local = self.network.answer(encoding.encoded, plane)
            logits = local.logits.float().cpu().numpy()
        return logits, local.box


def _moved(encoded: EncodedImage, device: torch.device) -> EncodedImage:
    return EncodedImage(encoded.embedding.to(device), tuple(maps.to(device) for maps in encoded.edges))
