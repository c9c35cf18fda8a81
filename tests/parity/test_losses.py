"""The normalised focal loss and its gradients equal the stored ones, in both stored settings."""

from __future__ import annotations

import pytest
import torch

from inter2former.training.losses import normalised_focal_loss

SETTINGS = {
    "": {},
    "2": {"alpha": 0.25, "gamma": 1.5, "detach_normaliser": False, "loss_weight": 2.0},
}


@pytest.mark.parametrize("suffix", SETTINGS)
def test_loss_and_gradient(load_fixture, cases, suffix):
    tensors, _ = load_fixture("losses")
    assert cases(tensors)
    for case in cases(tensors):
        logits = torch.from_numpy(tensors[f"{case}.logits"].copy()).requires_grad_()
        loss = normalised_focal_loss(logits, torch.from_numpy(tensors[f"{case}.target"].copy()), **SETTINGS[suffix])
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        stored = {key: torch.from_numpy(tensors[f"{case}.{key}{suffix}"].copy()) for key in ("loss", "grad")}
        torch.testing.assert_close(loss, stored["loss"], rtol=1e-5, atol=1e-7, msg=lambda text, c=case: f"{c}: {text}")
        torch.testing.assert_close(
            gradient, stored["grad"], rtol=1e-4, atol=1e-6, msg=lambda text, c=case: f"{c}: {text}"
        )
