"""The fixed edge filters equal the stored ones, wherever their answer is not rounding noise."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from inter2former.model.canny import THRESHOLD, canny_maps

BLURRED = {"rtol": 0, "atol": 1e-6}
MAGNITUDE = {"rtol": 0, "atol": 1e-5}


def test_maps(load_fixture, cases, tensor):
    tensors, description = load_fixture("canny")
    assert description["config"]["threshold"] == THRESHOLD
    assert cases(tensors)
    for case in cases(tensors):
        stored = {key.removeprefix(f"{case}."): tensor(values) for key, values in tensors.items() if key[:3] != "w."}
        maps = canny_maps(stored["image_u8"].to(torch.float32) / 255)
        torch.testing.assert_close(maps.blurred, stored["blurred"], **BLURRED, msg=lambda text, c=case: f"{c}: {text}")
        torch.testing.assert_close(
            maps.magnitude, stored["grad_mag"], **MAGNITUDE, msg=lambda text, c=case: f"{c}: {text}"
        )

        stable = stored["ori_stable"].bool()
        assert stable.any(), case
        # 0 and 360 degrees are one direction; which of them it is, rounding decides.
        assert torch.equal(maps.orientation[stable] % 360, stored["grad_ori"][stable] % 360), case

        # Two maps that agree within the tolerance may answer a comparison differently when it is closer than that.
        decided = (stored["grad_mag"] - THRESHOLD).abs() > MAGNITUDE["atol"]
        thinned = stable & ~_has_equal_neighbour(stored["grad_mag"], 2 * MAGNITUDE["atol"])
        comparisons = (
            ("thin", maps.thin, thinned),
            ("thresh", maps.thresholded, thinned & decided),
            ("early", maps.early, decided),
        )
        for name, measured, where in comparisons:
            assert where.any(), case
            assert torch.equal(measured[where] > 0, stored[name][where] > 0), f"{case} {name}"
            torch.testing.assert_close(measured[where], stored[name][where], **MAGNITUDE)


def _has_equal_neighbour(magnitude, tolerance):
    """Whether one of the eight neighbours, 0 outside the image, differs by no more than `tolerance`."""
    windows = F.unfold(F.pad(magnitude, (1, 1, 1, 1)), 3).view(len(magnitude), 9, *magnitude.shape[2:])
    return ((windows - magnitude).abs() <= tolerance).sum(1, keepdim=True) > 1
