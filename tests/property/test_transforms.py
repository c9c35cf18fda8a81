"""Whatever is done to a picture, its labels stay where the object is."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from inter2former.data.transforms import Blur, ColourJitter, Crop, Flip, Jpeg, Noise, Picture, ResizeRange, apply

HEIGHT, WIDTH = 48, 64


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    top=st.integers(0, HEIGHT - 12),
    left=st.integers(0, WIDTH - 12),
    shortest=st.integers(48, 90),
    side=st.integers(24, 80),
)
def test_a_marker_and_its_label_move_together(seed, top, left, shortest, side):
    """A white square on black is labelled: afterwards bright pixels are labelled and dark ones are not."""
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.int32)
    image[top : top + 12, left : left + 12] = 255
    labels[top : top + 12, left : left + 12] = 70_000
    looks = (ColourJitter(0.1, 0.1, 0.1, 0.0), Blur(0.5, (0.4, 0.6)), Jpeg(0.5, (80, 95)), Noise(0.5, (1, 5)))
    transforms = (ResizeRange(shortest, 100), Flip(), Crop(side), *looks)
    changed = apply(transforms, Picture(image, labels, labels > 0), np.random.default_rng(seed))
    marked = changed.labels == 70_000
    np.testing.assert_array_equal(changed.ignore, marked)
    assert marked.any()
    bright = changed.image.mean(axis=2) > 128
    # Between the two lies a rim of one pixel, which resizing and blur may decide either way. A window may end in it.
    padded = np.pad(marked, 1).astype(np.uint8)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8))[1:-1, 1:-1] > 0
    wide = cv2.dilate(padded, np.ones((3, 3), np.uint8))[1:-1, 1:-1] > 0
    assert bright[inner].all()
    assert not bright[~wide].any()
