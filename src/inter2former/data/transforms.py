"""Augmentations of annotated pictures: frozen values that take every draw from the generator they are given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

__all__ = [
    "Blur",
    "ColourJitter",
    "Crop",
    "Flip",
    "Jpeg",
    "Noise",
    "Picture",
    "ResizeRange",
    "Transform",
    "apply",
]

_Pixels: TypeAlias = NDArray[np.uint8]


class Picture(NamedTuple):
    """An image in memory with the objects on it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) integers, 0: no object, otherwise the number of the object.
        ignore: (H, W) bool, pixels that count neither as object nor as background; None: there are none.
    """

    image: _Pixels
    labels: NDArray[np.integer]
    ignore: NDArray[np.bool_] | None = None


class Transform(Protocol):
    """What changes a picture; image, labels and ignored pixels move together."""

    def __call__(self, picture: Picture, rng: Generator) -> Picture:
        """The changed picture; the given one stays as it is."""
        ...


def apply(transforms: Sequence[Transform], picture: Picture, rng: Generator) -> Picture:
    """Apply transforms one after the other.

    Raises:
        ValueError: image, labels and ignored pixels are not of one size, or the image is no RGB picture of 8 bits.
    """
    image, labels, ignore = picture
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image is {image.dtype} {image.shape}, wanted uint8 (H, W, 3)")
    if labels.shape != image.shape[:2] or (ignore is not None and ignore.shape != image.shape[:2]):
        raise ValueError(
            f"the image is {image.shape[:2]}, its labels {labels.shape} and its ignored pixels "
            f"{None if ignore is None else ignore.shape}; wanted one size"
        )
    for transform in transforms:
        picture = transform(picture, rng)
    return picture


@dataclass(frozen=True, slots=True)
class ResizeRange:
    """Resize so that the longest side is drawn from a range, evenly in its logarithm.

    Labels keep whole numbers: a pixel takes the label at its centre.

    Attributes:
        shortest: least length of the longest side in pixels.
        longest: greatest length of it.
    """

    shortest: int
    longest: int

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        _check_range("ResizeRange", self.shortest, self.longest, least=1)

    def __call__(self, picture: Picture, rng: Generator) -> Picture:
        """The picture at the size that was drawn."""
        side = round(math.exp(rng.uniform(math.log(self.shortest), math.log(self.longest))))
        height, width = picture.labels.shape
        scale = side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        image = cv2.resize(picture.image, size, interpolation=smooth)
        ignore = None if picture.ignore is None else _nearest(picture.ignore.view(np.uint8), size).view(np.bool_)
        return Picture(np.asarray(image, np.uint8), _nearest(picture.labels, size), ignore)


@dataclass(frozen=True, slots=True)
class Flip:
    """Mirror left and right.

    Attributes:
        probability: how often.
    """

    probability: float = 0.5

    def __call__(self, picture: Picture, rng: Generator) -> Picture:
        """The picture or its mirror image."""
        if rng.random() >= self.probability:
            return picture
        image, labels, ignore = picture
        flipped = None if ignore is None else np.ascontiguousarray(ignore[:, ::-1])
        return Picture(np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(labels[:, ::-1]), flipped)


@dataclass(frozen=True, slots=True)
class Crop:
    """Cut out a window that holds a pixel of some object, if there is one.

    Attributes:
        side: sides of the window in pixels; less where the picture is smaller.
    """

    side: int

    def __post_init__(self) -> None:
        """Refuse an empty window."""
        _check_range("Crop", self.side, self.side, least=1)

    def __call__(self, picture: Picture, rng: Generator) -> Picture:
        """The window."""
        shape = picture.labels.shape
        inside = np.flatnonzero(picture.labels)
        at = divmod(int(inside[rng.integers(inside.size)]), shape[1]) if inside.size else (shape[0] // 2, shape[1] // 2)
        window = tuple(self._window(rng, place, length) for place, length in zip(at, shape, strict=True))
        image, labels, ignore = picture
        return Picture(image[window].copy(), labels[window].copy(), None if ignore is None else ignore[window].copy())

    def _window(self, rng: Generator, at: int, length: int) -> slice:
        low, high = max(0, at - self.side + 1), min(at, max(0, length - self.side))
        start = int(rng.integers(low, high + 1))
        return slice(start, start + self.side)


@dataclass(frozen=True, slots=True)
class ColourJitter:
    """Change brightness, contrast, saturation and hue by random amounts.

    Attributes:
        brightness: greatest change of all values, as a share of white.
        contrast: greatest change of the distance from the mean grey, as a share of it.
        saturation: the same for the distance from grey of each pixel.
        hue: greatest turn of the colour circle, 0..0.5 of it.
    """

    brightness: float = 0.15
    contrast: float = 0.25
    saturation: float = 0.3
    hue: float = 0.03

    def __call__(self, picture: Picture, rng: Generator) -> Picture:
        """The picture in other colours."""
        brightness, contrast, saturation, hue = (
            rng.uniform(-most, most) for most in (self.brightness, self.contrast, self.saturation, self.hue)
        )
        image = picture.image
        if self.hue:
            hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
            # OpenCV counts the circle in steps of two degrees.
            hsv[..., 0] = (hsv[..., 0].astype(np.int16) + round(180 * hue)) % 180
            image = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)
        # Saturation, contrast and brightness are one linear map of the three channels.
        grey = np.array([0.299, 0.587, 0.114])
        mixing = (1 + contrast) * ((1 + saturation) * np.eye(3) - saturation * np.tile(grey, (3, 1)))
        mean = float(image.mean(axis=(0, 1)) @ grey)
        offset = 255 * brightness - contrast * mean
        matrix = np.concatenate([mixing, np.full((3, 1), offset)], axis=1)
        return picture._replace(image=np.asarray(cv2.transform(image, matrix), np.uint8))


@dataclass(frozen=True, slots=True)
class Blur:
    """Soften the image; labels stay.

    Attributes:
        probability: how often.
        sigmas: range of the standard deviation in pixels, > 0.
    """

    probability: float = 0.2
    sigmas: tuple[float, float] = (0.4, 1.5)

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        _check_range("sigmas of Blur", *self.sigmas, least=1e-3)

    def __call__(self, picture: Picture, rng: Generator) -> Picture:
        """The picture, softened or not."""
        if rng.random() >= self.probability:
            return picture
        sigma = rng.uniform(*self.sigmas)
        return picture._replace(image=np.asarray(cv2.GaussianBlur(picture.image, (0, 0), sigma), np.uint8))


@dataclass(frozen=True, slots=True)
class Jpeg:
    """Compress and decompress the image as JPEG.

    Attributes:
        probability: how often.
        qualities: range of the quality, 1..100, both ends possible.
    """

    probability: float = 0.3
    qualities: tuple[int, int] = (50, 95)

    def __post_init__(self) -> None:
        """Refuse an empty range, or one beyond 1..100."""
        _check_range("qualities of Jpeg", *self.qualities, least=1)
        if self.qualities[1] > 100:
            raise ValueError(f"qualities of Jpeg are {self.qualities}; the greatest quality is 100")

    def __call__(self, picture: Picture, rng: Generator) -> Picture:
        """The picture, compressed or not."""
        if rng.random() >= self.probability:
            return picture
        low, high = self.qualities
        quality = int(rng.integers(low, high + 1))
        _, content = cv2.imencode(".jpg", picture.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(content, cv2.IMREAD_COLOR)
        assert decoded is not None, "OpenCV cannot read its own JPEG"
        return picture._replace(image=np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8))


@dataclass(frozen=True, slots=True)
class Noise:
    """Add sensor noise: a part common to the channels and a weaker one of each channel.

    Attributes:
        probability: how often.
        sigmas: range of the standard deviation of the common part, in grey values.
    """

    probability: float = 0.3
    sigmas: tuple[float, float] = (1.0, 8.0)

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        _check_range("sigmas of Noise", *self.sigmas, least=0)

    def __call__(self, picture: Picture, rng: Generator) -> Picture:
        """The picture, with noise or without."""
        if rng.random() >= self.probability:
            return picture
        sigma = rng.uniform(*self.sigmas)
        height, width = picture.labels.shape
        # One plane of draws, read from four places: independent at any one pixel, and four times as fast.
        plane = np.rint(rng.standard_normal((height + 7, width + 7), dtype=np.float32) * np.float32(2 * sigma))
        whole = plane.astype(np.int16)
        own = [whole[row : row + height, column : column + width] for row, column in ((3, 7), (7, 2), (5, 5))]
        noise = [cv2.addWeighted(whole[:height, :width], 0.5, part, 0.25, 0) for part in own]
        return picture._replace(image=np.asarray(cv2.add(picture.image, cv2.merge(noise), dtype=cv2.CV_8U), np.uint8))


def _nearest(labels: NDArray[np.integer], size: tuple[int, int]) -> NDArray[np.integer]:
    """Labels at the centres of the new pixels; by index, as OpenCV knows too few integer types."""
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.int64), old - 1)
        for new, old in zip(size[::-1], labels.shape, strict=True)
    )
    return np.asarray(labels[rows[:, None], columns])


def _check_range(name: str, low: float, high: float, *, least: float) -> None:
    if not least <= low <= high:
        raise ValueError(f"{name}: {low} to {high} is no range; wanted two numbers >= {least:g} in ascending order")
