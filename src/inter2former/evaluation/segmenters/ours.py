"""This package's network behind the harness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inter2former.checkpoint import file_hash, shipped_weights
from inter2former.errors import ImageNotSetError
from inter2former.evaluation.segmenter import Answer
from inter2former.prompt import Click
from inter2former.session.compiled_encoder import EncoderRuntime, Precision
from inter2former.session.engine import Engine
from inter2former.session.tree import Session

__all__ = ["OurSegmenter", "OurSegmenterFactory"]


class OurSegmenter:
    """A session of the network, as `Predictor` runs it."""

    def __init__(self, engine: Engine) -> None:
        """Take a network."""
        self._engine = engine
        self._session: Session | None = None

    def encode(self, image: NDArray[np.uint8]) -> None:
        """Take an (H, W, 3) RGB image and forget all clicks."""
        self._session = Session(self._engine, self._engine.encode(image))

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


@dataclass(frozen=True, slots=True)
class OurSegmenterFactory:
    """Which network of this package is measured.

    Attributes:
        preset: its name.
        weights: a safetensors file; None: the weights that come with the package.
        size: working size of the longest side in pixels.
        device: where the network runs, as torch names it.
        embeddings: folder in which image embeddings are kept between runs; None: they are not.
        encoder: what runs the image encoder; with torch the results are the same on more machines.
        precision: of its arithmetic.
    """

    preset: str = "inter2former-t"
    weights: str | None = None
    size: int = 1024
    device: str = "cpu"
    embeddings: str | None = None
    encoder: EncoderRuntime = "torch"
    precision: Precision = "float32"

    @property
    def name(self) -> str:
        """The preset's name."""
        return self.preset

    @property
    def settings(self) -> Mapping[str, object]:
        """Working size and device, and whether embeddings were kept, since the encode times are then no such.

        Also what runs the encoder, where that is not what ran it in every run before there was a choice.
        """
        settings = {"size": self.size, "device": self.device, "embeddings": self.embeddings is not None}
        if (self.encoder, self.precision) == ("torch", "float32"):
            return settings
        return settings | {"encoder": self.encoder, "precision": self.precision}

    def weights_hash(self) -> str:
        """SHA-256 of the weights file.

        Raises:
            WeightsError: there is no file of that name.
        """
        return file_hash(self.weights or shipped_weights(self.preset))

    def make(self) -> OurSegmenter:
        """Load the network.

        Raises:
            ValueError: an unknown preset, a size out of range, or an encoder that cannot be had here.
            MissingPackageError: OpenVINO is asked for and not installed.
            WeightsError: the weights are missing or do not fit.
        """
        engine = Engine.load(
            self.preset,
            self.weights,
            size=self.size,
            device=self.device,
            encodings=self.embeddings,
            encoder=self.encoder,
            precision=self.precision,
        )
        return OurSegmenter(engine)
