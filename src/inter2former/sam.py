"""A facade shaped like Segment Anything's predictor, so that a script switches by one import."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inter2former.predictor import Prediction, Predictor
from inter2former.prompt import MaskPrompt, Prompt
from inter2former.session.verdicts import fitted_box, fitted_click

__all__ = ["SamPredictor"]

LOW_RESOLUTION = 256


class SamPredictor:
    """`set_image` and `predict` with Segment Anything's names, orders and shapes.

    Differs from Segment Anything: there is one mask per call, not three; clicks are taken one after the other, so the
    answer to a longer list builds on the answers to its beginning, and a call that repeats the list of an earlier one
    and adds a click computes that click only.
    """

    def __init__(self, predictor: Predictor | None = None) -> None:
        """Wrap a predictor; None: one with the weights of the package."""
        self.predictor = Predictor() if predictor is None else predictor

    def set_image(self, image: str | os.PathLike[str] | Image.Image | NDArray[Any], image_format: str = "RGB") -> None:
        """Encode an image.

        Args:
            image: as for `Predictor.set_image`.
            image_format: "RGB" or "BGR", the order of the channels of an array.
        Raises:
            ValueError: another format.
        """
        if image_format not in ("RGB", "BGR"):
            raise ValueError(f"image_format is {image_format!r}; it must be 'RGB' or 'BGR'")
        if image_format == "BGR" and isinstance(image, np.ndarray) and image.ndim == 3:
            image = np.ascontiguousarray(image[..., [2, 1, 0, *range(3, image.shape[2])]])
        self.predictor.set_image(image)

    def predict(
        self,
        point_coords: NDArray[Any] | None = None,
        point_labels: NDArray[Any] | None = None,
        box: NDArray[Any] | None = None,
        mask_input: NDArray[Any] | None = None,
        multimask_output: bool = False,
        return_logits: bool = False,
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        """Segment from scratch with the given prompts.

        Args:
            point_coords: (N, 2) x, y in pixels of the original image.
            point_labels: (N,) 1: object, 0: background.
            box: (4,) left, top, right, bottom in pixels.
            mask_input: (1, 256, 256) logits as returned by an earlier call, or a mask (H, W) of the image's size.
            multimask_output: accepted for the signature's sake; there is one mask either way.
            return_logits: return logits instead of a bool mask.
        Returns:
            masks (1, H, W), scores (1,) in 0..1, and low-resolution logits (1, 256, 256) of the image padded to a
            square at the right and bottom.
        Raises:
            ImageNotSetError: there is no image yet.
            ValueError: no prompt at all, or one of another shape or outside the image.
        """
        predictor = self.predictor
        points, sides = _points(point_coords, point_labels), _sides(box)
        width, height = predictor.image_size
        if not points and sides is None and mask_input is None:
            raise ValueError("there is no prompt; give point_coords with point_labels, box or mask_input")
        prompts: list[Prompt] = []
        if mask_input is not None:
            prompts.append(MaskPrompt.of(_full_mask(np.asarray(mask_input), width, height)))
        if sides is not None:
            prompts.append(fitted_box(*sides, width, height))
        prompts += [fitted_click(x, y, positive, width, height) for x, y, positive in points]
        prediction = predictor.resume(prompts)
        assert prediction is not None
        mask = prediction.logits if return_logits else prediction.mask
        return mask[None].copy(), np.array([prediction.score], dtype=np.float32), _low_resolution(prediction)[None]

    def reset_image(self) -> None:
        """Forget the prompts; unlike Segment Anything's, the image stays encoded."""
        self.predictor.reset()


def _points(coords: NDArray[Any] | None, labels: NDArray[Any] | None) -> list[tuple[float, float, bool]]:
    if coords is None:
        if labels is not None:
            raise ValueError("point_labels came without point_coords; give x, y per label")
        return []
    if labels is None:
        raise ValueError("point_coords came without point_labels; give one label per point: 1 object, 0 background")
    where, what = np.asarray(coords, dtype=np.float64), np.asarray(labels).reshape(-1)
    if where.ndim != 2 or where.shape[1] != 2 or len(where) != len(what):
        raise ValueError(
            f"point_coords has shape {where.shape} and point_labels {what.shape}; expected (N, 2) and (N,)"
        )
    if unknown := sorted({float(label) for label in what} - {0.0, 1.0}):
        raise ValueError(f"point_labels holds {unknown[0]:g}; a label is 1 for object or 0 for background")
    return [(float(x), float(y), bool(label == 1)) for (x, y), label in zip(where, what, strict=True)]


def _sides(box: NDArray[Any] | None) -> tuple[float, float, float, float] | None:
    if box is None:
        return None
    sides = np.asarray(box, dtype=np.float64).reshape(-1)
    if sides.size != 4:
        raise ValueError(f"box has shape {np.shape(box)}; it must be (4,): left, top, right, bottom")
    return float(sides[0]), float(sides[1]), float(sides[2]), float(sides[3])


def _full_mask(mask: NDArray[Any], width: int, height: int) -> NDArray[np.bool_]:
    mask = mask[0] if mask.ndim == 3 and mask.shape[0] == 1 else mask
    if mask.shape == (height, width):
        return np.asarray(mask > 0)
    if mask.shape != (LOW_RESOLUTION, LOW_RESOLUTION):
        raise ValueError(
            f"mask_input has shape {mask.shape}; expected (1, {LOW_RESOLUTION}, {LOW_RESOLUTION}) logits "
            f"or a mask of the image's size {(height, width)}"
        )
    side = max(width, height)
    square = Image.fromarray(mask.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(square)[:height, :width] > 0


def _low_resolution(prediction: Prediction) -> NDArray[np.float32]:
    logits = prediction.logits
    side = max(logits.shape)
    square = np.full((side, side), logits.min(), dtype=np.float32)
    square[: logits.shape[0], : logits.shape[1]] = logits
    picture = Image.fromarray(square).resize((LOW_RESOLUTION, LOW_RESOLUTION), Image.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.float32)
