"""Segmenters by name: ours, the MobileSAM-architecture weights, and what `transformers` has."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from inter2former.checkpoint import file_hash
from inter2former.evaluation.segmenter import Segmenter, SegmenterFactory
from inter2former.evaluation.segmenters.mobile_sam import MobileSamSegmenter
from inter2former.evaluation.segmenters.ours import OurSegmenterFactory
from inter2former.evaluation.segmenters.transformers_sam import TransformersSegmenter
from inter2former.session.compiled_encoder import EncoderRuntime, Precision

__all__ = ["MobileSamFactory", "TransformersFactory", "segmenter_factory"]


@dataclass(frozen=True, slots=True)
class MobileSamFactory:
    """MobileSAM under torch.

    Attributes:
        weights: a .safetensors file in the official layout.
        size: side of the network's square input in pixels.
    """

    weights: str
    size: int = 1024

    @property
    def name(self) -> str:
        """What goes into the header."""
        return "mobilesam"

    @property
    def settings(self) -> Mapping[str, object]:
        """The working size."""
        return {"size": self.size}

    def weights_hash(self) -> str:
        """SHA-256 of the weights file.

        Raises:
            WeightsError: there is no file of that name.
        """
        return file_hash(self.weights)

    def make(self) -> Segmenter:
        """Load the network.

        Raises:
            ValueError: a size that the network does not take.
            WeightsError: the file is damaged or of another network.
        """
        return MobileSamSegmenter(self.weights, size=self.size)


@dataclass(frozen=True, slots=True)
class TransformersFactory:
    """SAM, HQ-SAM or SAM 2 of the `transformers` package; its working size is the model's own.

    Attributes:
        source: a folder, the name of a model in the local cache, or "random:NAME".
    """

    source: str

    @property
    def name(self) -> str:
        """What goes into the header."""
        return f"transformers:{self.source}"

    @property
    def settings(self) -> Mapping[str, object]:
        """The version of the package, which decides what the model does."""
        try:
            return {"transformers": version("transformers")}
        except PackageNotFoundError:
            return {}  # `make` says what to install

    def weights_hash(self) -> str:
        """SHA-256 of the weights files of a folder; of a model in the cache, "": its name stands for it."""
        files = sorted(Path(self.source).glob("*.safetensors"))
        if len(files) == 1:
            return file_hash(files[0])
        return hashlib.sha256("".join(map(file_hash, files)).encode("ascii")).hexdigest() if files else ""

    def make(self) -> Segmenter:
        """Load the model.

        Raises:
            MissingPackageError: `transformers` is not installed.
            WeightsError: there is no such model here.
        """
        return TransformersSegmenter(self.source)


def segmenter_factory(
    model: str,
    *,
    preset: str,
    weights: str | None,
    size: int,
    device: str = "cpu",
    embeddings: str | None = None,
    encoder: EncoderRuntime = "torch",
    precision: Precision = "float32",
) -> SegmenterFactory:
    """Choose what is measured.

    Args:
        model: "ours", "mobilesam:FILE" or "transformers:NAME_OR_FOLDER".
        preset: of our network.
        weights: of our network; None: those of the package.
        size: working size of ours and of mobilesam.
        device: where our network runs.
        embeddings: folder for our network's image embeddings.
        encoder: what runs our network's image encoder.
        precision: of its arithmetic.
    Raises:
        ValueError: no such model, or an option that it does not know.
    """
    kind, _, source = model.partition(":")
    if model == "ours":
        return OurSegmenterFactory(preset, weights, size, device, embeddings, encoder, precision)
    if kind not in ("mobilesam", "transformers") or not source:
        raise ValueError(f"unknown model {model!r}; expected ours, mobilesam:FILE or transformers:NAME_OR_FOLDER")
    for option, value, default in (
        ("weights", weights, None),
        ("embeddings", embeddings, None),
        ("device", device, "cpu"),
        ("encoder", encoder, "torch"),
        ("precision", precision, "float32"),
    ):
        if value != default:
            raise ValueError(f"--{option} is for our own network; leave it out with --model {kind}:...")
    return MobileSamFactory(source, size) if kind == "mobilesam" else TransformersFactory(source)
