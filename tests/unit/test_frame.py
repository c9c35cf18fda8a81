"""Geometry between original and working pixels, and resampling across it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from inter2former.frame import WorkingFrame, logits_to_original, mask_to_original, resize_to_working

SIDES = st.integers(1, 12000)
SIZES = st.integers(16, 4096)


def whole(frame: WorkingFrame) -> tuple[int, int, int, int]:
    return 0, 0, frame.content_width, frame.content_height


def random_logits(frame: WorkingFrame, box: tuple[int, int, int, int], seed: int = 0) -> np.ndarray:
    left, top, right, bottom = box
    return np.random.default_rng(seed).normal(size=(bottom - top, right - left)).astype(np.float32)


def interpolate(logits: np.ndarray, width: int, height: int) -> np.ndarray:
    batch = torch.from_numpy(logits)[None, None]
    resized = torch.nn.functional.interpolate(batch, size=(height, width), mode="bilinear", align_corners=False)
    return resized[0, 0].numpy()


@pytest.mark.parametrize(
    ("width", "height", "size", "stride", "wanted"),
    [
        (854, 480, 1024, 16, (1024, 576, 1024, 576)),
        (480, 854, 1024, 16, (576, 1024, 576, 1024)),
        (1024, 1024, 1024, 16, (1024, 1024, 1024, 1024)),
        (6000, 4000, 1024, 16, (1024, 683, 1024, 688)),
        (1, 1, 1024, 16, (1024, 1024, 1024, 1024)),
        (1, 5000, 1024, 16, (1, 1024, 16, 1024)),
        (12000, 3, 1024, 16, (1024, 1, 1024, 16)),
        (100, 50, 100, 32, (100, 50, 128, 64)),
        (4, 1, 18, 1, (18, 5, 18, 5)),  # 4.5 rounds up
    ],
)
def test_fit(width: int, height: int, size: int, stride: int, wanted: tuple[int, int, int, int]) -> None:
    frame = WorkingFrame.fit(width, height, size=size, stride=stride)
    assert dataclasses.astuple(frame) == (width, height, *wanted)


@given(SIDES, SIDES, SIZES, st.sampled_from([1, 8, 16, 32]))
def test_fit_keeps_aspect_and_pads_to_the_stride(width: int, height: int, size: int, stride: int) -> None:
    frame = WorkingFrame.fit(width, height, size=size, stride=stride)
    assert max(frame.content_width, frame.content_height) == size
    assert abs(frame.content_width - width * size / max(width, height)) <= 1
    assert abs(frame.content_height - height * size / max(width, height)) <= 1
    for content, padded in (
        (frame.content_width, frame.padded_width),
        (frame.content_height, frame.padded_height),
    ):
        assert padded % stride == 0
        assert 1 <= content <= padded < content + stride


@given(SIDES, SIDES, SIZES, st.data())
def test_coordinates_round_trip(width: int, height: int, size: int, data: st.DataObject) -> None:
    frame = WorkingFrame.fit(width, height, size=size)
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    assert frame.to_original(*frame.to_working(x, y)) == pytest.approx((x, y), abs=1e-6)
    working_x, working_y = frame.to_working(x, y)
    column, row = frame.working_pixel(x, y)
    assert abs(working_x - column) <= 0.5 + 1e-6
    assert abs(working_y - row) <= 0.5 + 1e-6
    assert 0 <= column < frame.content_width
    assert 0 <= row < frame.content_height


def test_coordinates_of_a_halved_image() -> None:
    frame = WorkingFrame.fit(200, 100, size=100)
    assert frame.to_working(0, 0) == (-0.25, -0.25)
    assert frame.to_working(1, 99) == (0.25, 49.25)
    assert frame.working_pixel(199, 99) == (99, 49)
    assert frame.working_pixel(-7, 1000) == (0, 49)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width is 0, wanted an integer >= 1"),
        ({"height": -3}, "height is -3, wanted an integer >= 1"),
        ({"height": 2.5}, r"height is 2\.5, wanted an integer"),
        ({"size": 15}, r"size is 15, wanted an integer in \[16, 4096\]"),
        ({"size": 4097}, r"size is 4097, wanted an integer in \[16, 4096\]"),
        ({"size": 1024.0}, r"size is 1024\.0, wanted an integer"),
        ({"size": True}, "size is True, wanted an integer"),
        ({"size": "1024"}, "size is '1024', wanted an integer"),
        ({"stride": 0}, "stride is 0, wanted an integer >= 1"),
    ],
)
def test_fit_refuses(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WorkingFrame.fit(**{"width": 10, "height": 10, **arguments})


def test_frame_refuses_content_beyond_the_padding() -> None:
    with pytest.raises(ValueError, match="content 20x10 is larger than the padded input 16x16"):
        WorkingFrame(10, 10, 20, 10, 16, 16)


def test_fit_accepts_numpy_integers() -> None:
    assert WorkingFrame.fit(np.int64(854), np.int32(480)) == WorkingFrame.fit(854, 480)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (150, 220), (1, 1), (1, 700), (2047, 5), (256, 192)])
def test_resize_equals_pillow(width: int, height: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    frame = WorkingFrame.fit(width, height, size=256)
    resized = resize_to_working(image, frame)
    content = (frame.content_width, frame.content_height)
    np.testing.assert_array_equal(resized, np.asarray(Image.fromarray(image).resize(content, Image.BILINEAR)))
    assert resized.flags.c_contiguous
    assert resized.flags.writeable
    assert not np.shares_memory(resized, image)


@pytest.mark.parametrize(("width", "height"), [(2503, 1801), (2400, 1800), (3000, 7), (1, 4001)])
def test_resize_of_a_huge_image_stays_close_to_pillow(width: int, height: int) -> None:
    rows, columns = np.mgrid[0:height, 0:width]
    checkers = (rows // 40 + columns // 40) % 2 * 255
    image = np.stack([columns * 255 // width, rows * 255 // height, checkers], axis=2).astype(np.uint8)
    frame = WorkingFrame.fit(width, height, size=200)
    reference = np.asarray(
        Image.fromarray(image).resize((frame.content_width, frame.content_height), Image.BILINEAR), np.int16
    )
    difference = np.abs(resize_to_working(image, frame) - reference)
    # Averaging first widens the filter by a few per cent: measured 20 at the checkerboard's edges, 1 elsewhere.
    assert difference[..., :2].max() <= 1
    assert difference.max() <= 24
    assert difference.mean() < 1


def test_resize_refuses_another_image() -> None:
    frame = WorkingFrame.fit(20, 10, size=16)
    with pytest.raises(ValueError, match=r"image is uint8 \(10, 21, 3\), the frame wants uint8 \(10, 20, 3\)"):
        resize_to_working(np.zeros((10, 21, 3), np.uint8), frame)
    with pytest.raises(ValueError, match=r"image is float32 \(10, 20, 3\)"):
        resize_to_working(np.zeros((10, 20, 3), np.float32), frame)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(16, 200))
@example(1, 300, 16)
@example(1, 1, 16)
@example(64, 48, 64)
def test_logits_equal_torch_when_the_box_is_everything(width: int, height: int, size: int) -> None:
    frame = WorkingFrame.fit(width, height, size=size)
    logits = random_logits(frame, whole(frame))
    original = logits_to_original(logits, frame, box=whole(frame), outside=-50.0)
    assert original.dtype == np.float32
    # torch computes positions in float32: at 300 px an error of 300 * 2^-24 pixels, times differences of up to 8.
    np.testing.assert_allclose(original, interpolate(logits, width, height), atol=3e-4, rtol=0)


def test_logits_are_unchanged_when_the_sizes_are_equal() -> None:
    frame = WorkingFrame.fit(96, 70, size=96)
    logits = random_logits(frame, whole(frame))
    np.testing.assert_array_equal(logits_to_original(logits, frame, box=whole(frame), outside=-1.0), logits)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 250), st.integers(1, 250), st.integers(16, 120), st.data())
def test_box_is_inside_where_the_pixel_centre_is(width: int, height: int, size: int, data: st.DataObject) -> None:
    frame = WorkingFrame.fit(width, height, size=size)
    left, right = sorted(data.draw(st.tuples(*[st.integers(0, frame.padded_width)] * 2)))
    top, bottom = sorted(data.draw(st.tuples(*[st.integers(0, frame.padded_height)] * 2)))
    box = (left, top, right, bottom)
    logits = random_logits(frame, box)
    original = logits_to_original(logits, frame, box=box, outside=-77.0)
    inside = np.zeros((height, width), bool)
    for y in range(height):
        for x in range(width) if top * 2 * height <= (2 * y + 1) * frame.content_height < bottom * 2 * height else ():
            inside[y, x] = left * 2 * width <= (2 * x + 1) * frame.content_width < right * 2 * width
    np.testing.assert_array_equal(original != np.float32(-77.0), inside)
    if inside.any():
        content = logits[: frame.content_height - top, : frame.content_width - left]
        assert original[inside].min() >= content.min() - 1e-5
        assert original[inside].max() <= content.max() + 1e-5
    np.testing.assert_array_equal(mask_to_original(logits, frame, box=box), original > 0)


def test_rim_of_the_box_is_clamped_and_the_interior_equals_the_whole() -> None:
    frame = WorkingFrame.fit(300, 210, size=100)
    box = (20, 10, 60, 50)
    everything = random_logits(frame, whole(frame))
    logits = everything[10:50, 20:60]
    assert not logits.flags.c_contiguous
    part = logits_to_original(logits, frame, box=box, outside=-9.0)
    total = logits_to_original(everything, frame, box=whole(frame), outside=-9.0)
    # Factor 3: original columns 60..179 and rows 30..149 have their centres in the box, the outermost clamp.
    np.testing.assert_array_equal(part[31:149, 61:179], total[31:149, 61:179])
    assert part[30, 60] == logits[0, 0]
    assert part[149, 179] == logits[-1, -1]
    outside = np.ones_like(part, bool)
    outside[30:150, 60:180] = False
    assert (part[outside] == -9).all()
    assert (part[30:150, 60:180] != -9).all()


def test_mask_in_many_bands_equals_the_logits() -> None:
    frame = WorkingFrame.fit(3001, 1999, size=200)
    box = (17, 9, 190, 128)
    logits = random_logits(frame, box)
    logits.setflags(write=False)
    original = logits_to_original(logits, frame, box=box, outside=-1.0)
    np.testing.assert_array_equal(mask_to_original(logits, frame, box=box), original > 0)
    total = np.full((frame.content_height, frame.content_width), 0, np.float32)
    total[9:128, 17:190] = logits
    # A working pixel and a half inside the rim nothing is clamped.
    window = np.s_[9 * 15 + 23 : 128 * 15 - 23, 17 * 15 + 23 : 190 * 15 - 23]
    np.testing.assert_allclose(original[window], interpolate(total, 3001, 1999)[window], atol=2e-3, rtol=0)


def test_empty_box_gives_background() -> None:
    frame = WorkingFrame.fit(30, 20, size=64)
    empty = np.zeros((0, 0), np.float32)
    assert not mask_to_original(empty, frame, box=(5, 5, 5, 5)).any()
    assert (logits_to_original(empty, frame, box=(5, 5, 5, 5), outside=-3.0) == -3).all()


def test_box_in_the_padding_gives_background() -> None:
    frame = WorkingFrame.fit(64, 10, size=64)
    assert not mask_to_original(np.ones((4, 8), np.float32), frame, box=(0, 11, 8, 15)).any()


@pytest.mark.parametrize("box", [(-1, 0, 4, 4), (0, 0, 65, 4), (0, 0, 4, 49), (4, 0, 3, 4), (0, 5, 4, 4)])
def test_box_outside_the_input_is_refused(box: tuple[int, int, int, int]) -> None:
    frame = WorkingFrame.fit(64, 40, size=64)
    with pytest.raises(ValueError, match=r"box \(.*\) lies outside the 64x48 working pixels"):
        mask_to_original(np.zeros((4, 4), np.float32), frame, box=box)


def test_wrong_logits_are_refused() -> None:
    frame = WorkingFrame.fit(64, 40, size=64)
    with pytest.raises(ValueError, match=r"logits are float32 \(4, 5\), box .* wants float32 \(4, 6\)"):
        mask_to_original(np.zeros((4, 5), np.float32), frame, box=(0, 0, 6, 4))
    with pytest.raises(ValueError, match="logits are float64"):
        mask_to_original(np.zeros((4, 6)), frame, box=(0, 0, 6, 4))
    with pytest.raises(ValueError, match=r"outside is 0\.5, wanted a logit <= 0"):
        logits_to_original(np.zeros((4, 6), np.float32), frame, box=(0, 0, 6, 4), outside=0.5)
    with pytest.raises(ValueError, match="outside is nan"):
        logits_to_original(np.zeros((4, 6), np.float32), frame, box=(0, 0, 6, 4), outside=float("nan"))
