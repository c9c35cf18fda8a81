"""Images in, masks and pictures out: whatever a person has becomes (H, W, 3) uint8 RGB."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from inter2former.errors import ImageReadError, ImageWriteError
from inter2former.files import replacing
from inter2former.prompt import Click

__all__ = ["MAX_SIDE", "load_image", "overlay", "save_mask", "upright_size", "without_pillow_limit"]

MAX_SIDE = 12000

_Pixels: TypeAlias = npt.NDArray[np.uint8]

_DEEP_GREY_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})
_BIT_DEPTHS = (10, 12, 14, 16)
_BAND_PIXELS = 1 << 21
_OTHER_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".tif", ".tiff", ".webp"})
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_TINT = (30, 144, 255)
_TINT_SHARE = 0.45
_OUTLINE = (255, 221, 0)
_POSITIVE = (0, 190, 60)
_NEGATIVE = (225, 30, 45)
_WHITE = (255, 255, 255)

_pillow_limit_lock = threading.RLock()


def load_image(image: str | os.PathLike[str] | Image.Image | npt.NDArray[Any]) -> _Pixels:
    """Read an image as 8-bit RGB.

    Files and PIL images are turned upright by their EXIF orientation; of an animation a file gives the first frame, a
    PIL image the current one. Transparent pixels are laid over white. Values deeper than 8 bits become 8 bits thus:

    - Values that all lie in 0..255 are kept.
    - Other grey integers, and grey float files: the range from the smallest to the largest value is stretched to
      0..255, so that 12-bit medical images in 16-bit files are not nearly black.
    - 16-bit colour: divided by the full scale of the smallest of 10, 12, 14 and 16 bits that holds the largest value,
      so that hues stay. Pillow has already cut PIL images in colour to the upper 8 bits.
    - Floats in [0, 1] are multiplied by 255; NumPy arrays hold no others.

    Args:
        image: path of an image file; a PIL image; or an array, (H, W) or (H, W, 1) grey, (H, W, 3) RGB or (H, W, 4)
            RGBA, of uint8, uint16, bool, or float in [0, 1]. Sides of 1..`MAX_SIDE` pixels.

    Returns:
        (H, W, 3) uint8 RGB, C-contiguous, writable; never shares memory with the argument.

    Raises:
        ImageReadError: no image there, a damaged or unknown one, too large, or an array of another layout.
        TypeError: another type of argument.
    """
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, Image.Image):
        return _from_pil(image, getattr(image, "filename", "") or "PIL image")
    if isinstance(image, (str, os.PathLike)):
        return _from_file(Path(image))
    raise TypeError(f"image is a {type(image).__name__}; give a path, a PIL image or a NumPy array")


def overlay(image: _Pixels, mask: npt.NDArray[np.bool_], clicks: Sequence[Click] = ()) -> _Pixels:
    """Draw a mask and clicks on an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) bool; its pixels are tinted blue, with a yellow outline 2 px wide.
        clicks: drawn as dots with a white ring, positive ones green, negative ones red; their radius is 1/120 of the
            longest side, at least 4 px.

    Returns:
        (H, W, 3) uint8 RGB, a new array.

    Raises:
        ValueError: another dtype or shape, or a click outside the image.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image is {image.dtype} {image.shape}, wanted uint8 (H, W, 3); read it with load_image")
    height, width = image.shape[:2]
    if mask.shape != (height, width) or mask.dtype != np.bool_:
        raise ValueError(f"mask is {mask.dtype} {mask.shape}, wanted bool {(height, width)}, the size of the image")
    for click in clicks:
        if not (0 <= click.x < width and 0 <= click.y < height):
            raise ValueError(
                f"click ({click.x}, {click.y}) lies outside the {width}x{height} image; "
                f"x must be in [0, {width - 1}] and y in [0, {height - 1}]"
            )
    picture = np.array(image, order="C")
    _draw_mask(picture, mask)
    radius = max(4, round(max(height, width) / 120))
    for click in clicks:
        centre = (int(click.x), int(click.y))
        cv2.circle(picture, centre, radius + max(2, radius // 4), _WHITE, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(picture, centre, radius, _POSITIVE if click.positive else _NEGATIVE, cv2.FILLED, cv2.LINE_AA)
    return picture


def save_mask(mask: npt.NDArray[np.bool_], path: str | os.PathLike[str]) -> None:
    """Save a mask as an 8-bit grey PNG, 255 inside and 0 outside.

    The file appears complete or not at all.

    Args:
        mask: (H, W) bool.
        path: where the file goes, usually ending in .png; an existing file is replaced.

    Raises:
        ImageWriteError: the folder is missing or not writable, or the disk is full.
        ValueError: another dtype or rank, an empty mask, or the suffix of another image format.
    """
    target = Path(path)
    if mask.ndim != 2 or mask.dtype != np.bool_ or not mask.size:
        raise ValueError(f"mask is {mask.dtype} {mask.shape}, wanted bool (H, W) with at least one pixel")
    if target.suffix.lower() in _OTHER_SUFFIXES:
        raise ValueError(f"{target}: masks are saved as PNG; give a name that ends in .png")
    if not target.parent.is_dir():
        raise ImageWriteError(f"{target}: there is no folder {target.parent}; make it first or give another path")
    if target.is_dir():
        raise ImageWriteError(f"{target}: is a folder; give the path of a file")
    try:
        with replacing(target) as stream:
            Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(stream, format="PNG")
    except OSError as error:
        raise ImageWriteError(
            f"{target}: cannot be written ({error.strerror}); check the folder's rights and free space"
        ) from error


def upright_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of the array that `load_image` makes of a file, from the file's header.

    A PNG whose EXIF block follows its pixels counts as upright; finding the block would take reading them.

    Raises:
        ImageReadError: no image there, or none whose header can be read.
    """
    path = Path(path)
    _check_file(path)
    try:
        with without_pillow_limit(), Image.open(path) as image:
            if image.format == "TIFF" and _orientation(image) >= 5:
                image.load()  # Pillow turns these itself, and only then is the size that of the result
            known = image.format != "PNG" or "exif" in image.info
            return image.size[::-1] if known and _orientation(image) >= 5 else image.size
    except Exception as error:  # as in `load_image`
        raise ImageReadError(
            f"{path}: no image that can be read; give a PNG, JPEG, TIFF, WebP, GIF or BMP file that opens elsewhere"
        ) from error


@contextmanager
def without_pillow_limit() -> Iterator[None]:
    """Lift Pillow's own pixel limit, which counts pixels instead of sides and warns where we accept."""
    # Not warnings.catch_warnings: that is no safer among threads, and leaves the error.
    with _pillow_limit_lock:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _from_file(path: Path) -> _Pixels:
    _check_file(path)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise ImageReadError(f"{path}: cannot be opened ({error.strerror}); check that you may read it") from error
    with stream:
        try:
            with without_pillow_limit():
                image = Image.open(stream)
        # Pillow's readers raise nearly any exception on bytes that only begin like their format.
        except Exception as error:
            raise ImageReadError(
                f"{path}: no image that can be read; give a PNG, JPEG, TIFF, WebP, GIF or BMP file that opens elsewhere"
            ) from error
        with image:
            deep_colour = image.mode == "RGB" and ";16" in repr(image.tile)
            pixels = _from_pil(image, str(path))
    # Pillow keeps the upper 8 bits of 16-bit colour: right where 15 or 16 bits are used, nearly black for 12.
    return _reread_deep_colour(path, pixels) if deep_colour and pixels.max() <= 64 else pixels


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise ImageReadError(f"{path}: there is no such file; give the path of an image file") from None
    except (OSError, ValueError) as error:
        raise ImageReadError(f"{path!s}: cannot be opened ({error}); give the path of an image file") from error
    if stat.S_ISDIR(status.st_mode):
        raise ImageReadError(f"{path}: is a folder; give the path of one image file")
    if not stat.S_ISREG(status.st_mode):
        raise ImageReadError(f"{path}: is a device or pipe; give the path of an image file")
    if status.st_size == 0:
        raise ImageReadError(f"{path}: the file is empty; save or download it again")


def _reread_deep_colour(path: Path, pixels: _Pixels) -> _Pixels:
    """Read the dark 16-bit colour file with OpenCV, which keeps all bits; `pixels` is what Pillow made of it."""
    content = np.fromfile(path, np.uint8)
    bgr = cv2.imdecode(content, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    if bgr is None or bgr.dtype != np.uint16 or bgr.shape != pixels.shape:
        return pixels
    return _eight_bits(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), "image", stretch=False)


def _from_pil(image: Image.Image, name: str) -> _Pixels:
    _check_sides(name, *image.size)
    if image.format == "EPS" or image.mode == "LAB":
        raise ImageReadError(f"{name}: {image.format or 'image'} in {image.mode} is not supported; save it as RGB PNG")
    limit = Image.MAX_IMAGE_PIXELS
    above_limit = limit is not None and image.width * image.height > limit
    try:
        with without_pillow_limit() if above_limit else nullcontext():
            image.load()
        turn = _UPRIGHT.get(_orientation(image))
        upright = image if turn is None else image.transpose(turn)
        if upright.mode in _DEEP_GREY_MODES:
            grey = np.asarray(upright)
        else:
            return _pil_colour(upright)
    # As above: damaged pixels surface as OSError, SyntaxError, ValueError, struct.error, zlib.error and more.
    except Exception as error:
        raise ImageReadError(
            f"{name}: the image is damaged or cut short ({error}); save or download it again"
        ) from error
    return np.asarray(cv2.cvtColor(_deep_grey(grey, name), cv2.COLOR_GRAY2RGB), np.uint8)


def _pil_colour(image: Image.Image) -> _Pixels:
    """Convert band by band: Pillow's copies of a whole 12000x12000 image take 576 MB each."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    for band in _bands(height, width):
        part = image.crop((0, band.start, width, band.stop))
        if part.has_transparency_data:
            pixels[band] = _over_white(np.asarray(part.convert("RGBA")))
        else:
            pixels[band] = np.asarray(part.convert("RGB"))
    return pixels


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1..8; 1 where the EXIF block is damaged, as the pixels may still be fine."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def _deep_grey(grey: npt.NDArray[Any], name: str) -> _Pixels:
    if grey.dtype.kind == "f":
        low, high = float(grey.min()), float(grey.max())
        if not np.isfinite(high - low):
            raise ImageReadError(f"{name}: holds NaN or infinite values; replace them by numbers first")
        if 0 <= low and high <= 1:
            return _scaled(grey, 0.0, 255.0)
    return _stretched(grey)


def _from_array(array: npt.NDArray[Any]) -> _Pixels:
    name = f"array of {array.dtype} {array.shape}"
    _check_layout(array, name)
    values = np.asarray(array).reshape(*array.shape[:2], -1)
    if values.shape[2] == 1:
        grey = _eight_bits(values[..., 0], name, stretch=True)
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    pixels = _eight_bits(values[..., :3], name, stretch=False)
    if values.shape[2] == 4:
        alpha = _eight_bits(values[..., 3:], name, stretch=False)
        for band in _bands(*pixels.shape[:2]):
            pixels[band] = _over_white(np.concatenate([pixels[band], alpha[band]], axis=2))
    return pixels


def _check_layout(array: npt.NDArray[Any], name: str) -> None:
    wanted = "wanted (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
    if array.ndim not in (2, 3):
        raise ImageReadError(f"{name}: {wanted}; give one image, without a batch axis")
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4):
        if array.shape[0] in (1, 3, 4):
            raise ImageReadError(f"{name}: {wanted}; move the channels last with array.transpose(1, 2, 0)")
        raise ImageReadError(f"{name}: {wanted}; pick the channels to show as RGB")
    _check_sides(name, array.shape[1], array.shape[0])
    if array.dtype.kind not in "buf" or (array.dtype.kind == "u" and array.dtype.itemsize > 2):
        raise ImageReadError(
            f"{name}: wanted uint8, uint16, bool or float in [0, 1]; scale the values to 0..255 and use "
            "array.astype(numpy.uint8)"
        )


def _check_sides(name: str, width: int, height: int) -> None:
    if min(width, height) < 1:
        raise ImageReadError(f"{name}: image {width}x{height} has no pixels; give one of at least 1x1")
    if max(width, height) > MAX_SIDE:
        raise ImageReadError(
            f"{name}: image {width}x{height} is larger than {MAX_SIDE} px a side; reduce it or cut it into tiles first"
        )


def _eight_bits(values: npt.NDArray[Any], name: str, *, stretch: bool) -> _Pixels:
    """Bring array values of any accepted dtype to C-contiguous uint8 by the rules of `load_image`."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8, order="C") * np.uint8(255)
    if values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        if not np.isfinite(high - low):
            raise ImageReadError(f"{name}: holds NaN or infinite values; replace them with numpy.nan_to_num first")
        if low < 0 or high > 1:
            raise ImageReadError(
                f"{name}: holds values in [{low:g}, {high:g}], wanted floats in [0, 1]; "
                "divide by the largest value, or convert to uint8"
            )
        return _scaled(values, 0.0, 255.0)
    if values.dtype.itemsize == 1:
        return np.array(values, np.uint8, order="C")
    if stretch:
        return _stretched(values)
    top = int(values.max())
    depth = next((bits for bits in _BIT_DEPTHS if top < 1 << bits), 16) if top > 255 else 8
    return _scaled(values, 0.0, 255.0 / ((1 << depth) - 1))


def _stretched(values: npt.NDArray[Any]) -> _Pixels:
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 255:
        return _scaled(values, 0.0, 1.0)
    return _scaled(values, low, 255.0 / (high - low) if high > low else 0.0)


def _scaled(values: npt.NDArray[Any], low: float, factor: float) -> _Pixels:
    """Round (values - low) * factor half to even, in float64 one band of rows at a time."""
    pixels = np.empty(values.shape, np.uint8)
    for band in _bands(*values.shape[:2]):
        pixels[band] = np.rint((values[band].astype(np.float64) - low) * factor)
    return pixels


def _over_white(rgba: _Pixels) -> _Pixels:
    alpha = rgba[..., 3:].astype(np.uint16)
    # 255 * 255 + 127 is the largest sum, which uint16 holds.
    return ((rgba[..., :3] * alpha + (255 - alpha) * 255 + 127) // 255).astype(np.uint8)


def _bands(height: int, width: int) -> Iterator[slice]:
    step = max(1, _BAND_PIXELS // width)
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def _draw_mask(picture: _Pixels, mask: npt.NDArray[np.bool_]) -> None:
    """Tint and outline the mask in place, touching only its bounding box."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return
    # One pixel more on each side: the outer half of the outline.
    window = (
        slice(max(int(rows[0]) - 1, 0), int(rows[-1]) + 2),
        slice(max(int(columns[0]) - 1, 0), int(columns[-1]) + 2),
    )
    inside = mask[window].astype(np.uint8)
    part = picture[window]
    shares = np.arange(256)[:, None] * (1 - _TINT_SHARE) + np.array(_TINT) * _TINT_SHARE
    tinted = cv2.LUT(np.ascontiguousarray(part), np.rint(shares).astype(np.uint8)[None])
    np.copyto(part, tinted, where=mask[window][..., None])
    square = np.ones((3, 3), np.uint8)
    outline = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, square)
    part[outline != 0] = _OUTLINE
