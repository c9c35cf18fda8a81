"""Reading every image a person may have, drawing on it, and saving masks; all files are made here."""

from __future__ import annotations

import os
import stat
import struct
import threading
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from inter2former.errors import ImageReadError, ImageWriteError, Inter2FormerError
from inter2former.images import MAX_SIDE, load_image, overlay, save_mask, upright_size
from inter2former.prompt import Click


def noise(*shape: int, high: int = 256, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, high, shape).astype(dtype)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few bytes that promises width x height pixels and holds none."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(8))) + chunk(b"IEND", b"")


def tiff16(colour: np.ndarray, orientation: int) -> bytes:
    """An uncompressed big-endian 16-bit RGB TIFF."""
    height, width, channels = colour.shape
    data = colour.astype(">u2").tobytes()
    bits = struct.pack(">3H", 16, 16, 16)
    start = 8 + 2 + 12 * 10 + 4
    short = {256: width, 257: height, 259: 1, 262: 2, 274: orientation, 277: channels, 278: height}
    entries = {tag: struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in short.items()}
    entries[258] = struct.pack(">HHII", 258, 3, 3, start)
    entries[273] = struct.pack(">HHII", 273, 4, 1, start + len(bits))
    entries[279] = struct.pack(">HHII", 279, 4, 1, len(data))
    table = b"".join(entries[tag] for tag in sorted(entries))
    return b"MM" + struct.pack(">HIH", 42, 8, len(entries)) + table + struct.pack(">I", 0) + bits + data


def check(pixels: np.ndarray, wanted: np.ndarray, tolerance: int = 0) -> None:
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    assert pixels.shape == wanted.shape
    assert np.abs(pixels.astype(int) - wanted.astype(int)).max() <= tolerance


def as_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def over_white(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:] / 255
    return np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


# 8-bit files


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "gif", "ppm"])
def test_rgb_file(tmp_path: Path, suffix: str) -> None:
    colour = noise(9, 14, 3) // 128 * 255
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(colour).save(path, lossless=True)
    check(load_image(path), colour)
    check(load_image(str(path)), colour)
    with Image.open(path) as image:
        check(load_image(image), colour)


def test_jpeg(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10), (200, 30, 60)).save(tmp_path / "a.jpg", quality=95)
    check(load_image(tmp_path / "a.jpg"), np.full((10, 20, 3), (200, 30, 60), np.uint8), tolerance=3)


def test_wrong_suffix_does_not_matter(tmp_path: Path) -> None:
    Image.fromarray(noise(4, 5, 3)).save(tmp_path / "a.jpg", format="PNG")
    check(load_image(tmp_path / "a.jpg"), noise(4, 5, 3))


def test_cmyk_jpeg(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    check(load_image(tmp_path / "a.jpg"), np.full((8, 16, 3), (255, 0, 0), np.uint8), tolerance=4)


def test_grey_and_one_bit(tmp_path: Path) -> None:
    grey = noise(6, 7)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    check(load_image(tmp_path / "grey.png"), as_rgb(grey))
    Image.fromarray(grey > 127).save(tmp_path / "bit.png")
    check(load_image(tmp_path / "bit.png"), as_rgb(np.where(grey > 127, 255, 0)))


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    rgba = noise(8, 9, 4)
    rgba[0, :, 3], rgba[1, :, 3] = 0, 255
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    pixels = load_image(tmp_path / "rgba.png")
    check(pixels, over_white(rgba))
    assert (pixels[0] == 255).all()
    np.testing.assert_array_equal(pixels[1], rgba[1, :, :3])
    check(load_image(rgba), over_white(rgba))

    grey_alpha = Image.merge("LA", [Image.fromarray(rgba[..., 0]), Image.fromarray(rgba[..., 3])])
    grey_alpha.save(tmp_path / "la.png")
    check(load_image(tmp_path / "la.png"), over_white(rgba[..., [0, 0, 0, 3]]))


@pytest.mark.parametrize("transparency", [2, bytes([255, 128, 0])])
def test_palette(tmp_path: Path, transparency: int | bytes) -> None:
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    palette = np.array([[10, 20, 30], [200, 100, 0], [0, 0, 255]], np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(palette.tobytes())
    image.save(tmp_path / "opaque.png")
    check(load_image(tmp_path / "opaque.png"), palette[indices])
    image.save(tmp_path / "clear.png", transparency=transparency)
    alpha = [255, 255, 0] if isinstance(transparency, int) else list(transparency)
    check(load_image(tmp_path / "clear.png"), over_white(np.column_stack([palette, alpha])[indices]))


def test_transparent_colour_of_an_rgb_png(tmp_path: Path) -> None:
    colour = np.zeros((2, 2, 3), np.uint8)
    colour[0, 0] = (1, 2, 3)
    Image.fromarray(colour).save(tmp_path / "a.png", transparency=(1, 2, 3))
    colour[0, 0] = 255
    check(load_image(tmp_path / "a.png"), colour)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    colour = noise(5, 8, 3)
    turned = {
        1: colour, 2: colour[:, ::-1], 3: colour[::-1, ::-1], 4: colour[::-1],
        5: colour.swapaxes(0, 1), 6: np.rot90(colour, -1), 7: np.rot90(colour, 2).swapaxes(0, 1), 8: np.rot90(colour),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(colour).save(path, exif=exif, lossless=True)
    check(load_image(path), turned)
    with Image.open(path) as image:
        check(load_image(image), turned)
        check(load_image(image), turned)


def test_exif_orientation_of_jpeg(tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 16), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    pixels = load_image(tmp_path / "a.jpg")
    assert pixels.shape == (32, 16, 3)
    assert pixels[:15].min() > 245
    assert pixels[17:].max() < 10


def test_damaged_exif_is_ignored(tmp_path: Path) -> None:
    Image.fromarray(noise(16, 16, 3)).save(tmp_path / "a.png", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        check(load_image(tmp_path / "a.png"), noise(16, 16, 3))


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime", "blue")]
    for name in ("a.gif", "a.webp", "a.png", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
        check(load_image(tmp_path / name), np.full((4, 6, 3), (255, 0, 0), np.uint8))
    with Image.open(tmp_path / "a.gif") as image:
        image.seek(2)
        check(load_image(image), np.full((4, 6, 3), (0, 0, 255), np.uint8))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1)])
def test_extreme_shapes(tmp_path: Path, shape: tuple[int, int]) -> None:
    colour = noise(*shape, 3)
    Image.fromarray(colour).save(tmp_path / "a.png")
    check(load_image(tmp_path / "a.png"), colour)
    check(load_image(colour), colour)


def test_more_pixels_than_one_band(tmp_path: Path) -> None:
    rgba = noise(1100, 2000, 4)
    Image.fromarray(rgba).save(tmp_path / "a.tif")
    check(load_image(tmp_path / "a.tif"), over_white(rgba))
    check(load_image(rgba), over_white(rgba))


# Deeper files


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_stretched(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    twelve_bits = noise(20, 30, high=4096, dtype=np.uint16)
    cv2.imwrite(str(path), twelve_bits)
    low, high = int(twelve_bits.min()), int(twelve_bits.max())
    wanted = as_rgb(np.rint((twelve_bits - float(low)) * 255 / (high - low)))
    check(load_image(path), wanted)
    check(load_image(twelve_bits), wanted)
    check(load_image(twelve_bits[..., None]), wanted)
    check(load_image(twelve_bits.astype(">u2")), wanted)


def test_16_bit_grey_that_fits_8_bits_is_kept(tmp_path: Path) -> None:
    grey = noise(5, 6, high=200, dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), grey)
    check(load_image(tmp_path / "a.png"), as_rgb(grey))
    check(load_image(grey), as_rgb(grey))


def test_one_deep_value_gives_black() -> None:
    check(load_image(np.full((2, 3), 700, np.uint16)), np.zeros((2, 3, 3)))


def test_32_bit_and_float_grey(tmp_path: Path) -> None:
    signed = noise(5, 6, high=3000, dtype=np.int32) - 1000
    Image.fromarray(signed).save(tmp_path / "i.tif")
    stretched = np.rint((signed - float(signed.min())) * 255 / (int(signed.max()) - int(signed.min())))
    check(load_image(tmp_path / "i.tif"), as_rgb(stretched))
    Image.fromarray(signed.astype(np.float32)).save(tmp_path / "f.tif")
    check(load_image(tmp_path / "f.tif"), as_rgb(stretched))
    unit = noise(5, 6).astype(np.float32) / 255
    Image.fromarray(unit).save(tmp_path / "unit.tif")
    check(load_image(tmp_path / "unit.tif"), as_rgb(noise(5, 6)))
    unit[2, 3] = np.nan
    Image.fromarray(unit).save(tmp_path / "nan.tif")
    with pytest.raises(ImageReadError, match=r"nan\.tif: holds NaN or infinite values"):
        load_image(tmp_path / "nan.tif")


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_colour(tmp_path: Path, suffix: str) -> None:
    path = str(tmp_path / f"a.{suffix}")
    full = noise(20, 30, 3, high=65536, dtype=np.uint16)
    cv2.imwrite(path, full[..., ::-1])
    # One grey level: Pillow releases differ in whether they round or cut off the lower 8 bits.
    check(load_image(path), np.rint(full / 257), tolerance=1)
    check(load_image(full), np.rint(full / 257))
    rgba = np.concatenate([full, np.full((20, 30, 1), 65535, np.uint16)], axis=2)
    cv2.imwrite(path, rgba[..., [2, 1, 0, 3]])
    check(load_image(path), np.rint(full / 257), tolerance=1)
    check(load_image(rgba), np.rint(full / 257))


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_colour_of_fewer_bits_in_16(tmp_path: Path, bits: int) -> None:
    colour = noise(20, 30, 3, high=1 << bits, dtype=np.uint16)
    colour[0, 0] = (1 << bits) - 1
    wanted = np.rint(colour * (255 / ((1 << bits) - 1)))
    for path in (tmp_path / "a.png", tmp_path / "a.tif"):
        cv2.imwrite(str(path), colour[..., ::-1])
        check(load_image(path), wanted)
    check(load_image(colour), wanted)


@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_of_deep_colour(tmp_path: Path, orientation: int) -> None:
    colour = noise(5, 8, 3, high=4096, dtype=np.uint16)
    (tmp_path / "a.tif").write_bytes(tiff16(colour, orientation))
    wanted = np.rot90(np.rint(colour * (255 / 4095)), 2 if orientation == 3 else -1)
    check(load_image(tmp_path / "a.tif"), wanted)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = cv2.imencode(".png", colour[..., ::-1])[1].tobytes()
    (tmp_path / "a.png").write_bytes(content[:33] + chunk(b"eXIf", exif.tobytes()[6:]) + content[33:])
    check(load_image(tmp_path / "a.png"), wanted)


# Arrays


def test_arrays() -> None:
    colour = noise(4, 6, 3)
    check(load_image(colour), colour)
    check(load_image(colour[::-1, ::-1]), colour[::-1, ::-1])
    check(load_image(np.asfortranarray(colour)), colour)
    check(load_image(colour[..., 0]), as_rgb(colour[..., 0]))
    check(load_image(colour[..., :1]), as_rgb(colour[..., 0]))
    check(load_image(colour > 99), np.where(colour > 99, 255, 0))
    for dtype in (np.float32, np.float64):
        check(load_image(colour.astype(dtype) / 255), colour)
    check(load_image(np.full((2, 2), 0.5, np.float16)), np.full((2, 2, 3), 128))
    translucent = np.concatenate([colour / 255, np.full((4, 6, 1), 0.5)], axis=2)
    check(load_image(translucent), over_white(np.concatenate([colour, np.full((4, 6, 1), 128, np.uint8)], axis=2)))


def test_result_never_shares_memory() -> None:
    colour = noise(4, 6, 3)
    assert not np.shares_memory(load_image(colour), colour)
    image = Image.fromarray(colour)
    load_image(image)[:] = 0
    np.testing.assert_array_equal(np.asarray(image), colour)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 40, 50), np.uint8), r"array of uint8 \(3, 40, 50\).* array\.transpose\(1, 2, 0\)"),
        (np.zeros((1, 40, 50, 3), np.uint8), r"\(1, 40, 50, 3\).* without a batch axis"),
        (np.zeros(40, np.uint8), r"uint8 \(40,\): wanted \(H, W\)"),
        (np.zeros((40, 50, 2), np.uint8), "pick the channels to show as RGB"),
        (np.zeros((0, 50, 3), np.uint8), "image 50x0 has no pixels"),
        (np.zeros((4, 5, 3), np.int64), r"array of int64 .* use array\.astype\(numpy\.uint8\)"),
        (np.zeros((4, 5, 3), np.uint32), r"array of uint32 .* wanted uint8"),
        (np.zeros((4, 5, 3), np.complex64), r"array of complex64"),
        (np.zeros((4, 5, 3), object), r"array of object"),
        (np.full((4, 5, 3), np.nan), r"array of float64 .* NaN or infinite"),
        (np.full((4, 5), np.inf, np.float32), r"array of float32 .* NaN or infinite"),
        (np.array([[-0.5, 1.0]]), r"values in \[-0\.5, 1\], wanted floats in \[0, 1\]; divide"),
        (np.array([[0.0, 255.0]]), r"values in \[0, 255\], wanted floats"),
        (np.zeros((1, MAX_SIDE + 1), np.uint8), "image 12001x1 is larger than 12000 px a side"),
    ],
)
def test_arrays_that_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(ImageReadError, match=message) as caught:
        load_image(array)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, 3, b"a.png", [[1, 2]]])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match=f"image is a {type(value).__name__}; give a path, a PIL image"):
        load_image(value)  # type: ignore[arg-type]


# Files that are refused


def test_file_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match=r"gone\.png: there is no such file"):
        load_image(tmp_path / "gone.png")
    with pytest.raises(ImageReadError, match="is a folder; give the path of one image file"):
        load_image(tmp_path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageReadError, match=r"empty\.png: the file is empty"):
        load_image(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("hello, this is no image\n" * 10)
    with pytest.raises(ImageReadError, match=r"text\.png: no image that can be read"):
        load_image(tmp_path / "text.png")
    with pytest.raises(ImageReadError, match="cannot be opened"):
        load_image("a\0b.png")
    with pytest.raises(ImageReadError, match="is a device or pipe"):
        load_image("/dev/null")


def test_errors_are_ours_and_value_errors(tmp_path: Path) -> None:
    with pytest.raises(Inter2FormerError):
        load_image(tmp_path / "gone.png")
    with pytest.raises(ValueError, match=r"gone\.png"):
        load_image(tmp_path / "gone.png")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(ImageReadError, match=r"a\.png: cannot be opened \(Permission denied\)"):
        load_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "bmp", "gif"])
def test_truncated_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(noise(64, 64, 3)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageReadError, match=rf"cut\.{suffix}: (the image is damaged|no image that can be read)"):
        load_image(path)


def test_truncated_16_bit_colour(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    cv2.imwrite(str(path), noise(64, 64, 3, high=4096, dtype=np.uint16))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageReadError, match=r"cut\.png: the image is damaged or cut short"):
        load_image(path)


@pytest.mark.parametrize(("width", "height"), [(12001, 1), (1, 12001), (20000, 20000), (2000000, 2000000)])
def test_too_large_a_file_is_refused_before_decoding(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header(width, height))
    with pytest.raises(ImageReadError, match=rf"bomb\.png: image {width}x{height} is larger than 12000 px a side"):
        load_image(tmp_path / "bomb.png")


def test_the_largest_size_passes_pillows_own_limit(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(png_header(12000, 12000))
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageReadError, match=r"large\.png: the image is damaged or cut short"):
            load_image(tmp_path / "large.png")
    assert Image.MAX_IMAGE_PIXELS == before


def test_pillows_limit_survives_threads(tmp_path: Path) -> None:
    Image.fromarray(noise(4, 4, 3)).save(tmp_path / "a.png")
    before = Image.MAX_IMAGE_PIXELS
    threads = [threading.Thread(target=load_image, args=(tmp_path / "a.png",)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Image.MAX_IMAGE_PIXELS == before


def test_pil_images_that_are_refused() -> None:
    with pytest.raises(ImageReadError, match="PIL image: image 0x5 has no pixels"):
        load_image(Image.new("RGB", (0, 5)))
    with pytest.raises(ImageReadError, match="PIL image: image 12001x1 is larger"):
        load_image(Image.new("L", (12001, 1)))
    with pytest.raises(ImageReadError, match="PIL image: image in LAB is not supported; save it as RGB"):
        load_image(Image.new("LAB", (2, 2)))


def test_postscript_is_never_run(tmp_path: Path) -> None:
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.eps")
    with pytest.raises(ImageReadError, match=r"a\.eps: EPS in .* is not supported"):
        load_image(tmp_path / "a.eps")


# Drawing and saving


def test_overlay_tints_and_outlines() -> None:
    image = np.full((60, 80, 3), 100, np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:50] = True
    picture = overlay(image, mask)
    np.testing.assert_array_equal(picture[25:35, 35:45], np.full((10, 10, 3), (68, 120, 170)))
    # Two crisp pixels, one on either side of the rim.
    assert [tuple(pixel) for pixel in picture[30, 27:33]] == [
        (100, 100, 100), (100, 100, 100), (255, 221, 0), (255, 221, 0), (68, 120, 170), (68, 120, 170),
    ]  # fmt: skip
    np.testing.assert_array_equal(picture[:19], image[:19])
    assert (image == 100).all()


def test_overlay_without_mask_is_a_copy() -> None:
    image = noise(5, 6, 3)
    image.setflags(write=False)
    picture = overlay(image, np.zeros((5, 6), bool))
    check(picture, image)
    assert not np.shares_memory(picture, image)


def test_overlay_of_a_full_mask_has_no_outline_at_the_image_border() -> None:
    picture = overlay(np.full((10, 12, 3), 100, np.uint8), np.ones((10, 12), bool))
    check(picture, np.full((10, 12, 3), (68, 120, 170)))


def test_overlay_draws_clicks() -> None:
    image = np.full((100, 240, 3), 100, np.uint8)
    picture = overlay(image, np.zeros((100, 240), bool), [Click(50, 40), Click(150, 60, positive=False)])
    assert tuple(picture[40, 50]) == (0, 190, 60)
    assert tuple(picture[60, 150]) == (225, 30, 45)
    # The ring is antialiased: light, and lighter than either of its neighbours.
    assert picture[40, 50 + 5].min() > 190
    corner = overlay(image, np.zeros((100, 240), bool), [Click(239, 99)])
    assert tuple(corner[99, 239]) == (0, 190, 60)
    # Dots grow with the image.
    large = overlay(np.zeros((1200, 1200, 3), np.uint8), np.zeros((1200, 1200), bool), [Click(600, 600)])
    assert tuple(large[600, 608]) == (0, 190, 60)


def test_overlay_refuses() -> None:
    image, mask = np.zeros((10, 12, 3), np.uint8), np.zeros((10, 12), bool)
    with pytest.raises(ValueError, match=r"image is uint8 \(10, 12\), wanted uint8 \(H, W, 3\)"):
        overlay(image[..., 0], mask)
    with pytest.raises(ValueError, match=r"mask is bool \(12, 10\), wanted bool \(10, 12\)"):
        overlay(image, mask.T)
    with pytest.raises(ValueError, match=r"mask is uint8"):
        overlay(image, mask.astype(np.uint8))
    with pytest.raises(ValueError, match=r"click \(12, 3\) lies outside the 12x10 image; x must be in \[0, 11\]"):
        overlay(image, mask, [Click(12, 3)])


def test_save_mask(tmp_path: Path) -> None:
    mask = noise(30, 40) > 100
    path = tmp_path / "mask.png"
    path.write_text("what was there before")
    save_mask(mask, path)
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        np.testing.assert_array_equal(np.asarray(image), np.where(mask, 255, 0))
    save_mask(mask.T, str(tmp_path / "without_suffix"))
    check(load_image(tmp_path / "without_suffix"), as_rgb(np.where(mask.T, 255, 0)))
    assert sorted(os.listdir(tmp_path)) == ["mask.png", "without_suffix"]


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_save_mask_keeps_to_the_umask(tmp_path: Path) -> None:
    (tmp_path / "reference").touch()
    save_mask(np.ones((2, 2), bool), tmp_path / "mask.png")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("reference", "mask.png")}
    assert len(modes) == 1


def test_save_mask_refuses(tmp_path: Path) -> None:
    mask = np.ones((2, 2), bool)
    with pytest.raises(ImageWriteError, match=r"mask\.png: there is no folder .*missing; make it first"):
        save_mask(mask, tmp_path / "missing" / "mask.png")
    with pytest.raises(ImageWriteError, match="is a folder; give the path of a file"):
        save_mask(mask, tmp_path)
    with pytest.raises(ValueError, match=r"mask\.jpg: masks are saved as PNG"):
        save_mask(mask, tmp_path / "mask.jpg")
    with pytest.raises(ValueError, match=r"mask is uint8 \(2, 2\), wanted bool"):
        save_mask(mask.astype(np.uint8), tmp_path / "mask.png")
    with pytest.raises(ValueError, match=r"mask is bool \(0, 2\)"):
        save_mask(mask[:0], tmp_path / "mask.png")


def test_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "mask.png"
    path.write_text("before")
    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(ImageWriteError, match=r"mask\.png: cannot be written \(No space left on device\)") as caught:
        save_mask(np.ones((2, 2), bool), path)
    assert isinstance(caught.value, OSError)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["mask.png"]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_upright_size_is_that_of_the_image(tmp_path: Path, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (7, 5)).save(tmp_path / name, exif=exif)
    height, width = load_image(tmp_path / name).shape[:2]
    assert upright_size(tmp_path / name) == (width, height)
    assert (width, height) == ((5, 7) if orientation >= 5 else (7, 5))


def test_no_size_without_an_image(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match=r"absent\.png: there is no such file"):
        upright_size(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ImageReadError, match=r"text\.png: no image that can be read"):
        upright_size(tmp_path / "text.png")
