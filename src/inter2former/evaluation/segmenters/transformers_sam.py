"""Segment Anything models of the `transformers` package behind the harness: SAM, HQ-SAM and SAM 2.

Weights come from a folder or from the local cache of `transformers`; nothing is ever downloaded here.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor

from inter2former.errors import MissingPackageError, WeightsError
from inter2former.evaluation.segmenters.sam_family import SamSegmenter, padded_frame, squeezed_frame
from inter2former.frame import WorkingFrame
from inter2former.machine import use_threads

__all__ = ["RANDOM", "TransformersSegmenter"]

# The video models' checkpoints hold the image model too, under the type of the former.
_CLASSES = {"sam": "SamModel", "sam_hq": "SamHQModel", "sam2": "Sam2Model", "sam2_video": "Sam2Model"}

# The configurations that `transformers` calls default are these networks. The range is that of the other parts; the
# default of the vision part would leave it all but zero.
_SPREAD = {"vision_config": {"initializer_range": 0.02}}
_RANDOM: dict[str, tuple[str, dict[str, Any]]] = {
    "sam-vit-b": ("SamConfig", _SPREAD),
    "sam-hq-vit-b": ("SamHQConfig", _SPREAD),
    "sam2.1-hiera-tiny": ("Sam2Config", {}),
}

_RANDOM_PREFIX = "random:"

RANDOM = tuple(_RANDOM)
"""Networks that `random:NAME` builds."""


class TransformersSegmenter(SamSegmenter):
    """SAM, HQ-SAM or SAM 2 under torch, as `transformers` implements them.

    HQ-SAM answers with the sum of its own and SAM's logits, SAM 2 with another mask than the single one where that is
    unstable: both are what these models do by default.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        precision: Literal["float32", "bfloat16"] = "float32",
        threads: int | None = None,
    ) -> None:
        """Load or build the model.

        Args:
            source: a folder with `config.json` and `model.safetensors`; the name of a model in the local cache, such as
                "facebook/sam-vit-base"; or "random:NAME" with a NAME of `RANDOM`, for timing only.
            precision: of the image encoder. The decoder stays in float32: in bfloat16 a point at column 1000 is up to
                two pixels off.
            threads: threads of the whole process's tensor operations; None: leave as it is.
        Raises:
            MissingPackageError: `transformers` is not installed, or too old for this model.
            ValueError: an unknown precision or NAME, or less than one thread.
            WeightsError: no complete model of a known kind is there.
        """
        if precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision is {precision!r}; expected 'float32' or 'bfloat16'")
        use_threads(threads)
        library = _library()
        name = str(source)
        random = name.startswith(_RANDOM_PREFIX)
        # Any: one of several classes that exist only where the package does.
        model: Any = _random_model(library, name.removeprefix(_RANDOM_PREFIX)) if random else _load(library, name)
        super().__init__(_side(model.config.prompt_encoder_config.image_size))
        self.model: Any = model.requires_grad_(False).eval()
        self.dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        for part in _encoder_parts(self.model):
            part.to(self.dtype)
        self._encoded: dict[str, Any] = {}

    def fit(self, width: int, height: int) -> WorkingFrame:
        """See `SamSegmenter`."""
        return (squeezed_frame if self._is_sam2() else padded_frame)(width, height, self.size)

    def encode_pixels(self, pixels: Tensor) -> None:
        """See `SamSegmenter`."""
        with torch.inference_mode():
            embeddings = _as_float32(self.model.get_image_embeddings(pixels.to(self.dtype)))
        if self.model.config.model_type == "sam_hq":
            self._encoded = {"image_embeddings": embeddings[0], "intermediate_embeddings": embeddings[1]}
        else:
            self._encoded = {"image_embeddings": embeddings}

    def decode(self, points: Tensor, labels: Tensor, previous: Tensor | None, *, ambiguous: bool) -> Tensor:
        """See `SamSegmenter`."""
        if previous is not None and self._is_sam2():
            previous = previous.clamp(-32, 32)  # as SAM 2's own predictor hands them back
        answer = self.model(
            **self._encoded,
            input_points=points[None, None],  # (images, prompts, points, 2)
            input_labels=labels[None, None],
            input_masks=previous,
            multimask_output=ambiguous,
        )
        best = int(answer.iou_scores[0, 0].argmax())
        logits: Tensor = answer.pred_masks[:, 0, best : best + 1]
        return logits

    def _is_sam2(self) -> bool:
        return type(self.model).__name__ == "Sam2Model"


def _library() -> ModuleType:
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise MissingPackageError(
            f"this segmenter needs the package transformers ({error}); install it: pip install 'inter2former[peers]'"
        ) from None


def _member(library: ModuleType, name: str) -> Any:  # noqa: ANN401 - classes that exist only where the package does
    try:
        return getattr(library, name)
    except AttributeError:
        raise MissingPackageError(
            f"transformers {library.__version__} has no {name}; a newer one has: pip install -U transformers"
        ) from None


def _random_model(library: ModuleType, name: str) -> torch.nn.Module:
    if name not in _RANDOM:
        raise ValueError(f"there is no random network {name!r}; known are {', '.join(RANDOM)}")
    config_class, changes = _RANDOM[name]
    config = _member(library, config_class)(**changes)
    return _member(library, _CLASSES[config.model_type])(config)


def _load(library: ModuleType, source: str) -> torch.nn.Module:
    try:
        config = library.AutoConfig.from_pretrained(source, local_files_only=True)
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"no transformers model at {source!r}, neither as a folder nor in the local cache; nothing is downloaded "
            f"here, fetch it first with: hf download {source} ({_first_line(error)})"
        ) from None
    if config.model_type not in _CLASSES:
        raise WeightsError(f"{source} is a model of type {config.model_type!r}; expected one of {', '.join(_CLASSES)}")
    try:
        # Never pickles, and nothing left at random in silence.
        model, report = _member(library, _CLASSES[config.model_type]).from_pretrained(
            source, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"cannot load the model of {source!r}: {_first_line(error)}") from None
    if missing := sorted(report["missing_keys"]):
        raise WeightsError(f"{source} lacks {missing[0]} ({len(missing)} tensors in all); fetch the model anew")
    return model


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _side(size: int | list[int] | tuple[int, ...]) -> int:
    return size if isinstance(size, int) else size[0]


def _encoder_parts(model: Any) -> list[torch.nn.Module]:  # noqa: ANN401 - one of several unrelated classes
    """What `get_image_embeddings` runs."""
    decoder = model.mask_decoder
    return [
        model.vision_encoder,
        *(getattr(decoder, name) for name in ("conv_s0", "conv_s1") if hasattr(decoder, name)),
    ]


def _as_float32(values: Any) -> Any:  # noqa: ANN401 - a tensor, or lists and tuples of them
    if isinstance(values, Tensor):
        return values.float()
    return [_as_float32(value) for value in values]
