"""The network as sessions see it: encode an image once, then answer reference maps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from inter2former.checkpoint import load_weights, shipped_weights
from inter2former.config import STRIDE, preset
from inter2former.device import full_precision, usable_device
from inter2former.frame import WorkingBox, WorkingFrame, resize_to_working
from inter2former.model.inter2former import EncodedImage, Inter2Former
from inter2former.model.normalise import normalised_input

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

    def __init__(self, network: Inter2Former, *, size: int = 1024, device: str = "cpu") -> None:
        """Take a network.

        Args:
            network: with its weights; is moved to the device.
            size: the image's longest side in the network's input, in pixels, 16..4096.
            device: where the network runs, as torch names it.
        Raises:
            ValueError: a size out of range, or no such device.
        """
        WorkingFrame.fit(1, 1, size=size, stride=STRIDE)
        self.size = size
        self.device = usable_device(device)
        self.network = network.to(self.device)

    @classmethod
    def load(
        cls,
        name: str = "inter2former-t",
        weights: str | os.PathLike[str] | None = None,
        *,
        size: int = 1024,
        device: str = "cpu",
    ) -> Engine:
        """Build a network and load its weights.

        Args:
            name: of the preset, see `inter2former.config.PRESETS`.
            weights: a safetensors file; None: the weights that come with the package.
            size: the image's longest side in the network's input, in pixels, 16..4096.
            device: where the network runs, as torch names it.
        Raises:
            ValueError: an unknown preset, a size out of range, or no such device.
            WeightsError: the weights are missing or do not fit.
        """
        config = preset(name)
        path = shipped_weights(name) if weights is None else weights
        network = Inter2Former(config).eval().requires_grad_(False)
        load_weights(network, os.fspath(path))
        return cls(network.to(memory_format=torch.channels_last), size=size, device=device)  # type: ignore[call-overload]

    def encode(self, image: NDArray[np.uint8], report: Callable[[str], None] | None = None) -> Encoding:
        """Everything about an image that does not depend on prompts.

        Args:
            image: (H, W, 3) uint8 RGB, as `inter2former.images.load_image` gives it.
            report: called with the name of each stage before it begins: "resize", "embed".
        Returns:
            what sessions on this image need.
        """
        started = time.perf_counter()
        frame = WorkingFrame.fit(image.shape[1], image.shape[0], size=self.size, stride=STRIDE)
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
            encoded = self.network.encode(network_input.to(self.device))
        return Encoding(frame, encoded, time.perf_counter() - started)

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
            local = self.network.decode(encoding.encoded, plane)[0]
            logits = local.logits.float().cpu().numpy()
        return logits, local.box
