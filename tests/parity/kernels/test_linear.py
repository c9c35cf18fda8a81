"""The native linear layer equals the reference for every number of rows and channels around a vector's width."""

from __future__ import annotations

import pytest
import torch

from inter2former.kernels import native, reference

SHAPES = [
    *((rows, 33, 17) for rows in (0, 1, 2, 5, 6, 7, 23, 24, 25, 49)),
    *((7, into, 16) for into in (1, 3, 4, 8, 15, 31, 64)),
    *((7, 16, out) for out in (1, 3, 4, 7, 15, 16, 31, 48, 65)),
    (97, 256, 96),
]


def make(rows, into, out):
    torch.manual_seed(rows + 100 * into + 10_000 * out)
    norm = (torch.randn(into), torch.randn(into), 1e-5)
    return (
        2 * torch.randn(rows, into) + 1,
        torch.randn(out, into) * into**-0.5,
        torch.randn(out),
        norm,
        torch.randn(rows, out),
    )


# Sums of up to 256 products in another order: sqrt(256) * 2^-24 of values around 1, ten times over. A norm over few
# channels divides by what may be small, and magnifies the rounding of the difference before it.
def close(measured, expected):
    torch.testing.assert_close(measured, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_level_equals_the_reference(level, shape):
    x, weight, bias, norm, residual = make(*shape)
    for before in (None, norm) if shape[1] > 1 else (None,):
        for after in (None, residual):
            for activate in (False, True):
                measured = native.linear(x, weight, bias, before, after, activate=activate)
                close(measured, reference.linear(x, weight, bias, before, after, activate=activate))


def test_every_number_of_threads_gives_the_same_bits(threads):
    arguments = make(97, 256, 96)
    measured = native.linear(*arguments)
    torch.set_num_threads(1)
    assert torch.equal(measured, native.linear(*arguments))


def test_strides_and_leading_dimensions(level):
    x, weight, bias, norm, residual = make(24, 33, 17)
    wide = torch.full((24, 40), torch.nan)
    wide[:, 5:38] = x
    expected = native.linear(x, weight, bias, norm, residual)
    assert torch.equal(native.linear(wide[:, 5:38], weight, bias, norm, residual), expected)
    turned = x.T.contiguous().T
    assert torch.equal(native.linear(turned, weight.T.contiguous().T, bias, norm, residual), expected)
    measured = native.linear(x.view(2, 3, 4, 33), weight, bias, norm, residual.view(2, 3, 4, 17))
    assert torch.equal(measured, expected.view(2, 3, 4, 17))


def test_some_rows_in_any_order(level):
    x, weight, bias, norm, _ = make(24, 33, 17)
    places = torch.tensor([23, 0, 7, 7, 11])
    assert torch.equal(
        native.linear(x, weight, bias, norm, places=places), native.linear(x[places], weight, bias, norm)
    )
    close(native.linear(x, weight, bias, norm, places=places), reference.linear(x, weight, bias, norm, places=places))
    assert native.linear(x, weight, bias, norm, places=places[:0]).shape == (0, 17)
    for wrong in (-1, 24):
        with pytest.raises(ValueError, match="places"):
            native.linear(x, weight, bias, norm, places=torch.tensor([0, wrong]))


def test_what_does_not_fit_is_refused():
    x, weight, bias, norm, residual = make(3, 8, 4)
    with pytest.raises(ValueError, match=r"weight and bias must be \(D, C\)"):
        native.linear(x[:, :7], weight, bias)
    with pytest.raises(ValueError, match="norm must be"):
        native.linear(x, weight, bias, (norm[0][:7], norm[1], norm[2]))
    with pytest.raises(ValueError, match=r"residual must be \(M, D\)"):
        native.linear(x, weight, bias, norm, residual[:2])
