"""The prompt encoder and the mask decoder of Segment Anything, on random weights: laws that hold for any."""

from __future__ import annotations

import math

import pytest
import torch

from inter2former.model.sam_decoder import NO_POINT, MaskDecoder, NarrowAttention, Positions, PromptEncoder

WIDTH, GRID = 32, (3, 4)


@pytest.fixture
def prompts():
    torch.manual_seed(0)
    return PromptEncoder(WIDTH, stride=8).requires_grad_(False)


@pytest.fixture
def decoder():
    torch.manual_seed(1)
    return MaskDecoder(WIDTH, heads=4, hidden=48).requires_grad_(False)


def test_positions_are_sines_and_cosines_of_projections():
    positions = Positions(4)
    positions.frequencies.copy_(torch.tensor([[1.0, 0.5], [2.0, -1.0]]))
    x, y = 0.25, 0.875  # -0.5 and 0.75 from the centre, in halves of the image
    angles = [2 * math.pi * (-0.5 * 1.0 + 0.75 * 2.0), 2 * math.pi * (-0.5 * 0.5 - 0.75 * 1.0)]
    expected = torch.tensor([math.sin(angles[0]), math.sin(angles[1]), math.cos(angles[0]), math.cos(angles[1])])
    torch.testing.assert_close(positions(torch.tensor([x, y])), expected)


def test_the_grid_holds_the_centres_of_its_cells_row_by_row(prompts):
    grid = prompts.positions.grid(*GRID)
    centre = prompts.positions(torch.tensor([(1 + 0.5) / 4, (2 + 0.5) / 3]))  # column 1 of row 2
    torch.testing.assert_close(grid[0, 2 * 4 + 1], centre)


def test_a_click_is_its_place_plus_its_kind(prompts):
    points = torch.tensor([[[11.5, 3.5], [11.5, 3.5], [11.5, 3.5]]])
    tokens = prompts(GRID, points, torch.tensor([[1, 0, NO_POINT]])).tokens[0]
    kinds = prompts.kinds.weight
    place = prompts.positions(torch.tensor([12 / 32, 4 / 24]))  # half a pixel is added: sides are 4 * 8 and 3 * 8
    torch.testing.assert_close(tokens, torch.stack((place + kinds[2], place + kinds[1], kinds[0])))


def test_the_previous_mask_is_squeezed_onto_the_grid(prompts):
    points, labels = torch.zeros(2, 1, 2), torch.ones(2, 1, dtype=torch.int64)
    assert prompts(GRID, points, labels).map.shape == (1, WIDTH, 1, 1)
    previous = torch.randn(2, 1, 12, 16)
    squeezed = prompts(GRID, points, labels, previous).map
    assert squeezed.shape == (2, WIDTH, *GRID)
    changed = previous.clone()
    changed[1, 0, 4:8, 8:12] += 1  # the cell in row 1, column 2, and no other
    difference = (prompts(GRID, points, labels, changed).map - squeezed).abs().amax(1) > 0
    assert difference.nonzero().tolist() == [[1, 1, 2]]


def answer(prompts, decoder, embedding, points, labels, previous=None):
    return decoder(embedding, prompts(tuple(embedding.shape[2:]), points, labels, previous))


def test_four_masks_of_four_times_the_grid(prompts, decoder):
    points, labels = 24 * torch.rand(2, 5, 2), torch.randint(0, 2, (2, 5))
    logits, scores = answer(prompts, decoder, torch.randn(2, WIDTH, *GRID), points, labels)
    assert logits.shape == (2, 4, 12, 16)
    assert scores.shape == (2, 4)


def test_samples_do_not_mix(prompts, decoder):
    embedding, previous = torch.randn(2, WIDTH, *GRID), torch.randn(2, 1, 12, 16)
    points, labels = 24 * torch.rand(2, 3, 2), torch.tensor([[1, 0, 1], [0, 1, 1]])
    both = answer(prompts, decoder, embedding, points, labels, previous)
    alone = answer(prompts, decoder, embedding[1:], points[1:], labels[1:], previous[1:])
    for together, single in zip(both, alone, strict=True):
        torch.testing.assert_close(together[1:], single, rtol=1e-4, atol=1e-5)


def test_the_order_of_the_clicks_does_not_matter(prompts, decoder):
    embedding, points, labels = torch.randn(1, WIDTH, *GRID), 24 * torch.rand(1, 3, 2), torch.tensor([[1, 0, 0]])
    order = torch.tensor([2, 0, 1])
    for one, other in zip(
        answer(prompts, decoder, embedding, points, labels),
        answer(prompts, decoder, embedding, points[:, order], labels[:, order]),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_what_kind_of_click_it_is_matters(prompts, decoder):
    embedding, points = torch.randn(1, WIDTH, *GRID), 24 * torch.rand(1, 1, 2)
    positive, _ = answer(prompts, decoder, embedding, points, torch.tensor([[1]]))
    negative, _ = answer(prompts, decoder, embedding, points, torch.tensor([[0]]))
    assert float((positive - negative).abs().max()) > 1e-3


def test_gradients_reach_every_parameter(prompts, decoder):
    prompts.requires_grad_(True)
    decoder.requires_grad_(True)
    points, labels = torch.rand(1, 5, 2), torch.tensor([[-1, 0, 1, 2, 3]])
    embedding = torch.randn(1, WIDTH, *GRID)
    with_mask = answer(prompts, decoder, embedding, points, labels, torch.randn(1, 1, 12, 16))
    without = answer(prompts, decoder, embedding, points, labels)
    sum(part.square().sum() for part in (*with_mask, *without)).backward()
    for network in (prompts, decoder):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            # A bias before a softmax over the keys shifts all scores alike.
            assert parameter.grad.abs().max() > 0 or name.endswith("key.bias"), name


def test_attention_equals_its_formula():
    torch.manual_seed(2)
    attention = NarrowAttention(12, 8, heads=2).requires_grad_(False)
    query, key, value = torch.randn(2, 3, 12), torch.randn(2, 5, 12), torch.randn(2, 5, 12)
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        q, k, v = (
            linear(x)[..., head]
            for linear, x in ((attention.query, query), (attention.key, key), (attention.value, value))
        )
        heads.append(torch.softmax(q @ k.transpose(1, 2) / 2, dim=-1) @ v)
    torch.testing.assert_close(attention(query, key, value), attention.project(torch.cat(heads, dim=-1)))
