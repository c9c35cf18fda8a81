"""What the synthetic generator lays over photos: cut-outs from files, and procedural things in plausible colours."""

from __future__ import annotations

import colorsys
import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from inter2former.data.synthetic_layers import premultiplied
from inter2former.data.synthetic_shapes import KINDS, Kind
from inter2former.data.synthetic_strokes import draw
from inter2former.errors import DataError
from inter2former.images import MAX_SIDE, without_pillow_limit

__all__ = [
    "HALF",
    "CutOut",
    "Split",
    "check_cut_out",
    "list_images",
    "procedural",
    "read_cut_out",
    "split_of",
    "thickness",
]

_Pixels: TypeAlias = NDArray[np.uint8]
_Colour: TypeAlias = tuple[float, float, float]

HALF = 128
"""Least coverage, of 255, of a pixel that belongs to an object."""

_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_HELD_OUT_EVERY = 5
_GREATEST_ENLARGEMENT = 1.25
_UNDECIDED_SHARE = 0.25

# The dark and the light end of the colours of each palette, red, green and blue in 0..1.
_PALETTES: dict[str, tuple[tuple[_Colour, _Colour], ...]] = {
    "plant": (
        ((0.08, 0.16, 0.05), (0.45, 0.62, 0.20)),
        ((0.14, 0.14, 0.06), (0.68, 0.66, 0.30)),
        ((0.16, 0.10, 0.06), (0.60, 0.46, 0.30)),
        ((0.25, 0.08, 0.04), (0.85, 0.45, 0.15)),
    ),
    "hair": (
        ((0.03, 0.02, 0.02), (0.30, 0.22, 0.16)),
        ((0.16, 0.09, 0.04), (0.62, 0.42, 0.24)),
        ((0.40, 0.28, 0.14), (0.92, 0.80, 0.58)),
        ((0.30, 0.30, 0.30), (0.95, 0.95, 0.93)),
    ),
    "metal": (
        ((0.02, 0.02, 0.03), (0.28, 0.28, 0.30)),
        ((0.25, 0.25, 0.27), (0.80, 0.82, 0.85)),
        ((0.22, 0.10, 0.04), (0.58, 0.36, 0.20)),
        ((0.60, 0.60, 0.60), (1.00, 1.00, 0.98)),
    ),
}


class Split(Enum):
    """Which cut-outs may be used: every fifth, by a hash of its name, is for evaluation only."""

    TRAIN = "train"
    HELD_OUT = "held-out"
    ALL = "all"


class CutOut(NamedTuple):
    """Something to lay over a photo.

    Attributes:
        pixels: (h, w, 4) uint8 premultiplied, as in `Layer`.
        grounded: it stands upright on the ground.
    """

    pixels: _Pixels
    grounded: bool


def split_of(path: Path) -> Split:
    """The split a cut-out belongs to; by its name alone, so that no list is needed.

    The hash is that of the 3-D model's file, `<stem>.obj`, from which the cut-out was rendered.
    """
    number = int(hashlib.md5(f"{path.stem}.obj".encode(), usedforsecurity=False).hexdigest(), 16)
    return Split.HELD_OUT if number % _HELD_OUT_EVERY == 0 else Split.TRAIN


def list_images(folder: str | Path, split: Split = Split.ALL) -> tuple[Path, ...]:
    """Image files of a folder, by name.

    Raises:
        DataError: there is no such folder, or it holds no image of that split.
    """
    root = Path(folder)
    files = sorted(root.iterdir()) if root.is_dir() else []
    found = tuple(path for path in files if path.suffix.lower() in _SUFFIXES and split in (Split.ALL, split_of(path)))
    if not found:
        wanted = "images" if split is Split.ALL else f"images of the split {split.value}"
        raise DataError(f"{root} holds no {wanted}; give a folder with PNG, WebP or JPEG files")
    return found


def read_cut_out(path: Path, rng: Generator, *, side: int, thickest: float = math.inf) -> _Pixels | None:
    """Read a cut-out, mirrored at random, at most a quarter larger than its file.

    Args:
        path: image with transparency.
        rng: for the mirroring.
        side: wanted longest side in pixels.
        thickest: greatest mean thickness in pixels, see `thickness`.

    Returns:
        (h, w, 4) uint8 premultiplied, with a transparent margin of two pixels; None where the thing is thicker, or
        itself translucent, such as glass or a crown of leaves that was drawn too small: its mask would be arbitrary.

    Raises:
        DataError: the file cannot be read or has no transparency.
    """
    rgba = _read_rgba(path)
    alpha = rgba[..., 3]
    scale = min(side / max(alpha.shape), _GREATEST_ENLARGEMENT)
    size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
    if thickness(alpha) * scale > thickest or _is_translucent(alpha):
        return None
    if rng.random() < 0.5:
        rgba = rgba[:, ::-1]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels = cv2.resize(premultiplied(rgba), size, interpolation=how)
    return np.asarray(cv2.copyMakeBorder(pixels, 2, 2, 2, 2, cv2.BORDER_CONSTANT), np.uint8)


def procedural(rng: Generator, *, side: int, kinds: Sequence[Kind] = KINDS) -> CutOut:
    """Make a thing up.

    Args:
        rng: decides everything.
        side: longest side in pixels.
        kinds: which there are.
    """
    kind = kinds[int(rng.integers(len(kinds)))]
    marks = kind.marks(rng, side)
    angle = rng.normal(0, 0.03) if kind.grounded else rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turn = turn * [rng.choice([-1.0, 1.0]), 1.0]
    drawing = draw([mark._replace(points=mark.points @ turn) for mark in marks], side)
    dark, light = _colours(rng, kind.palette)
    tone, coverage = cv2.multiply(drawing.tone, _mottled(rng, drawing.tone.shape), scale=1 / 160), drawing.coverage
    # From the dark end where tone is 0 to the light end where it equals the coverage; then opaque in that colour.
    matrix = np.zeros((4, 2))
    matrix[:3] = np.stack([light - dark, dark], axis=1)
    matrix[3, 1] = 1
    pixels = cv2.transform(cv2.merge([cv2.min(tone, coverage), coverage]), matrix)
    return CutOut(np.asarray(pixels, np.uint8), kind.grounded)


def thickness(coverage: _Pixels) -> float:
    """Mean thickness in pixels of what is covered at least by half: twice its area over the length of its rim."""
    mask = (coverage >= HALF).view(np.uint8)
    area = cv2.countNonZero(mask)
    rim = area - cv2.countNonZero(cv2.erode(mask, np.ones((3, 3), np.uint8)))
    return 2.0 * area / max(1, rim)


def check_cut_out(path: Path) -> None:
    """Look at a cut-out's header.

    Raises:
        DataError: the file cannot be read, has no transparency, or is too large.
    """
    with _opened(path):
        pass


def _read_rgba(path: Path) -> _Pixels:
    with _opened(path) as image:
        return np.asarray(image.convert("RGBA"))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with without_pillow_limit():
            opened = Image.open(path)
        with opened as image:
            if not image.has_transparency_data:
                raise DataError(f"{path} has no transparency; a cut-out is a PNG or WebP file with an alpha channel")
            if max(image.size) > MAX_SIDE:
                raise DataError(f"{path} is {image.width}x{image.height}; a cut-out has at most {MAX_SIDE} px a side")
            yield image
    # Pillow's readers raise nearly any exception on bytes that only begin like their format.
    except Exception as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot read the cut-out {path}: {error}") from error


def _is_translucent(alpha: _Pixels) -> bool:
    """Whether many pixels away from the rim are neither covered nor free."""
    away_from_rim = np.asarray(cv2.erode((alpha > 12).view(np.uint8), np.ones((5, 5), np.uint8)), np.bool_)
    undecided = away_from_rim & (alpha < 242)
    return int(np.count_nonzero(undecided)) > _UNDECIDED_SHARE * max(1, int(np.count_nonzero(away_from_rim)))


def _colours(rng: Generator, palette: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The dark and the light end of a thing's colours."""
    if palette == "any" and rng.random() < 0.5:
        hue, saturation, value = rng.random(), rng.random() ** 1.5, rng.uniform(0.15, 1.0)
        light = np.array(colorsys.hsv_to_rgb(hue, saturation, value))
        return light * rng.uniform(0.2, 0.7), light
    pairs = _PALETTES["metal" if palette == "any" else palette]
    dark, light = (np.array(colour) for colour in pairs[int(rng.integers(len(pairs)))])
    gain = rng.uniform(0.8, 1.2, 3)
    return np.clip(dark * gain, 0, 1), np.clip(light * gain, 0, 1)


def _mottled(rng: Generator, shape: tuple[int, ...]) -> _Pixels:
    """Slow changes of brightness over a thing: factors of 0.75..1.25, 160 is one."""
    grid = rng.integers(120, 201, (5, 5), dtype=np.uint8)
    return np.asarray(cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), np.uint8)
