"""The native upsampler equals the reference on grids and boxes of all kinds."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from inter2former.kernels import native, reference

WIDTHS = (256, 64, 16, 4, 1)
EPSILON = 1e-5

# (h, w) of the grid and left, top, right, bottom of the box.
CASES = [
    (1, 1, (0, 0, 1, 1)),
    (1, 2, (1, 0, 2, 1)),
    (2, 1, (0, 0, 1, 2)),
    (3, 17, (0, 0, 17, 3)),
    (9, 11, (0, 0, 11, 9)),  # the whole grid
    (9, 11, (4, 3, 7, 6)),  # inside
    (9, 11, (5, 4, 6, 5)),  # one token
    (9, 11, (0, 0, 3, 2)),  # corners
    (9, 11, (8, 7, 11, 9)),
    (9, 11, (1, 1, 10, 8)),  # a rim narrower than what the stages reach
    (9, 11, (0, 4, 11, 5)),  # across
    (13, 37, (2, 5, 36, 9)),
]


def make(height, width, *, layout=torch.contiguous_format):
    torch.manual_seed(100 * height + width)
    tokens = 3 * torch.randn(height, width, WIDTHS[0]) + 1
    weights = tuple(torch.randn(out, into, 3, 3) * (9 * into) ** -0.5 for into, out in pairwise(WIDTHS))
    scales = tuple(torch.rand(into) + 0.5 for into in WIDTHS[:-1])
    shifts = tuple(torch.randn(into) for into in WIDTHS[:-1])
    terms = tuple(torch.randn(out, height << s, width << s) for s, out in enumerate(WIDTHS[1:], 1))
    return tokens, EPSILON, weights, scales, shifts, terms


# 2304 products are summed in another order: the error of a sum of n numbers grows with sqrt(n) * 2^-24, 3e-6 of values
# around 1, four times over.
def close(measured, expected):
    torch.testing.assert_close(measured, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_level_equals_the_reference(level, case):
    height, width, box = case
    arguments = make(height, width)
    close(native.upsample(*arguments, box), reference.upsample(*arguments, box))


def test_every_number_of_threads_gives_the_same_bits(threads):
    arguments = make(9, 11)
    alone = torch.empty(0)
    for count in (1, threads):
        torch.set_num_threads(count)
        logits = native.upsample(*arguments, (1, 1, 10, 8))
        alone = logits if count == 1 else alone
    assert torch.equal(logits, alone)


def test_crop_has_the_bits_of_the_whole(level):
    arguments = make(9, 11)
    whole = native.upsample(*arguments, (0, 0, 11, 9))
    crop = native.upsample(*arguments, (4, 3, 7, 6))
    assert torch.equal(crop, whole[48:96, 64:112])


def test_strides(level):
    tokens, epsilon, weights, scales, shifts, terms = make(5, 6)
    expected = native.upsample(tokens, epsilon, weights, scales, shifts, terms, (1, 1, 5, 4))
    sparse = torch.full((7, 9, 300), torch.nan)
    sparse[1:6, 2:8, 11:267] = tokens
    last = torch.stack((terms[0], terms[0]), dim=-1)[..., 0]  # columns two apart
    rows = terms[1].transpose(0, 1).contiguous().transpose(0, 1)
    weight = weights[2].contiguous(memory_format=torch.channels_last)
    measured = native.upsample(
        sparse[1:6, 2:8, 11:267],
        epsilon,
        (*weights[:2], weight, weights[3]),
        scales,
        shifts,
        (last, rows, *terms[2:]),
        (1, 1, 5, 4),
    )
    assert torch.equal(measured, expected)


def test_a_token_of_one_value_has_no_direction(level):
    arguments = make(3, 3)
    arguments[0][1, 1] = 7.0
    close(native.upsample(*arguments, (0, 0, 3, 3)), reference.upsample(*arguments, (0, 0, 3, 3)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"box": (0, 0, 4, 3)}, "box must be left, top, right, bottom in tokens"),
        ({"box": (2, 0, 2, 3)}, "box must be left, top, right, bottom in tokens"),
        ({"scales": 1}, "scales and shifts must be one number per channel"),
        ({"weights": 1}, "weights must be"),
        ({"terms": 1}, "terms must be"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    names = ("tokens", "epsilon", "weights", "scales", "shifts", "terms", "box")
    arguments = dict(zip(names, (*make(3, 3), (0, 0, 3, 3)), strict=True))
    for name, value in change.items():
        arguments[name] = value if name == "box" else tuple(reversed(arguments[name]))
    with pytest.raises(ValueError, match=message):
        native.upsample(**arguments)
