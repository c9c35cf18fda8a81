"""Strokes over strokes, and planes kept small."""

from __future__ import annotations

import numpy as np
import pytest

from inter2former.frame import WorkingFrame
from inter2former.prompt import Stroke
from inter2former.session.packing import pack
from inter2former.session.painting import Painting, stroke_patch
from inter2former.session.regions import reduced_patch
from inter2former.shapes import Patch


@pytest.mark.parametrize(
    "plane",
    [
        np.zeros((5, 7)),
        np.arange(35).reshape(5, 7) // 9,
        np.random.default_rng(0).integers(0, 5, (40, 30)),
        np.ones((1, 1)),
    ],
)
def test_planes_come_back(plane):
    plane = plane.astype(np.uint8)
    packed = pack(plane)
    np.testing.assert_array_equal(packed.unpack(), plane)
    packed.unpack()[:] = 9
    np.testing.assert_array_equal(packed.unpack(), plane)
    assert packed.nbytes <= plane.nbytes


def test_a_reference_map_takes_little():
    y, x = np.mgrid[:1024, :1024]
    plane = ((x - 500) ** 2 + (y - 500) ** 2 < 300**2).astype(np.uint8) * 2 + 1
    assert pack(plane).nbytes < 10_000


def test_later_strokes_lie_over_earlier_ones():
    strokes = [
        Stroke([(10, 10), (30, 10)], 4),
        Stroke([(20, 5), (20, 40)], 2, erase=True),
        Stroke([(20, 10)], 1),
    ]
    painting, expected = None, np.full((50, 60), -1)
    for stroke in strokes:
        patch = stroke_patch(stroke, 60, 50)
        expected[patch.window][patch.mask] = not stroke.erase
        painting = (
            Painting.of(patch, erase=stroke.erase)
            if painting is None
            else painting.with_stroke(patch, erase=stroke.erase)
        )
    for before in (np.zeros((50, 60), dtype=bool), np.ones((50, 60), dtype=bool)):
        mask = before.copy()
        painting.apply(mask)
        np.testing.assert_array_equal(mask, np.where(expected < 0, before, expected == 1))
    y, x = np.mgrid[:50, :60]
    pixels = np.stack([x.ravel(), y.ravel()], axis=1)
    np.testing.assert_array_equal(painting.verdicts(pixels).reshape(50, 60), expected)


@pytest.mark.parametrize(("width", "height"), [(64, 64), (640, 480), (30, 50), (1000, 10)])
def test_strokes_are_reduced_to_the_working_size(width, height):
    frame = WorkingFrame.fit(width, height, size=64)
    mask = np.zeros((height, width), dtype=bool)
    patch = Patch(width // 4, height // 5, np.ones((height // 2, width // 3), dtype=bool))
    mask[patch.window] = patch.mask
    reduced = reduced_patch(patch, frame)
    plane = np.zeros((frame.content_height, frame.content_width), dtype=bool)
    plane[reduced.window] = reduced.mask
    share_before, share_after = mask.mean(), plane.mean()
    assert abs(share_after - share_before) < 3 / min(plane.shape) + 0.01
    # The corners lie where the frame says, within a working pixel.
    left, top = frame.to_working(patch.left, patch.top)
    rows, columns = np.flatnonzero(plane.any(1)), np.flatnonzero(plane.any(0))
    assert abs(columns[0] - left) <= 1.5
    assert abs(rows[0] - top) <= 1.5
