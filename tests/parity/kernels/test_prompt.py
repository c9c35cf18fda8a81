"""Boundary marks equal the reference at every token; the prompt embedding equals the dense convolution."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from inter2former.kernels import native, reference

BACKGROUND, UNKNOWN = 1, 2
SIZES = [(16, 16), (16, 48), (80, 16), (96, 112)]


def maps(height, width):
    """Reference maps of all kinds: uniform, random pixels, contours, single pixels at the borders."""
    torch.manual_seed(height + width)
    for state in range(5):
        yield torch.full((height, width), state, dtype=torch.uint8)
    yield torch.randint(0, 5, (height, width), dtype=torch.uint8)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    distance = (y - height / 2) ** 2 + (x - width / 3) ** 2
    discs = torch.full((height, width), 1, dtype=torch.uint8)
    discs[distance < (0.4 * height) ** 2] = 3
    discs[distance < 25] = 4
    yield discs
    for row, column in ((0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1), (height // 2, width // 2)):
        dotted = torch.full((height, width), BACKGROUND, dtype=torch.uint8)
        dotted[row, column] = 4
        yield dotted


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("stride", "reach"), [(16, 3), (8, 0), (16, 15)])
def test_boundary_marks(level, size, stride, reach):
    for states in maps(*size):
        measured = native.boundary_tokens(states, stride=stride, reach=reach, unknown=UNKNOWN)
        expected = reference.boundary_tokens(states, stride=stride, reach=reach, unknown=UNKNOWN)
        assert torch.equal(measured, expected)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("stride", [16, 8])
def test_tokens_with_a_state(level, size, stride):
    for states in maps(*size):
        for sought in ([0], [4], [1, 3], [0, 2, 3, 4], []):
            measured = native.tokens_with(states, stride=stride, states=sought)
            assert torch.equal(measured, reference.tokens_with(states, stride=stride, states=sought))


def make(widths):
    torch.manual_seed(sum(widths))
    channels = (3, *widths)
    weights = tuple(torch.randn(out, into, 3, 3) * (4.5 * into) ** -0.5 for into, out in pairwise(channels))
    return torch.randn(5, 3), weights, tuple(torch.randn(out) for out in widths)


# Up to 1152 products per layer in another order, four layers deep.
def close(measured, expected):
    torch.testing.assert_close(measured, expected, rtol=1e-4, atol=3e-5)


@pytest.mark.parametrize("widths", [(4, 6, 8, 8), (5, 17), (32, 64, 128, 256)], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_embedding(level, size, widths):
    embeddings, weights, biases = make(widths)
    for number, states in enumerate(maps(*size)):
        tokens = torch.randn(size[0] >> len(widths), size[1] >> len(widths), widths[-1]) if number % 2 else None
        if tokens is not None and number % 4 == 1:  # a part of wider rows
            tokens = torch.cat((tokens, torch.full_like(tokens[:, :2], torch.nan)), dim=1)[:, : tokens.shape[1]]
        arguments = states, BACKGROUND, embeddings, weights, biases, tokens
        close(native.embed_prompt(*arguments), reference.embed_prompt(*arguments))


def test_every_number_of_threads_gives_the_same_bits(threads):
    *_, states = (states for number, states in enumerate(maps(96, 112)) if number < 7)
    arguments = states, BACKGROUND, *make((8, 16, 24, 32))
    measured = native.embed_prompt(*arguments)
    marks = native.boundary_tokens(states, stride=16, reach=3, unknown=UNKNOWN)
    torch.set_num_threads(1)
    assert torch.equal(measured, native.embed_prompt(*arguments))
    assert torch.equal(marks, native.boundary_tokens(states, stride=16, reach=3, unknown=UNKNOWN))
    holding = native.tokens_with(states, stride=16, states=[3])
    torch.set_num_threads(threads)
    assert torch.equal(holding, native.tokens_with(states, stride=16, states=[3]))


def test_rows_with_gaps(level):
    wide = torch.randint(0, 5, (48, 100), dtype=torch.uint8)
    states = wide[:, 7:71]
    arguments = BACKGROUND, *make((4, 6, 8, 8))
    assert torch.equal(native.embed_prompt(states, *arguments), native.embed_prompt(states.contiguous(), *arguments))
    marks = [native.boundary_tokens(x, stride=16, reach=3, unknown=UNKNOWN) for x in (states, states.contiguous())]
    assert torch.equal(*marks)
    assert torch.equal(*(native.tokens_with(x, stride=8, states=[4]) for x in (states, states.contiguous())))


def test_what_does_not_fit_is_refused():
    embeddings, weights, biases = make((4, 6, 8, 8))
    states = torch.ones(32, 32, dtype=torch.uint8)
    states[9, 9] = 5
    with pytest.raises(ValueError, match=r"reference_map must be made of states 0\.\.4"):
        native.embed_prompt(states, BACKGROUND, embeddings, weights, biases)
    with pytest.raises(ValueError, match="both sides multiples of 2"):
        native.embed_prompt(states[:24], BACKGROUND, embeddings, weights, biases)
    with pytest.raises(ValueError, match="those of 2 to 8 layers"):
        native.embed_prompt(states, BACKGROUND, embeddings, weights[:1], biases[:1])
    with pytest.raises(ValueError, match=r"reach must be in \[0, stride\)"):
        native.boundary_tokens(states, stride=16, reach=16, unknown=UNKNOWN)
    for state in (-1, 5):
        with pytest.raises(ValueError, match=r"states must be states 0\.\.4"):
            native.tokens_with(states, stride=16, states=[state])
