"""Masks on the wire: what is packed is what is read, and a stored mask is cut out at its box."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from tests.web.conftest import read_runs

from inter2former.masks import mask_box
from inter2former.prompt import MaskPrompt
from inter2former.web.runs import cut_out, pack_runs

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.booleans())


@given(masks)
def test_packed_runs_are_read_again(mask):
    np.testing.assert_array_equal(read_runs(pack_runs(mask)).reshape(mask.shape), mask)


@pytest.mark.parametrize("length", [127, 128, 16_383, 16_384, 3_000_000])
def test_long_runs(length):
    mask = np.zeros((1, length + 1), bool)
    mask[0, -1] = True
    assert read_runs(pack_runs(mask)).sum() == 1
    assert pack_runs(mask)[-1] == 1


@given(masks)
def test_cut_out_is_the_box_of_the_mask(mask):
    found = cut_out(MaskPrompt.of(mask))
    box = mask_box(mask)
    if box is None:
        assert found is None
    else:
        assert found is not None
        assert found[0] == box
        np.testing.assert_array_equal(found[1], mask[box[1] : box[3], box[0] : box[2]])
