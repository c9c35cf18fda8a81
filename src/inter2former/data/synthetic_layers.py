"""Layers of a synthetic picture and what light and lens do to them.

A layer is premultiplied: its colour has been multiplied by its coverage. Resizing, blurring and laying over are then
linear and leave no dark or bright rim.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

__all__ = [
    "Layer",
    "blurred",
    "cast_shadow",
    "disc_kernel",
    "lay_over",
    "line_kernel",
    "lit_like",
    "premultiplied",
    "visible_region",
]

_Pixels: TypeAlias = NDArray[np.uint8]
_Floats: TypeAlias = NDArray[np.float32]

_LUMINANCE = np.array([0.299, 0.587, 0.114])
_SHADOW_SCALE = 4


class Layer(NamedTuple):
    """A cut-out at its place in a picture; it may reach beyond the picture.

    Attributes:
        pixels: (h, w, 4) uint8: red, green, blue times coverage, and the coverage; 255 is one.
        left: column of the picture at which its first column lies.
        top: row of the picture at which its first row lies.
    """

    pixels: _Pixels
    left: int
    top: int


def premultiplied(rgba: _Pixels) -> _Pixels:
    """A cut-out with straight alpha as the pixels of a layer, the colours at its rim taken from further inside.

    Lossy files mix the colour behind the object into its rim; laid over another background that would be a halo. Where
    a fully covered pixel lies within three pixels, the rim takes the mean colour of such pixels.

    Args:
        rgba: (h, w, 4) uint8.

    Returns:
        (h, w, 4) uint8.
    """
    colour, alpha = np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])
    solid = np.asarray(cv2.erode((alpha >= 250).view(np.uint8), np.ones((3, 3), np.uint8)), np.uint8)
    count = cv2.boxFilter(solid, cv2.CV_16U, (7, 7), normalize=False)
    total = cv2.boxFilter(cv2.bitwise_and(colour, colour, mask=solid), cv2.CV_16U, (7, 7), normalize=False)
    mean = cv2.divide(total, cv2.merge([count] * 3), dtype=cv2.CV_8U)
    cv2.copyTo(mean, ((solid == 0) & (count > 0)).view(np.uint8), dst=colour)
    covered = cv2.multiply(colour, cv2.merge([alpha] * 3), scale=1 / 255)
    return np.asarray(cv2.merge([*cv2.split(covered), alpha]), np.uint8)


def lit_like(pixels: _Pixels, around: _Pixels, rng: Generator, *, least_contrast: float) -> _Pixels:
    """Bring brightness, contrast and tint of a layer part of the way to those of its surroundings.

    Light also falls on it from one side: up to a fifth brighter there and darker on the other.

    Args:
        pixels: (h, w, 4) uint8 premultiplied.
        around: (..., 3) uint8, colours of the background there.
        rng: draws how far.
        least_contrast: difference in brightness from the surroundings that is kept at least, 0..1.

    Returns:
        (h, w, 4) uint8, a new array.
    """
    sample = pixels[::3, ::3].reshape(-1, 4) / 255.0
    alpha = sample[:, 3]
    total = max(float(alpha.sum()), 1e-6)
    mean_colour = sample[:, :3].sum(axis=0) / total
    grey = sample[:, :3] @ _LUMINANCE
    mean = float(mean_colour @ _LUMINANCE)
    spread = math.sqrt(max(float((grey * grey / np.maximum(alpha, 1e-3)).sum()) / total - mean * mean, 1e-4))
    surroundings = around.reshape(-1, 3) / 255.0
    wanted_grey = surroundings @ _LUMINANCE
    wanted, wanted_spread = float(wanted_grey.mean()), float(wanted_grey.std())
    share, tint = rng.uniform(0.15, 0.6), rng.uniform(0.1, 0.5)
    target = _distinct(mean + share * (wanted - mean), wanted, least_contrast)
    gain = (1 - share) + share * min(max(wanted_spread / spread, 0.6), 1.5)
    cast = (np.maximum(surroundings.mean(axis=0), 0.02) / max(wanted, 0.02)) ** tint
    # Linear in colour and coverage, which is what premultiplied layers allow.
    matrix = np.zeros((4, 4))
    matrix[:3, :3] = np.diag(gain * cast)
    matrix[:3, 3] = cast * ((1 - gain) * mean_colour + target - mean)
    matrix[3, 3] = 1
    lit = cv2.multiply(cv2.transform(pixels, matrix), _light(pixels.shape[:2], rng), scale=1 / 128)
    coverage = pixels[..., 3]
    return np.asarray(cv2.min(lit, cv2.merge([coverage] * 4)), np.uint8)


def _distinct(target: float, wanted: float, least: float) -> float:
    """A brightness that differs from `wanted` at least by `least`."""
    if abs(target - wanted) >= least:
        return target
    away = least if target > wanted else -least
    # Not out of range: what cannot be darker than black turns brighter instead.
    return wanted + (away if 0.05 < wanted + away < 0.95 else -away)


def _light(shape: tuple[int, ...], rng: Generator) -> _Pixels:
    """Factors of a slope of light, 128 is one: (h, w, 4) with 128 for the coverage."""
    angle, strength = rng.uniform(0, 2 * np.pi), 128 * rng.uniform(0, 0.2)
    corners = np.full((2, 2, 4), 128, np.float32)
    corners[..., :3] += np.float32(strength) * np.array(
        [[[math.cos(angle + turn)] for turn in row] for row in ((0.0, np.pi / 2), (-np.pi / 2, np.pi))], np.float32
    )
    corners = np.rint(corners).astype(np.uint8)
    return np.asarray(cv2.resize(corners, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), np.uint8)


def blurred(layer: Layer, kernel: _Floats) -> Layer:
    """Blur colours and coverage alike; the layer grows as far as the kernel, (k, k) with an odd k, reaches."""
    margin = kernel.shape[0] // 2
    wide = cv2.copyMakeBorder(layer.pixels, margin, margin, margin, margin, cv2.BORDER_CONSTANT)
    pixels = cv2.filter2D(wide, -1, kernel, borderType=cv2.BORDER_CONSTANT)
    return Layer(np.asarray(pixels, np.uint8), layer.left - margin, layer.top - margin)


def disc_kernel(radius: float) -> _Floats:
    """What a defocused lens makes of a dot: (k, k) float32 that adds up to one; `radius` in pixels, >= 0."""
    reach = math.ceil(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    kernel = np.clip(radius + 0.5 - np.sqrt(x * x + y * y), 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def line_kernel(length: float, angle: float) -> _Floats:
    """What a straight movement of `length` pixels during the exposure makes of a dot, centred on it.

    Returns:
        (k, k) float32 that adds up to one.
    """
    reach = math.ceil(length / 2) + 1
    side = 2 * reach + 1
    steps = np.linspace(-length / 2, length / 2, 8 * side)
    columns, rows = reach + steps * math.cos(angle), reach + steps * math.sin(angle)
    kernel, _, _ = np.histogram2d(rows, columns, bins=side, range=[[-0.5, side - 0.5]] * 2)
    return np.asarray(kernel / kernel.sum(), np.float32)


def visible_region(shape: tuple[int, int], layer: Layer) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Rows and columns of a picture of (H, W) that a layer covers, and the layer's own rows and columns there."""
    height, width = shape
    bottom, right = layer.top + layer.pixels.shape[0], layer.left + layer.pixels.shape[1]
    top, left = min(max(0, layer.top), height), min(max(0, layer.left), width)
    bottom, right = max(top, min(bottom, height)), max(left, min(right, width))
    own = (slice(top - layer.top, bottom - layer.top), slice(left - layer.left, right - layer.left))
    return (slice(top, bottom), slice(left, right)), own


def lay_over(canvas: _Pixels, layer: Layer) -> None:
    """Lay a layer over a picture, (H, W, 3) uint8, in place."""
    there, own = visible_region((canvas.shape[0], canvas.shape[1]), layer)
    pixels = np.ascontiguousarray(layer.pixels[own])
    if pixels.size:
        *colour, coverage = cv2.split(pixels)
        free = cv2.bitwise_not(coverage)
        below = cv2.multiply(canvas[there], cv2.merge([free] * 3), scale=1 / 255)
        canvas[there] = cv2.add(below, cv2.merge(colour))


def cast_shadow(canvas: _Pixels, layer: Layer, rng: Generator, *, grounded: bool) -> None:
    """Darken the picture, in place, where the layer keeps light away.

    What stands on the ground throws its outline, flattened and sheared, from its feet; anything else throws it, moved
    and softened, onto a wall behind it.
    """
    coverage = np.ascontiguousarray(layer.pixels[..., 3])
    height, width = coverage.shape
    if grounded:
        shear, flat = rng.uniform(-1.2, 1.2), rng.uniform(0.08, 0.35)
        softness, strength = rng.uniform(0.01, 0.05) * width, rng.uniform(0.3, 0.7)
        moves = np.array([[1, shear, -shear * height], [0, flat, height * (1 - flat)]])
    else:
        away = rng.uniform(0.01, 0.06) * max(height, width) + 2
        angle = rng.uniform(0.2, np.pi - 0.2)
        softness, strength = away * rng.uniform(0.2, 0.6), rng.uniform(0.1, 0.45)
        moves = np.array([[1, 0, away * math.cos(angle)], [0, 1, away * math.sin(angle)]])
    moves[:, 2] += layer.left, layer.top
    shadow = _moved(coverage, moves, (canvas.shape[1], canvas.shape[0]), softness)
    light = cv2.convertScaleAbs(shadow, alpha=-strength, beta=255)
    cv2.multiply(canvas, cv2.merge([light] * 3), dst=canvas, scale=1 / 255)


def _moved(coverage: _Pixels, moves: NDArray[np.float64], size: tuple[int, int], softness: float) -> _Pixels:
    """Coverage moved by an affine map onto a picture of (width, height) and softened, at a quarter of the size."""
    scale = 1 / _SHADOW_SCALE
    small = cv2.resize(coverage, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    coarse = (-(-size[0] // _SHADOW_SCALE), -(-size[1] // _SHADOW_SCALE))
    moves = moves * [1, 1, scale]
    shadow = cv2.warpAffine(small, moves, coarse, flags=cv2.INTER_LINEAR)
    shadow = cv2.GaussianBlur(shadow, (0, 0), max(0.6, softness * scale))
    return np.asarray(cv2.resize(shadow, size, interpolation=cv2.INTER_LINEAR), np.uint8)
