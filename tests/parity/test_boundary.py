"""Which pixels and tokens are boundary ones: equal to the stored masks, by both rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from inter2former.model.boundary import UNKNOWN, select_boundary_tokens, window_is_mixed
from inter2former.model.boxes import prompt_box

VARIANCE_TOLERANCE = 1e-4


def test_mixed_windows_of_pixels(load_fixture, cases, tensor):
    tensors, _ = load_fixture("boundary")
    assert cases(tensors)
    for case in cases(tensors):
        mixed = window_is_mixed(tensor(tensors[f"{case}.label"])[None, None])[0, 0]
        np.testing.assert_array_equal(mixed.numpy(), tensors[f"{case}.exact"].astype(bool), err_msg=case)


def test_exact_rule_is_the_positive_variance_and_release_rule_its_rounding(load_fixture, cases, tensor):
    """The stored variances say what both rules stand for: exact arithmetic, and float32."""
    tensors, _ = load_fixture("boundary")
    for case in cases(tensors):
        label = tensor(tensors[f"{case}.label"])
        stored, true = tensors[f"{case}.var_float"], tensors[f"{case}.true_var"]
        np.testing.assert_allclose(stored, true, rtol=0, atol=VARIANCE_TOLERANCE, err_msg=case)
        # Of 49 states in 0..4, two different ones give a variance of at least 48 / 49^2.
        np.testing.assert_array_equal(true > 0.01, tensors[f"{case}.exact"].astype(bool), err_msg=case)

        stride = math.gcd(16, *label.shape)
        unknown = _pooled(label == UNKNOWN, stride)
        exact = select_boundary_tokens(label[None, None], rule="exact", stride=stride)[0]
        torch.testing.assert_close(exact, unknown | _pooled(true > 0.01, stride), msg=case)

        box = prompt_box(label, stride=stride)
        positive = torch.zeros_like(exact)
        positive[box.rows, box.columns] = _pooled(stored > 0, stride)[box.rows, box.columns]
        release = select_boundary_tokens(label[None, None], rule="release", stride=stride)[0]
        torch.testing.assert_close(release, unknown | positive, msg=case)


@pytest.mark.parametrize(("rule", "stored"), [("exact", "routed_exact"), ("release", "routed_official")])
def test_boundary_tokens(load_fixture, cases, tensor, rule, stored):
    tensors, description = load_fixture("dpe")
    assert cases(tensors)
    for case in cases(tensors):
        boundary = select_boundary_tokens(
            tensor(tensors[f"{case}.ref_label"]), rule=rule, stride=description["config"]["stride"]
        )
        np.testing.assert_array_equal(boundary.numpy(), tensors[f"{case}.{stored}"].astype(bool), err_msg=case)


def _pooled(pixels, stride):
    """Does any pixel of a token hold: (H, W) to (H/stride, W/stride)."""
    return F.max_pool2d(torch.as_tensor(pixels)[None].to(torch.float32), stride)[0] > 0
