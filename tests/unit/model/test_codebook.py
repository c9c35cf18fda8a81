"""The integer code, the table of keys and the training form agree."""

from __future__ import annotations

import pytest
import torch

from inter2former.model.codebook import COMMITMENT_WEIGHT, BinarySphericalCodebook, VectorCodebook, codes_used


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


@pytest.mark.parametrize(
    ("codes", "used"), [([3, 3, 3], 1.0), ([0, 1, 2, 7], 4.0), ([[5, 6], [6, 5]], 2.0), ([1, 1, 1, 2], 1.7548)]
)
def test_codes_in_use(codes, used):
    assert codes_used(torch.tensor(codes), 8).item() == pytest.approx(used, abs=1e-4)


def test_balance_keeps_keys_with_much_in_common_in_many_codes():
    torch.manual_seed(4)
    keys = 4.0 + torch.randn(2, 300, 16)
    used = {}
    for balance in (0.0, 0.1):
        torch.manual_seed(5)
        codebook = BinarySphericalCodebook(16, 4, balance=balance)
        learning = torch.optim.Adam(codebook.parameters(), lr=0.02)
        for _ in range(100):
            learning.zero_grad()
            codebook.straight_through(keys).commitment_loss.backward()
            learning.step()
        used[balance] = codes_used(codebook.codes(keys), 16).item()
        assert codebook.used.item() == pytest.approx(used[balance], rel=0.1)
    assert used[0.0] < 3
    assert used[0.1] > 10


def test_balance_leaves_the_keys_alone():
    torch.manual_seed(6)
    codebook, gradients = BinarySphericalCodebook(8, 4), []
    for codebook.balance in (0.0, 10.0):
        keys = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
        codebook.straight_through(keys).commitment_loss.backward()
        gradients.append(keys.grad)
    assert torch.equal(*gradients)


def test_a_vector_code_is_the_nearest_vector():
    torch.manual_seed(2)
    codebook, keys = VectorCodebook(6, 3), torch.randn(4, 9, 6)
    distance = torch.cdist(keys.double(), codebook.vectors.double())
    with torch.no_grad():
        assert torch.equal(codebook.codes(keys), distance.argmin(-1))
        quantised = codebook.straight_through(keys)
        torch.testing.assert_close(quantised.keys, codebook.all_keys()[codebook.codes(keys)], rtol=0, atol=1e-6)
    squared = distance.amin(-1).square().sum() / keys.numel()
    torch.testing.assert_close(quantised.commitment_loss.double(), (1 + COMMITMENT_WEIGHT) * squared, rtol=1e-5, atol=0)


def test_vector_codes_let_the_gradient_pass_and_learn_from_the_loss_alone():
    torch.manual_seed(3)
    codebook, keys = VectorCodebook(6, 3), torch.randn(9, 6, requires_grad=True)
    gradient = torch.randn(9, 6)
    quantised = codebook.straight_through(keys)
    (quantised.keys * gradient).sum().backward()
    assert torch.equal(keys.grad, gradient)
    assert codebook.vectors.grad is None
    keys.grad = None
    codebook.straight_through(keys).commitment_loss.backward()
    with torch.no_grad():
        gap = keys - codebook.vectors[codebook.codes(keys)]
        torch.testing.assert_close(keys.grad, COMMITMENT_WEIGHT * 2 * gap / gap.numel())
        pulled = torch.zeros_like(codebook.vectors).index_add(0, codebook.codes(keys), -2 * gap / gap.numel())
        torch.testing.assert_close(codebook.vectors.grad, pulled)
