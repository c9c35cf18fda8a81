"""Made-up pictures whose masks are exact to the pixel: cut-outs and procedural things laid over photos.

The rule of the masks: a pixel belongs to the object that covers at least half of it, less what others in front of it
cover, counted before lens and movement blur. Blur is symmetric, so that a blurred rim lies where the sharp one was, and
a wire out of focus is still where the wire is. No pixel is undecided, hence none is ignored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inter2former.data.synthetic_cutouts import HALF, CutOut, Split, procedural, read_cut_out, thickness
from inter2former.data.synthetic_layers import (
    Layer,
    blurred,
    cast_shadow,
    disc_kernel,
    lay_over,
    line_kernel,
    lit_like,
    visible_region,
)
from inter2former.data.transforms import Blur, Jpeg, Noise, Picture, apply
from inter2former.images import load_image

__all__ = ["SyntheticConfig", "SyntheticSource"]

_Pixels: TypeAlias = NDArray[np.uint8]

_ATTEMPTS = 4
_LEAST_PIXELS = 64
_SPLIT_NUMBERS = {Split.TRAIN: 0, Split.HELD_OUT: 1, Split.ALL: 2}


@dataclass(frozen=True, slots=True)
class SyntheticConfig:
    """What the pictures look like.

    Attributes:
        size: longest side in pixels, >= 64.
        objects: range of the number of objects per picture, both ends possible.
        object_sides: range of an object's longest side as a share of `size`, drawn evenly in its logarithm.
        procedural_share: how often an object is procedural rather than a cut-out from a file, 0..1.
        thin_only: only procedural things, and cut-outs that are thin on average.
        thin_share: greatest mean thickness of a thin cut-out, as a share of `size`.
        shadow_probability: how often an object throws a shadow.
        defocus_probability: how often an object is out of focus; the background is so twice as often.
        movement_probability: how often an object is blurred by movement.
        noise: sensor noise over the whole picture.
        softness: blur of the whole picture.
        jpeg: compression of the whole picture.
    """

    size: int = 1024
    objects: tuple[int, int] = (1, 4)
    object_sides: tuple[float, float] = (0.12, 0.95)
    procedural_share: float = 0.4
    thin_only: bool = False
    thin_share: float = 0.012
    shadow_probability: float = 0.7
    defocus_probability: float = 0.12
    movement_probability: float = 0.06
    noise: Noise = field(default=Noise(0.7, (0.5, 6.0)))
    softness: Blur = field(default=Blur(0.3, (0.3, 0.8)))
    jpeg: Jpeg = field(default=Jpeg(0.6, (60, 97)))

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if self.size < 64:
            raise ValueError(f"size is {self.size}; it must be at least 64 pixels")
        if not 1 <= self.objects[0] <= self.objects[1] <= 250:
            raise ValueError(f"objects are {self.objects}; wanted two numbers in 1..250 in ascending order")
        if not 0 < self.object_sides[0] <= self.object_sides[1] <= 2:
            raise ValueError(f"object_sides are {self.object_sides}; wanted two shares in 0..2 in ascending order")

    @classmethod
    def thin(cls, size: int = 1024) -> SyntheticConfig:
        """Pictures of thin structures only, which are not too small to be seen."""
        return cls(size, objects=(1, 3), object_sides=(0.25, 1.1), thin_only=True)


@dataclass(frozen=True, slots=True)
class SyntheticSource:
    """An endless source of pictures; a picture is its seed, its split and its index and nothing else.

    Attributes:
        backgrounds: photos.
        foregrounds: cut-outs, already of the wanted split; none: every object is procedural.
        config: what the pictures look like.
        seed: of all draws.
        split: keeps the procedural things of training and evaluation apart.
    """

    backgrounds: tuple[Path, ...]
    foregrounds: tuple[Path, ...] = ()
    config: SyntheticConfig = field(default_factory=SyntheticConfig)
    seed: int = 0
    split: Split = Split.TRAIN

    def __post_init__(self) -> None:
        """Refuse a source without photos."""
        if not self.backgrounds:
            raise ValueError("there are no backgrounds; give at least one photo")

    def picture(self, index: int) -> Picture:
        """Make picture number `index` (>= 0); labels are 1, 2, ... from the back to the front, without gaps.

        Raises:
            DataError, ImageReadError: a file cannot be read; the message names it.
        """
        rng = np.random.default_rng((self.seed, _SPLIT_NUMBERS[self.split], index))
        canvas, zoom = self._background(rng)
        count = int(rng.integers(self.config.objects[0], self.config.objects[1] + 1))
        low, high = (math.log(share * self.config.size) for share in self.config.object_sides)
        sides = np.sort(np.exp(rng.uniform(low, high, count)))[::-1]
        owner = _Owner(canvas.shape[0], canvas.shape[1])
        for number, side in enumerate(sides, 1):
            layer, grounded = self._object(rng, canvas, max(8, round(side)))
            owner.cover(layer, number)
            self._expose(rng, canvas, layer, zoom, grounded=grounded)
        finish = (self.config.softness, self.config.noise, self.config.jpeg)
        return apply(finish, Picture(canvas, owner.labels(_LEAST_PIXELS)), rng)

    def _background(self, rng: Generator) -> tuple[_Pixels, float]:
        """A photo or part of one at the picture's size, and how much it was enlarged."""
        photo = load_image(self.backgrounds[int(rng.integers(len(self.backgrounds)))])
        share = rng.uniform(0.75, 1.0)
        height, width = (max(1, round(length * share)) for length in photo.shape[:2])
        top, left = (
            int(rng.integers(full - part + 1)) for full, part in zip(photo.shape, (height, width), strict=False)
        )
        photo = photo[top : top + height, left : left + width]
        zoom = self.config.size / max(height, width)
        size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
        how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
        photo = np.asarray(cv2.resize(photo, size, interpolation=how), np.uint8)
        canvas = np.ascontiguousarray(photo[:, ::-1] if rng.random() < 0.5 else photo)
        if rng.random() < 2 * self.config.defocus_probability:
            sigma = rng.uniform(1, 0.006 * self.config.size + 1)
            canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), sigma), np.uint8)
        return canvas, zoom

    def _object(self, rng: Generator, canvas: _Pixels, side: int) -> tuple[Layer, bool]:
        """An object at its place, in the light of its surroundings."""
        cut_out = self._cut_out(rng, side)
        height, width = cut_out.pixels.shape[:2]
        picture_height, picture_width = canvas.shape[:2]
        centre = rng.uniform(0.05, 0.95) * picture_width if width < picture_width else picture_width / 2
        left = round(centre - width / 2)
        if cut_out.grounded:
            # What stands nearer is larger and lower in the picture.
            foot = rng.uniform(0.5, 0.75) + 0.3 * min(1.0, side / self.config.size) + rng.normal(0, 0.04)
            top = round(foot * picture_height) - height
        else:
            top = round(rng.uniform(0.1, 0.9) * picture_height - height / 2)
        layer = Layer(cut_out.pixels, left, top)
        there, _ = visible_region((picture_height, picture_width), layer)
        around = canvas[there][::8, ::8]
        if around.size == 0:
            around = canvas[::16, ::16]
        thin = thickness(cut_out.pixels[..., 3]) < self.config.thin_share * self.config.size
        lit = lit_like(cut_out.pixels, around, rng, least_contrast=0.22 if thin else 0.05)
        return layer._replace(pixels=lit), cut_out.grounded

    def _cut_out(self, rng: Generator, side: int) -> CutOut:
        thickest = self.config.thin_share * self.config.size if self.config.thin_only else math.inf
        for _ in range(_ATTEMPTS):
            if not self.foregrounds or rng.random() < self.config.procedural_share:
                break
            path = self.foregrounds[int(rng.integers(len(self.foregrounds)))]
            pixels = read_cut_out(path, rng, side=side, thickest=thickest)
            if pixels is not None:
                return _turned(CutOut(pixels, True), rng)
        return procedural(rng, side=side)

    def _expose(self, rng: Generator, canvas: _Pixels, layer: Layer, zoom: float, *, grounded: bool) -> None:
        """Lay an object over the picture, with its shadow, as sharp as the photo and its own movement allow."""
        if rng.random() < self.config.shadow_probability:
            cast_shadow(canvas, layer, rng, grounded=grounded)
        # An enlarged photo has no detail below its own pixels; an object that has would look pasted in.
        softness = 0.25 * min(max(zoom - 0.7, 0.0), 2.5)
        # A thin thing blurred over more than its width would be gone.
        most = thickness(layer.pixels[..., 3])
        kernels = [disc_kernel(min(softness, 0.3 * most))] if softness > 0.15 else []
        if rng.random() < self.config.defocus_probability:
            kernels.append(disc_kernel(min(rng.uniform(0.5, 0.004 * self.config.size + 0.5), 0.4 * most)))
        if rng.random() < self.config.movement_probability:
            length = min(rng.uniform(2, 0.012 * self.config.size + 2), 1.2 * most)
            kernels.append(line_kernel(length, rng.uniform(0, np.pi)))
        for kernel in kernels:
            layer = blurred(layer, kernel)
        lay_over(canvas, layer)


class _Owner:
    """Which object each pixel belongs to while objects are laid over each other from the back to the front."""

    def __init__(self, height: int, width: int) -> None:
        self.owner = np.zeros((height, width), np.uint8)
        self.share = np.zeros((height, width), np.uint8)

    def cover(self, layer: Layer, number: int) -> None:
        """Lay object `number` on top; what it covers is lost to those below."""
        there, own = visible_region((self.owner.shape[0], self.owner.shape[1]), layer)
        coverage = np.ascontiguousarray(layer.pixels[own][..., 3])
        if coverage.size:
            owner, share = self.owner[there], self.share[there]
            share[...] = cv2.multiply(share, cv2.bitwise_not(coverage), scale=1 / 255)
            owner[share < HALF] = 0
            mine = coverage >= HALF
            owner[mine] = number
            share[mine] = coverage[mine]

    def labels(self, least: int) -> NDArray[np.uint8]:
        """Objects of at least so many pixels, numbered without gaps."""
        counts = np.bincount(self.owner.ravel(), minlength=256)
        kept = [number for number in range(1, 256) if counts[number] >= least]
        table = np.zeros(256, np.uint8)
        table[kept] = np.arange(1, len(kept) + 1)
        return np.asarray(table[self.owner])


def _turned(cut_out: CutOut, rng: Generator) -> CutOut:
    """One cut-out in five is turned, and then hangs or lies rather than stands."""
    if rng.random() >= 0.2:
        return cut_out
    height, width = cut_out.pixels.shape[:2]
    angle = rng.uniform(-60, 60)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    c, s = abs(turn[0, 0]), abs(turn[0, 1])
    size = (math.ceil(width * c + height * s), math.ceil(width * s + height * c))
    turn[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    pixels = cv2.warpAffine(cut_out.pixels, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return CutOut(np.asarray(pixels, np.uint8), False)
