"""Norms over planes in any memory format; rotary positions: differences count, and both forms agree."""

from __future__ import annotations

import pytest
import torch

from inter2former.model.layers import PlaneNorm, rotary_angles, rotary_frequencies, rotate, rotate_


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("height", "width", "heads"), [(1, 1, 1), (3, 5, 2), (4, 4, 3)])
def test_in_place_form_equals_the_other(height, width, heads, dtype):
    torch.manual_seed(0)
    angles = rotary_angles(height, width, 8)
    packed = torch.randn(2, height * width, 3, heads, 8, dtype=dtype)  # as query, key and value leave a linear layer
    query = packed[:, :, 0]
    expected = rotate(query, angles)
    assert rotate_(query, angles) is query
    torch.testing.assert_close(packed[:, :, 0], expected.to(dtype), rtol=1e-5, atol=1e-6)


def test_products_depend_on_the_difference_of_positions():
    torch.manual_seed(0)
    angles = rotary_angles(6, 6, 8).double()
    query, key = (rotate(torch.randn(1, 1, 8).double().expand(36, 1, 8), angles)[:, 0] for _ in range(2))
    products = (query @ key.T).view(6, 6, 6, 6)
    torch.testing.assert_close(products[:-1, :-1, :-1, :-1], products[1:, 1:, 1:, 1:])
    assert (products[0, 1, 0, 0] - products[0, 0, 0, 1]).abs() > 1e-3


def test_frequencies_fall_from_one():
    frequencies = rotary_frequencies(64)
    assert frequencies.shape == (16,)
    torch.testing.assert_close(frequencies, 10000.0 ** (-torch.arange(16) / 16))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(2, 4, 96, 80), (1, 16, 5, 7), (3, 1, 4, 4)])
def test_plane_norm_is_exact_in_any_memory_format(shape, memory_format):
    torch.manual_seed(0)
    norm = PlaneNorm(shape[1])
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = (torch.randn(shape) + 0.5).contiguous(memory_format=memory_format).requires_grad_()
    exact = torch.nn.functional.group_norm(x.double(), 1, norm.weight.double(), norm.bias.double())
    torch.testing.assert_close(norm(x).double(), exact, rtol=1e-5, atol=5e-6)
    torch.autograd.gradcheck(norm.double(), x[:, :, :2, :3].detach().double().requires_grad_(), fast_mode=True)
