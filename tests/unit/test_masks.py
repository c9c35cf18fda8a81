"""Masks are read as truth values, compared at one size, and written as COCO's run lengths."""

from __future__ import annotations

import numpy as np
import pytest

from inter2former.masks import (
    as_mask,
    changed_box,
    decode_rle,
    encode_rle,
    mask_box,
    mask_from_runs,
    mask_pair,
    rle_area,
    runs_from_mask,
    runs_from_rle,
)

coco = pytest.importorskip("pycocotools.mask", reason="pycocotools, the oracle of the run lengths, is not installed")


def test_only_ones_are_object():
    assert as_mask(np.array([[0, 1, 2, 255]], dtype=np.uint8)).tolist() == [[False, True, False, False]]


def test_truth_values_are_not_copied():
    mask = np.ones((2, 3), dtype=bool)
    assert np.shares_memory(as_mask(mask), mask)


def test_pair_without_ignore():
    mask = np.ones((2, 3), dtype=bool)
    assert mask_pair(mask, mask, None)[2] is None


def test_refusals():
    mask = np.ones((2, 3), dtype=bool)
    with pytest.raises(ValueError, match=r"region has shape \(3,\)"):
        as_mask(mask[0], "region")
    with pytest.raises(ValueError, match=r"prediction has shape \(3, 2\) but target has \(2, 3\)"):
        mask_pair(mask.T, mask, None)
    with pytest.raises(ValueError, match=r"ignore has shape \(3, 2\) but target has \(2, 3\)"):
        mask_pair(mask, mask, mask.T)


def blobs(height, width, seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), dtype=bool)
    for _ in range(3):
        y, x = int(rng.integers(height)), int(rng.integers(width))
        mask[y : y + 1 + height // 3, x : x + 1 + width // 2] ^= True
    return mask


MASKS = [
    np.zeros((3, 4), dtype=bool),
    np.ones((3, 4), dtype=bool),
    np.eye(5, dtype=bool),
    np.ones((1, 1), dtype=bool),
    blobs(60, 80, 0),
    blobs(1, 300, 1),
    blobs(300, 1, 2),
    np.random.default_rng(3).random((64, 65)) > 0.5,
    # Runs and differences of runs of every length of code, up to a tall image in one piece.
    np.repeat([False, True, False, True, False, True], [1, 70000, 33, 5, 900000, 1])[:, None],
]


@pytest.mark.parametrize("mask", MASKS)
def test_run_lengths_equal_those_of_pycocotools(mask):
    expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = encode_rle(mask)
    assert counts == expected["counts"].decode()
    np.testing.assert_array_equal(decode_rle(counts, *mask.shape), mask)
    assert rle_area(counts) == coco.area(expected) == mask.sum()
    np.testing.assert_array_equal(runs_from_rle(counts), runs_from_mask(mask))
    np.testing.assert_array_equal(mask_from_runs(runs_from_mask(mask).tolist(), *mask.shape), mask)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ("04", "hold 4 pixels, the mask 12"),
        ("~", "are damaged: wanted the characters"),
        ("0P", "are damaged: wanted the characters"),
        ("0" + "P" * 12 + "0", "a run is longer than any image"),
        ("", "hold 0 pixels"),
        ("0O=", "hold|negative"),
    ],
)
def test_damaged_run_lengths_are_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        decode_rle(counts, 3, 4)


def test_boxes_of_masks():
    mask = np.zeros((6, 9), dtype=bool)
    assert mask_box(mask) is None
    mask[2:4, 3:8] = True
    assert mask_box(mask) == (3, 2, 8, 4)
    assert changed_box(None, mask) == (3, 2, 8, 4)
    other = mask.copy()
    assert changed_box(mask, other) is None
    other[5, 0] = other[2, 3] = True
    other[2, 3] = False
    assert changed_box(mask, other) == (0, 2, 4, 6)
    with pytest.raises(ValueError, match=r"prediction has shape \(9, 6\)"):
        changed_box(mask.T, mask)
