"""The network's view of an image: geometry, and resampling of images and logits between the two pixel grids.

*Original pixels* are those of the image a person opened; *working pixels* are those of the network's input, the image
with its longest side resized to `size`, then padded on the right and at the bottom. Nothing else converts between them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from inter2former import kernels

__all__ = [
    "MAX_SIZE",
    "MIN_SIZE",
    "WorkingBox",
    "WorkingFrame",
    "logits_to_original",
    "mask_to_original",
    "resize_to_working",
]

MIN_SIZE = 16
MAX_SIZE = 4096

WorkingBox: TypeAlias = tuple[int, int, int, int]
"""(left, top, right, bottom) in working pixels; right and bottom are the first column and row outside."""

_Logits: TypeAlias = npt.NDArray[np.float32]
_Indices: TypeAlias = npt.NDArray[np.int64]

# One float32 band of 1 MB stays in the second-level cache: 2x over bands of 8 MB, smaller ones gave nothing.
_BAND_VALUES = 1 << 18
# Pillow alone takes 1.0 s for 12000x12000 to 1024x1024, averaging first 0.4 s; below 8 times there is little to gain.
_PRE_REDUCE_ABOVE = 8
_PRE_REDUCE_TO = 4


@dataclass(frozen=True, slots=True)
class WorkingFrame:
    """How an image lies in the network's input; made by `WorkingFrame.fit`.

    Attributes:
        width: columns of the original image, in pixels.
        height: rows of the original image, in pixels.
        content_width: columns of the resized image, in working pixels.
        content_height: rows of the resized image, in working pixels.
        padded_width: columns of the network's input, at least `content_width`.
        padded_height: rows of the network's input, at least `content_height`.

    Raises:
        ValueError: a value is no positive integer, or the content is larger than the padded input.
    """

    width: int
    height: int
    content_width: int
    content_height: int
    padded_width: int
    padded_height: int

    def __post_init__(self) -> None:
        """Check the values; see the class."""
        for field in fields(self):
            _integer(field.name, getattr(self, field.name), 1, None)
        if self.content_width > self.padded_width or self.content_height > self.padded_height:
            raise ValueError(
                f"content {self.content_width}x{self.content_height} is larger than the padded input "
                f"{self.padded_width}x{self.padded_height}; make frames with WorkingFrame.fit"
            )

    @classmethod
    def fit(cls, width: int, height: int, *, size: int = 1024, stride: int = 16) -> WorkingFrame:
        """Fit an image into the network's input: longest side `size`, aspect kept, sides padded to `stride`.

        Args:
            width: columns of the original image, >= 1.
            height: rows of the original image, >= 1.
            size: longest side of the resized image in working pixels, `MIN_SIZE`..`MAX_SIZE`. Smaller images are
                enlarged to it.
            stride: the padded sides are the next multiples of this, >= 1.

        Returns:
            The frame; the shorter content side is rounded half up and is at least 1.

        Raises:
            ValueError: an argument is no integer or lies outside its range.
        """
        width, height = _integer("width", width, 1, None), _integer("height", height, 1, None)
        size, stride = _integer("size", size, MIN_SIZE, MAX_SIZE), _integer("stride", stride, 1, None)
        longest = max(width, height)
        content_width = max(1, (2 * width * size + longest) // (2 * longest))
        content_height = max(1, (2 * height * size + longest) // (2 * longest))
        return cls(
            width,
            height,
            content_width,
            content_height,
            -(-content_width // stride) * stride,
            -(-content_height // stride) * stride,
        )

    def to_working(self, x: float, y: float) -> tuple[float, float]:
        """Map the centre of original pixel (x, y) to working coordinates.

        Args:
            x: column in the original image; whole numbers are pixel centres.
            y: row in the original image; whole numbers are pixel centres.

        Returns:
            (x, y) on the working grid, where whole numbers are the centres of working pixels too. Pixel (0, 0) of an
            image that was reduced to half maps to (-0.25, -0.25): half a pixel is added before and taken off after.
        """
        return (
            (x + 0.5) * self.content_width / self.width - 0.5,
            (y + 0.5) * self.content_height / self.height - 0.5,
        )

    def to_original(self, x: float, y: float) -> tuple[float, float]:
        """Map working coordinates to original ones; the inverse of `to_working`.

        Args:
            x: column on the working grid; whole numbers are pixel centres.
            y: row on the working grid; whole numbers are pixel centres.

        Returns:
            (x, y) in the original image; whole numbers are pixel centres.
        """
        return (
            (x + 0.5) * self.width / self.content_width - 0.5,
            (y + 0.5) * self.height / self.content_height - 0.5,
        )

    def working_pixel(self, x: float, y: float) -> tuple[int, int]:
        """Find the working pixel that holds the centre of original pixel (x, y).

        Args:
            x: column in the original image.
            y: row in the original image.

        Returns:
            (x, y) of the nearest working pixel, clamped into the content.
        """
        column = math.floor((x + 0.5) * self.content_width / self.width)
        row = math.floor((y + 0.5) * self.content_height / self.height)
        return min(max(column, 0), self.content_width - 1), min(max(row, 0), self.content_height - 1)


def resize_to_working(image: npt.NDArray[np.uint8], frame: WorkingFrame) -> npt.NDArray[np.uint8]:
    """Resize an image to the content of its working frame.

    The result equals Pillow's `Image.resize(..., BILINEAR)`: antialiased when shrinking, plain bilinear when enlarging.
    Only where a side shrinks 8 times or more is it first averaged down to 4 to 8 times the wanted side, which differs
    by one grey level in smooth parts and by some 20 at hard edges, and spares Pillow's copy of a 12000x12000 image.

    Args:
        image: (height, width, 3) uint8 RGB, the original image.
        frame: the frame of that image.

    Returns:
        (content_height, content_width, 3) uint8 RGB, C-contiguous; a copy even where nothing is resized.

    Raises:
        ValueError: another dtype or shape than the frame's.
    """
    wanted = (frame.height, frame.width, 3)
    if image.shape != wanted or image.dtype != np.uint8:
        raise ValueError(
            f"image is {image.dtype} {image.shape}, the frame wants uint8 {wanted}; "
            "read it with load_image and fit the frame to it"
        )
    across, down = _pre_reduction(frame.width, frame.content_width), _pre_reduction(frame.height, frame.content_height)
    if across > 1 or down > 1:
        image = _averaged(image, across, down)
    resized = Image.fromarray(image).resize(
        (frame.content_width, frame.content_height),
        Image.Resampling.BILINEAR,
        box=(0, 0, frame.width / across, frame.height / down),
    )
    return np.array(resized)


def logits_to_original(logits: _Logits, frame: WorkingFrame, *, box: WorkingBox, outside: float) -> _Logits:
    """Interpolate the logits of a box of the working grid at the pixels of the original image.

    Bilinear with half-pixel centres, as `torch.nn.functional.interpolate(..., align_corners=False)` does. Within the
    box, values beyond its rim are those of the rim; `outside` is never mixed in. Only the box costs time.

    Args:
        logits: (bottom - top, right - left) float32, finite.
        frame: the frame of the image.
        box: (left, top, right, bottom) in working pixels, within the padded input; the part in the padding is unused.
        outside: logit of all original pixels whose centre lies outside the box, <= 0.

    Returns:
        (height, width) float32.

    Raises:
        ValueError: a box outside the padded input, logits of another shape or dtype, or a positive `outside`.
    """
    if not outside <= 0:
        raise ValueError(f"outside is {outside}, wanted a logit <= 0; pixels outside the box are background")
    box_logits, columns, rows = _check_box(logits, frame, box)
    result = np.full((frame.height, frame.width), outside, np.float32)
    target = result[rows.start : rows.stop, columns.start : columns.stop]
    for band, values in _interpolated_bands(box_logits, columns, rows):
        target[band] = values
    return result


def mask_to_original(logits: _Logits, frame: WorkingFrame, *, box: WorkingBox) -> npt.NDArray[np.bool_]:
    """Draw the mask of the original image from the logits of a box of the working grid.

    Equal to `logits_to_original(...) > 0` at every pixel, without ever holding the logits of the original image.

    Args:
        logits: (bottom - top, right - left) float32, finite.
        frame: the frame of the image.
        box: (left, top, right, bottom) in working pixels, within the padded input; the part in the padding is unused.

    Returns:
        (height, width) bool, False outside the box.

    Raises:
        ValueError: a box outside the padded input, or logits of another shape or dtype.
    """
    box_logits, columns, rows = _check_box(logits, frame, box)
    mask = np.zeros((frame.height, frame.width), np.bool_)
    if columns.index.size and rows.index.size:
        inside = kernels.interpolated_mask(_tensor(box_logits), _tensors(columns), _tensors(rows))
        mask[rows.start : rows.stop, columns.start : columns.stop] = inside.numpy()
    return mask


@dataclass(frozen=True, slots=True)
class _Samples:
    """Where the original pixels of one axis read the box.

    Attributes:
        start: first original pixel whose centre lies in the box.
        stop: one past the last.
        index: (stop - start,) int64, the box's pixel before each centre.
        weight: (stop - start,) float32 in [0, 1), share of the pixel after it.
    """

    start: int
    stop: int
    index: _Indices
    weight: _Logits


def _tensor(values: npt.NDArray[np.float32 | np.int64]) -> torch.Tensor:
    """A tensor over the same memory; over a copy where that is read-only, which tensors cannot be."""
    return torch.from_numpy(values if values.flags.writeable else values.copy())


def _tensors(samples: _Samples) -> tuple[torch.Tensor, torch.Tensor]:
    return _tensor(samples.index), _tensor(samples.weight)


def _integer(name: str, value: int, low: int, high: int | None) -> int:
    wanted = f"an integer >= {low}" if high is None else f"an integer in [{low}, {high}]"
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} is {value!r}, wanted {wanted}") from None
    if isinstance(value, bool) or number < low or (high is not None and number > high):
        raise ValueError(f"{name} is {value!r}, wanted {wanted}")
    return number


def _pre_reduction(side: int, content: int) -> int:
    shrink = side // content
    return 1 if shrink < _PRE_REDUCE_ABOVE else shrink // _PRE_REDUCE_TO


def _averaged(image: npt.NDArray[np.uint8], across: int, down: int) -> npt.NDArray[np.uint8]:
    """Average cells of `across` x `down` pixels, fewer in the last column and row: (H, W, 3) to (h, w, 3) uint8."""
    height, width = image.shape[:2]
    rows, columns = height // down, width // across
    averaged = np.empty((-(-height // down), -(-width // across), 3), np.uint8)
    # Whole cells apart: OpenCV's path for fractional ones is 8x slower.
    whole = image[: rows * down, : columns * across]
    averaged[:rows, :columns] = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    if columns < averaged.shape[1]:
        rest = image[:, columns * across :]
        averaged[:, columns:] = cv2.resize(rest, (1, averaged.shape[0]), interpolation=cv2.INTER_AREA)
    if rows < averaged.shape[0]:
        rest = image[rows * down :]
        averaged[rows:] = cv2.resize(rest, (averaged.shape[1], 1), interpolation=cv2.INTER_AREA)
    return averaged


def _check_box(logits: _Logits, frame: WorkingFrame, box: WorkingBox) -> tuple[_Logits, _Samples, _Samples]:
    """Check the arguments; give the box's logits without the padding, and the samples of columns and rows."""
    left, top, right, bottom = (operator.index(side) for side in box)
    if not (0 <= left <= right <= frame.padded_width and 0 <= top <= bottom <= frame.padded_height):
        raise ValueError(
            f"box {box} lies outside the {frame.padded_width}x{frame.padded_height} working pixels; "
            "wanted (left, top, right, bottom) with left <= right and top <= bottom"
        )
    if logits.shape != (bottom - top, right - left) or logits.dtype != np.float32:
        raise ValueError(
            f"logits are {logits.dtype} {logits.shape}, box {box} wants float32 {(bottom - top, right - left)}"
        )
    right, bottom = min(right, frame.content_width), min(bottom, frame.content_height)
    columns = _samples(frame.width, frame.content_width, left, right)
    rows = _samples(frame.height, frame.content_height, top, bottom)
    return logits[: max(bottom - top, 0), : max(right - left, 0)], columns, rows


def _samples(length: int, content: int, first: int, last: int) -> _Samples:
    """Find the original pixels of one axis in [first, last) of the content, in exact integers of 1/(2 * length)."""
    start, stop = (-((content - 2 * length * side) // (2 * content)) for side in (first, last))
    if last <= first or stop <= start:
        return _Samples(0, 0, np.zeros(0, np.int64), np.zeros(0, np.float32))
    # Pixel centre x lies at (x + 1/2) * content / length - 1/2 on the working grid.
    position = (2 * np.arange(start, stop, dtype=np.int64) + 1) * content - length - 2 * length * first
    position = position.clip(0, 2 * length * (last - first - 1))
    index, remainder = np.divmod(position, 2 * length)
    return _Samples(start, stop, index, (remainder / (2 * length)).astype(np.float32))


def _interpolated_bands(logits: _Logits, columns: _Samples, rows: _Samples) -> Iterator[tuple[slice, _Logits]]:
    """Yield (rows of the original box, their (rows, columns) float32 logits), one cache-sized band at a time."""
    width, height = len(columns.index), len(rows.index)
    if not width:
        return
    step = max(1, _BAND_VALUES // width)
    for top in range(0, height, step):
        band = slice(top, min(top + step, height))
        index = rows.index[band]
        first, last = int(index[0]), min(int(index[-1]) + 2, len(logits))
        # Transposed, so that both axes blend whole rows: gathering single columns is 2x slower.
        wide = _blend_rows(_transposed(logits[first:last]), columns.index, columns.weight)
        yield band, _blend_rows(_transposed(wide), index - first, rows.weight[band])


def _blend_rows(source: _Logits, index: _Indices, weight: _Logits) -> _Logits:
    """Blend rows `index` and `index + 1` of (n, m) float32; the last row is its own successor."""
    blended = source.take(index + 1, axis=0, mode="clip")
    before = source.take(index, axis=0)
    blended -= before
    blended *= weight[:, None]
    blended += before
    return blended


def _transposed(values: _Logits) -> _Logits:
    # 4x faster than NumPy's copy of a transposed view.
    return np.asarray(cv2.transpose(values), np.float32)
