"""Masks are read as truth values and compared at one size."""

from __future__ import annotations

import numpy as np
import pytest

from inter2former.masks import as_mask, mask_pair


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
