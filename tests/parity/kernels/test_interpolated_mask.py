"""The native mask has the pixels of the reference, to the last bit of the logits behind them."""

from __future__ import annotations

import pytest
import torch

from inter2former.kernels import native, reference


def samples(count, length):
    """Random places of one axis, the last value and whole weights among them."""
    index = torch.randint(0, length, (count,))
    weight = torch.rand(count) * (torch.rand(count) < 0.8)
    index[-1:] = length - 1
    return index.sort().values, weight


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (13, 17), (64, 48)], ids=str)
@pytest.mark.parametrize("original", [(1, 1), (3, 50), (65, 31), (100, 129)], ids=str)
def test_every_level_equals_the_reference(level, size, original):
    torch.manual_seed(size[0] + 100 * original[1])
    rows, columns = samples(original[0], size[0]), samples(original[1], size[1])
    # Around zero, and many zeros among them: what decides is the last bit.
    logits = torch.randint(-2, 3, size) * torch.rand(size).round(decimals=1)
    assert torch.equal(
        native.interpolated_mask(logits, columns, rows), reference.interpolated_mask(logits, columns, rows)
    )


def test_every_number_of_threads_gives_the_same_pixels(threads):
    torch.manual_seed(0)
    rows, columns = samples(100, 13), samples(50, 17)
    logits = torch.randn(13, 17)
    assert torch.equal(
        native.interpolated_mask(logits, columns, rows), reference.interpolated_mask(logits, columns, rows)
    )


def test_rows_with_gaps(level):
    rows, columns = samples(30, 13), samples(40, 17)
    wide = torch.randn(13, 30)
    part = wide[:, 5:22]
    assert torch.equal(
        native.interpolated_mask(part, columns, rows), native.interpolated_mask(part.contiguous(), columns, rows)
    )


def test_what_does_not_fit_is_refused():
    rows, columns = samples(5, 13), samples(5, 17)
    with pytest.raises(ValueError, match=r"rows holds 12; it must be in \[0, 12\)"):
        native.interpolated_mask(torch.zeros(12, 17), columns, rows)
    with pytest.raises(ValueError, match="columns must be as many indices as weights"):
        native.interpolated_mask(torch.zeros(13, 17), (columns[0], columns[1][:3]), rows)
