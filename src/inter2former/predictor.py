"""The object a person scripts: set an image, click, look, click again, undo.

Start reading here. One prediction goes: click -> reference map -> `Inter2Former.decode` -> mask logits in a box ->
clicks kept (`clicks/respect.py`) -> mask in original pixels.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from inter2former.checkpoint import load_weights, shipped_weights
from inter2former.clicks.reference_map import apply_prediction, blank_map, stamp_box, stamp_next_click
from inter2former.clicks.respect import contradicted, keep_clicks
from inter2former.config import STRIDE, preset
from inter2former.errors import HistoryError, ImageNotSetError
from inter2former.frame import WorkingBox, WorkingFrame, logits_to_original, mask_to_original, resize_to_working
from inter2former.images import load_image
from inter2former.model.inter2former import EncodedImage, Inter2Former
from inter2former.model.normalise import normalised_input
from inter2former.prompt import Click

__all__ = ["Prediction", "Predictor"]

OUTSIDE = -20.0
"""Mask logit where the network did not look because nothing there belongs to the object."""

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network answers to the prompt so far.

    Attributes:
        mask: (H, W) bool at the original image's size, read-only; True: object.
        score: 0..1, how certain the mask is: the share of its area that survives when the threshold on the logits is
            raised from -1 to 1 (the stability score of Segment Anything).
        clicks: the clicks so far, oldest first.
        contradicted: those of the clicks that the network's own answer went against, before the mask was mended there.
        timings: seconds: `prompt` (reference map), `network`, `mask` (to original size) and `total`, their sum and
            what lies between; `encode` is what `set_image` took, once per image, and is not part of `total`.
    """

    mask: BoolArray
    score: float
    clicks: tuple[Click, ...]
    contradicted: tuple[Click, ...]
    timings: Mapping[str, float]
    _local: FloatArray
    _box: WorkingBox
    _frame: WorkingFrame

    @cached_property
    def logits(self) -> FloatArray:
        """(H, W) float32 mask logits at the original image's size, made on first use; `logits > 0` equals `mask`."""
        logits = logits_to_original(self._local, self._frame, box=self._box, outside=OUTSIDE)
        logits.flags.writeable = False
        return logits


class _Step(NamedTuple):
    """One state of the session; undo and redo move between them.

    Attributes:
        reference_map: (h, w) uint8 with everything that was prompted, before the answer is taken in.
        prediction: the answer.
    """

    reference_map: NDArray[np.uint8]
    prediction: Prediction


class _History(NamedTuple):
    """All states of the session, and how many of them are in force; never changed, only replaced as a whole."""

    steps: tuple[_Step, ...] = ()
    position: int = 0

    @property
    def active(self) -> tuple[_Step, ...]:
        return self.steps[: self.position]


class Predictor:
    """Segment one image at a time by clicks.

    Safe to share between threads: one call at a time changes the session, reading `prediction` never waits. The same
    calls give the same masks.

    Example:
        >>> predictor = Predictor()
        >>> predictor.set_image("photo.jpg")
        >>> prediction = predictor.add_click(320, 240)
        >>> prediction = predictor.add_click(80, 60, positive=False)
        >>> prediction.mask.sum()
    """

    def __init__(
        self,
        preset: str = "inter2former-t",
        weights: str | os.PathLike[str] | None = None,
        size: int = 1024,
        threads: int | None = None,
        device: str = "cpu",
    ) -> None:
        """Build the network and load its weights.

        Args:
            preset: name of the network, see `inter2former.config.PRESETS`.
            weights: a safetensors file; None: the weights that come with the package.
            size: the image's longest side in the network's input, in pixels, 16..4096.
            threads: threads of the whole process's tensor operations; None: leave as it is.
            device: where the network runs, as torch names it.
        Raises:
            ValueError: an unknown preset, or a number out of range.
            WeightsError: the weights are missing or do not fit.
        """
        if threads is not None:
            if threads < 1:
                raise ValueError(f"threads is {threads}; it must be at least 1")
            torch.set_num_threads(threads)
        self.size = size
        self.device = torch.device(device)
        self._network = _load_network(preset, weights).to(self.device)
        self._lock = threading.RLock()
        self._encoded: EncodedImage | None = None
        self._frame = WorkingFrame.fit(1, 1, size=size, stride=STRIDE)
        self._encode_seconds = 0.0
        self._history = _History()

    def set_image(self, image: str | os.PathLike[str] | Image.Image | NDArray[Any]) -> None:
        """Encode an image and begin a new session on it. If the image is refused, the old session stays.

        Args:
            image: a path, a PIL image or an array: (H, W, 3) uint8 RGB, or what else `inter2former.images.load_image`
                reads. 1..12000 pixels a side.
        Raises:
            ImageReadError: it is no image or cannot be used.
            TypeError: another type.
        """
        pixels = load_image(image)
        with self._lock:
            started = time.perf_counter()
            frame = WorkingFrame.fit(pixels.shape[1], pixels.shape[0], size=self.size, stride=STRIDE)
            config, working = self._network.config, resize_to_working(pixels, frame)
            image_input = normalised_input(
                working, stride=STRIDE, channel_order=config.channel_order, padding=config.padding
            )
            with torch.inference_mode():
                encoded = self._network.encode(image_input.to(self.device))
            self.reset()
            # In this order, so that whoever reads the size meanwhile never meets the placeholder of the constructor.
            self._frame, self._encoded = frame, encoded
            self._encode_seconds = time.perf_counter() - started

    def add_click(self, x: float, y: float, positive: bool = True) -> Prediction:
        """Click on a pixel and segment again.

        Args:
            x: column in the original image; a fraction names the pixel it lies in.
            y: row in the original image, likewise.
            positive: True: the pixel belongs to the object; False: it does not.
        Returns:
            the new prediction. The clicked pixel is inside the mask after a positive click and outside after a
            negative one; so are the pixels of earlier clicks, unless a later click is so near that its disc covers
            them.
        Raises:
            ImageNotSetError: there is no image yet.
            ValueError: the click is outside the image.
        """
        with self._lock:
            started = time.perf_counter()
            self._require_image()
            click = self._click(x, y, positive)
            clicks = (*self._clicks(), click)
            at = Click(*self._frame.working_pixel(click.x, click.y), click.positive)
            reference_map = stamp_next_click(
                self._map_with_answer(), at, self._network.config.clicks, first=not self._history.active
            )
            return self._segment(reference_map, clicks, started)

    def add_box(self, left: float, top: float, right: float, bottom: float) -> Prediction:
        """Draw a box around the object and segment again.

        Args:
            left: first column of the box in the original image.
            top: first row.
            right: last column, at least `left`.
            bottom: last row, at least `top`.
        Raises:
            ImageNotSetError: there is no image yet.
            ValueError: a side is no number, the box is empty or lies outside the image.
        """
        with self._lock:
            started = time.perf_counter()
            self._require_image()
            x0, y0, x1, y1 = self._check_box(left, top, right, bottom)
            low, high = self._frame.working_pixel(x0, y0), self._frame.working_pixel(x1, y1)
            reference_map = stamp_box(self._map_with_answer(), *low, high[0] + 1, high[1] + 1)
            return self._segment(reference_map, self._clicks(), started)

    def set_mask(self, mask: NDArray[Any]) -> Prediction:
        """Take a mask as the answer so far, to be refined by clicks; earlier clicks of the session are dropped.

        Args:
            mask: (H, W) bool or numbers, non-zero: object; of the image's size.
        Returns:
            a prediction whose mask is the given one up to its resampling to the working size.
        Raises:
            ImageNotSetError: there is no image yet.
            ValueError: another size.
        """
        with self._lock:
            started = time.perf_counter()
            self._require_image()
            frame = self._frame
            mask = np.asarray(mask)
            if mask.shape != (frame.height, frame.width):
                raise ValueError(f"mask has shape {mask.shape}; the image is {(frame.height, frame.width)}")
            content = _resized_mask(mask != 0, frame)
            plane = np.full((frame.padded_height, frame.padded_width), OUTSIDE, dtype=np.float32)
            plane[: frame.content_height, : frame.content_width] = np.where(content, -OUTSIDE, OUTSIDE)
            reference_map = apply_prediction(np.full(plane.shape, 2, dtype=np.uint8), plane > 0)
            box = (0, 0, frame.padded_width, frame.padded_height)
            return self._append(reference_map, plane, box, ((), ()), {"network": 0.0}, started)

    def undo(self) -> Prediction | None:
        """Take the last prompt back.

        Returns:
            the prediction before it, None if it was the first.
        Raises:
            HistoryError: there is nothing to take back.
        """
        with self._lock:
            steps, position = self._history
            if position == 0:
                raise HistoryError("nothing to undo: no prompt has been given on this image")
            self._history = _History(steps, position - 1)
            return self.prediction

    def redo(self) -> Prediction:
        """Give the prompt that was taken back last again.

        Raises:
            HistoryError: nothing was taken back since the last new prompt.
        """
        with self._lock:
            steps, position = self._history
            if position == len(steps):
                raise HistoryError("nothing to redo: no prompt was taken back since the last new one")
            self._history = _History(steps, position + 1)
            return steps[position].prediction

    def reset(self) -> None:
        """Forget all prompts; the image stays encoded."""
        with self._lock:
            self._history = _History()

    @property
    def prediction(self) -> Prediction | None:
        """The present answer; None before the first prompt."""
        active = self._history.active
        return active[-1].prediction if active else None

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of the image in pixels.

        Raises:
            ImageNotSetError: there is no image yet.
        """
        self._require_image()
        return self._frame.width, self._frame.height

    def _clicks(self) -> tuple[Click, ...]:
        return self.prediction.clicks if self.prediction is not None else ()

    def _map_with_answer(self) -> NDArray[np.uint8]:
        """The reference map after the last answer."""
        frame, active = self._frame, self._history.active
        if not active:
            return blank_map(frame.padded_height, frame.padded_width, self._network.config.clicks)
        step = active[-1]
        mask = np.zeros(step.reference_map.shape, dtype=np.bool_)
        left, top, right, bottom = step.prediction._box
        mask[top:bottom, left:right] = step.prediction._local > 0
        return apply_prediction(step.reference_map, mask)

    def _segment(self, reference_map: NDArray[np.uint8], clicks: tuple[Click, ...], started: float) -> Prediction:
        encoded = self._require_image()
        prompted = time.perf_counter()
        with torch.inference_mode():
            local = self._network.decode(encoded, torch.from_numpy(reference_map)[None, None].to(self.device))[0]
            logits = local.logits.float().cpu().numpy()
        timings = {"prompt": prompted - started, "network": time.perf_counter() - prompted}
        radius = self._network.config.clicks.inner_radius
        positions = [(*self._frame.to_working(click.x, click.y), click.positive) for click in clicks]
        left, top = local.box.left, local.box.top
        broken = tuple(
            click
            for click, (x, y, positive) in zip(clicks, positions, strict=True)
            if contradicted(logits, x - left, y - top, positive)
        )
        kept = keep_clicks(logits, local.box, positions, radius=radius)
        return self._append(reference_map, kept, local.box, (clicks, broken), timings, started)

    def _append(
        self,
        reference_map: NDArray[np.uint8],
        logits: FloatArray,
        box: WorkingBox,
        clicks: tuple[tuple[Click, ...], tuple[Click, ...]],
        timings: dict[str, float],
        started: float,
    ) -> Prediction:
        resizing = time.perf_counter()
        mask = mask_to_original(logits, self._frame, box=box)
        mask.flags.writeable = False
        now = time.perf_counter()
        timings = {**timings, "mask": now - resizing, "total": now - started, "encode": self._encode_seconds}
        prediction = Prediction(mask, _stability(logits), *clicks, MappingProxyType(timings), logits, box, self._frame)
        # One assignment of one name, so that a reader sees the old history or the new one.
        active = self._history.active
        self._history = _History((*active, _Step(reference_map, prediction)), len(active) + 1)
        return prediction

    def _require_image(self) -> EncodedImage:
        if self._encoded is None:
            raise ImageNotSetError("there is no image yet; call set_image() first")
        return self._encoded

    def _click(self, x: float, y: float, positive: bool) -> Click:
        width, height = self._frame.width, self._frame.height
        if not (_is_number(x) and _is_number(y) and 0 <= x < width and 0 <= y < height):
            raise ValueError(
                f"click ({x}, {y}) lies outside the {width}x{height} image; "
                f"x must be in [0, {width - 1}] and y in [0, {height - 1}]"
            )
        return Click(int(x), int(y), bool(positive))

    def _check_box(self, left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        width, height = self._frame.width, self._frame.height
        sides = (left, top, right, bottom)
        if not all(_is_number(side) for side in sides) or not (
            left <= right and top <= bottom and right >= 0 and bottom >= 0 and left < width and top < height
        ):
            raise ValueError(
                f"box {sides} holds no pixel of the {width}x{height} image; give left, top, right, bottom in pixels"
            )
        return max(left, 0), max(top, 0), min(right, width - 1), min(bottom, height - 1)


def _load_network(name: str, weights: str | os.PathLike[str] | None) -> Inter2Former:
    config = preset(name)
    path = shipped_weights(name) if weights is None else weights
    network = Inter2Former(config).eval().requires_grad_(False)
    load_weights(network, os.fspath(path))
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and math.isfinite(value)


def _stability(logits: FloatArray) -> float:
    """Area at threshold 1 over area at threshold -1; 0 where there is no mask at all."""
    loose = int(np.count_nonzero(logits > -1))
    return int(np.count_nonzero(logits > 1)) / loose if loose else 0.0


def _resized_mask(mask: BoolArray, frame: WorkingFrame) -> BoolArray:
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    resized = picture.resize((frame.content_width, frame.content_height), Image.Resampling.BILINEAR)
    return np.asarray(resized) > 127
