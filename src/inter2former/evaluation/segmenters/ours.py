"""This package's network behind the harness."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inter2former.checkpoint import shipped_weights
from inter2former.config import STRIDE
from inter2former.errors import ImageNotSetError, WeightsError
from inter2former.evaluation.embeddings import EmbeddingStore
from inter2former.evaluation.segmenter import Answer
from inter2former.frame import WorkingFrame
from inter2former.model.inter2former import EncodedImage
from inter2former.prompt import Click
from inter2former.session.engine import Encoding, Engine
from inter2former.session.tree import Session

__all__ = ["OurSegmenter", "OurSegmenterFactory", "file_hash"]

LAST = ":channels_last"


class OurSegmenter:
    """A session of the network, as `Predictor` runs it."""

    def __init__(self, engine: Engine, embeddings: EmbeddingStore | None = None) -> None:
        """Take a network.

        Args:
            engine: the network.
            embeddings: where image embeddings of this network are kept; None: each is computed.
        """
        self._engine = engine
        self._embeddings = embeddings
        self._session: Session | None = None

    def encode(self, image: NDArray[np.uint8]) -> None:
        """Take an (H, W, 3) RGB image and forget all clicks."""
        encoding = self._kept(image)
        if encoding is None:
            encoding = self._engine.encode(image)
            if self._embeddings is not None:
                self._embeddings.put(image, _tensors(encoding.encoded))
        self._session = Session(self._engine, encoding)

    def step(self, click: Click) -> Answer:
        """Take one more click, in pixels of the image, and answer.

        Raises:
            ImageNotSetError: no image was encoded.
        """
        if self._session is None:
            raise ImageNotSetError("there is no image to click on; call encode(image) first")
        prediction = self._session.add(click)
        return Answer(prediction.mask, lambda: prediction.logits, prediction.contradicted)

    def reset(self) -> None:
        """Forget all clicks; the image stays encoded."""
        if self._session is not None:
            self._session = Session(self._engine, self._session.encoding)

    def _kept(self, image: NDArray[np.uint8]) -> Encoding | None:
        """The encoding that an earlier run kept."""
        tensors = None if self._embeddings is None else self._embeddings.get(image)
        if tensors is None:
            return None
        height, width = image.shape[:2]
        frame = WorkingFrame.fit(width, height, size=self._engine.size, stride=STRIDE)
        return Encoding(frame, _encoded(tensors, self._engine.device), 0.0)


@dataclass(frozen=True, slots=True)
class OurSegmenterFactory:
    """Which network of this package is measured.

    Attributes:
        preset: its name.
        weights: a safetensors file; None: the weights that come with the package.
        size: working size of the longest side in pixels.
        device: where the network runs, as torch names it.
        embeddings: folder in which image embeddings are kept between runs; None: they are not.
    """

    preset: str = "inter2former-t"
    weights: str | None = None
    size: int = 1024
    device: str = "cpu"
    embeddings: str | None = None

    @property
    def name(self) -> str:
        """The preset's name."""
        return self.preset

    @property
    def settings(self) -> Mapping[str, object]:
        """Working size and device, and whether embeddings were kept, since the encode times are then no such."""
        return {"size": self.size, "device": self.device, "embeddings": self.embeddings is not None}

    def weights_hash(self) -> str:
        """SHA-256 of the weights file.

        Raises:
            WeightsError: there is no file of that name.
        """
        return file_hash(self.weights or shipped_weights(self.preset))

    def make(self) -> OurSegmenter:
        """Load the network.

        Raises:
            ValueError: an unknown preset, or a size out of range.
            WeightsError: the weights are missing or do not fit.
        """
        engine = Engine.load(self.preset, self.weights, size=self.size, device=self.device)
        if self.embeddings is None:
            return OurSegmenter(engine)
        store = EmbeddingStore(Path(self.embeddings), weights_hash=self.weights_hash(), size=self.size)
        return OurSegmenter(engine, store)


def file_hash(path: str | Path) -> str:
    """SHA-256 of a weights file, in hexadecimal digits.

    Raises:
        WeightsError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise WeightsError(f"no weights at {path} ({error.strerror}); give the path of a file") from None
    return digest.hexdigest()


def _tensors(encoded: EncodedImage) -> dict[str, Tensor]:
    named = {"embedding": encoded.embedding, **{f"edges{level}": maps for level, maps in enumerate(encoded.edges)}}
    # The layout in memory decides which kernels run, and with them the last bits: it is kept as part of the name.
    return {f"{name}{LAST if _channels_last(tensor) else ''}": tensor for name, tensor in named.items()}


def _encoded(tensors: Mapping[str, Tensor], device: torch.device) -> EncodedImage:
    named = {
        name.removesuffix(LAST): tensor.to(device, memory_format=torch.channels_last)
        if name.endswith(LAST)
        else tensor.to(device)
        for name, tensor in tensors.items()
    }
    return EncodedImage(named["embedding"], tuple(named[f"edges{level}"] for level in range(len(named) - 1)))


def _channels_last(tensor: Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()
