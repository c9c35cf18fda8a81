"""The integer code, the table of keys and the training form agree."""

from __future__ import annotations

import torch

from inter2former.model.codebook import BinarySphericalCodebook


def test_table_holds_the_training_keys():
    torch.manual_seed(0)
    codebook = BinarySphericalCodebook(16, 5)
    keys = torch.randn(2, 50, 16)
    with torch.no_grad():
        quantised = codebook.straight_through(keys)
        torch.testing.assert_close(codebook.all_keys()[codebook.codes(keys)], quantised.keys, rtol=1e-5, atol=2e-6)
    assert quantised.commitment_loss > 0


def test_first_projected_number_is_the_highest_bit():
    codebook = BinarySphericalCodebook(3, 3)
    with torch.no_grad():
        codebook.project.weight.copy_(torch.eye(3))
        codebook.project.bias.zero_()
    keys = torch.tensor([[1.0, -1.0, -1.0], [-1.0, -1.0, 1.0], [0.0, 0.0, 0.0]])
    assert codebook.codes(keys).tolist() == [4, 1, 7]


def test_gradient_passes_through_the_unquantised_code():
    torch.manual_seed(1)
    codebook = BinarySphericalCodebook(8, 4)
    keys = torch.randn(10, 8, requires_grad=True)
    codebook.straight_through(keys).keys.sum().backward()
    assert keys.grad is not None
    assert keys.grad.abs().max() > 0
