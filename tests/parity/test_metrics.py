"""IoU, NoC and failure counts equal the stored ones."""

from __future__ import annotations

import numpy as np
import pytest

from inter2former.evaluation.metrics import iou, mean_iou_per_click, noc, nof, nof_ritm

# Counts and thresholds are exact; the stored means went through float32, whose rounding is 1e-7 of at most K clicks.
TOLERANCE = 1e-6


def test_iou(load_fixture, cases):
    tensors, description = load_fixture("binary_iou_np")
    assert cases(tensors)
    for case in cases(tensors):
        measured = iou(tensors[f"{case}.pred"], tensors[f"{case}.gt"])
        assert measured == pytest.approx(description["cases"][case]["expected"], rel=1e-5, abs=1e-5), case


def test_clicks_and_failures(load_fixture, cases):
    tensors, description = load_fixture("noc")
    assert cases(tensors)
    for case in cases(tensors):
        ious, stored = tensors[f"{case}.iou"], description["cases"][case]
        for percent in (key.removeprefix("noc") for key in stored if key.startswith("noc")):
            threshold = int(percent) / 100
            assert noc(ious, threshold) == pytest.approx(stored[f"noc{percent}"], rel=TOLERANCE, abs=TOLERANCE), case
            assert nof(ious, threshold) == stored[f"fail{percent}"], case
            assert nof_ritm(ious, threshold) == stored[f"fail_before_last{percent}"], case
        np.testing.assert_allclose(mean_iou_per_click(ious), stored["mean_iou"], rtol=0, atol=TOLERANCE, err_msg=case)


def test_iou_of_logits_with_ignored_pixels(load_fixture, cases):
    tensors, _ = load_fixture("losses")
    compared = 0
    for case in cases(tensors):
        logits, target = tensors[f"{case}.logits"], tensors[f"{case}.target"][:, 0]
        masks = logits[:, -1] > (logits[:, 0] if logits.shape[1] == 2 else 0)
        for sample, stored in enumerate(tensors[f"{case}.iou"]):
            ignored = target[sample] == 255
            if not ((masks[sample] | (target[sample] == 1)) & ~ignored).any():
                assert iou(masks[sample], target[sample], ignored) == 1.0, case  # stored as 0; here nothing is wrong
                continue
            compared += 1
            assert iou(masks[sample], target[sample], ignored) == pytest.approx(float(stored), abs=1e-6), case
    assert compared
