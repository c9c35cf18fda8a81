"""The windowed ViT on tiny sizes: batched windows equal a loop over windows, whatever the grid."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from inter2former.config import WindowedViTConfig
from inter2former.model.layers import rotary_angles, rotate
from inter2former.model.windowed_vit import Grid, ShiftedWindowAttention, ShiftedWindowBlock, WindowedViT, WindowLayout

TINY = WindowedViTConfig(depth=2, width=32, heads=2, window=4, position_grid=3, scales=(48,), taps=(0, 1), embedding=16)
GRIDS = [(1, 1), (3, 4), (4, 4), (4, 5), (2, 9), (8, 8), (7, 13)]


@pytest.fixture
def make():
    def build(**changed):
        torch.manual_seed(0)
        encoder = WindowedViT(dataclasses.replace(TINY, **changed))
        for name, parameter in encoder.named_parameters():
            if name.endswith(("positions", "padding")):  # zero at the start, which would hide where they go
                torch.nn.init.normal_(parameter)
        return encoder.requires_grad_(False)

    return build


@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 80), (64, 64), (208, 112)])
def test_sizes(make, height, width):
    features = make()(torch.randn(2, 3, height, width))
    assert features.embedding.shape == (2, 16, height // 16, width // 16)
    assert features.skips == ()


def test_a_side_that_is_no_multiple_of_the_patch_is_refused(make):
    with pytest.raises(ValueError, match="image is 64x72; both sides must be multiples of 16: pad it"):
        make()(torch.zeros(1, 3, 64, 72))


def test_samples_do_not_mix(make):
    encoder, images = make(), torch.randn(2, 3, 96, 80)
    both, alone = encoder(images).embedding, encoder(images[1:]).embedding
    torch.testing.assert_close(both[1:], alone, rtol=1e-4, atol=1e-5)


def test_a_tap_is_the_tokens_after_that_block(make):
    encoder, image = make(taps=(1,)), torch.randn(1, 3, 64, 96)
    tokens = list(encoder.block_tokens(image))
    assert [tuple(each.shape) for each in tokens] == [(1, 4 * 6 + 3 * 3, 32)] * 2
    fused = encoder.fusions[0](tokens[1], encoder.grids(image))
    torch.testing.assert_close(encoder.norm(encoder.smooth(fused)), encoder(image).embedding)


def test_gradients_reach_every_parameter(make):
    encoder = make().requires_grad_(True)
    encoder(torch.randn(1, 3, 80, 112)).embedding.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in encoder.parameters())


def test_a_table_of_the_grids_size_is_added_as_it_is(make):
    encoder, image = make(scales=()), torch.zeros(1, 3, 48, 48)
    tokens = encoder._embed(image, Grid(3, 3))
    torch.testing.assert_close(tokens, encoder.positions[:, 1:] + encoder.patches.bias)


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("grid", GRIDS)
def test_windows_hold_every_token_once_and_give_it_back(grid, shift):
    layout = WindowLayout.over(Grid(*grid), window=4, shift=shift)
    tokens = torch.arange(1.0, 1 + 2 * layout.grid.area).view(2, -1, 1)
    windows = layout.windows(tokens, torch.zeros(1, 1))
    assert windows.shape == (2 * layout.rows * layout.columns, 16, 1)
    assert windows[windows > 0].sort().values.tolist() == tokens.flatten().tolist()
    assert torch.equal(layout.tokens(windows), tokens)


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("grid", GRIDS)
def test_strips_are_the_rows_of_windows(grid, shift):
    layout = WindowLayout.over(Grid(*grid), window=4, shift=shift)
    tokens, fill = torch.randn(2, layout.grid.area, 3), torch.randn(1, 3)
    strips = layout.strips()
    assert len(strips) == layout.rows
    parts = tokens.split([strip.grid.area for strip in strips], dim=1)
    rows = [strip.windows(part, fill).unflatten(0, (2, -1)) for strip, part in zip(strips, parts, strict=True)]
    assert torch.equal(torch.cat(rows, dim=1), layout.windows(tokens, fill).unflatten(0, (2, -1)))


# Matrix products of other sizes may sum in another order.
@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("grid", GRIDS)
def test_a_block_in_strips_equals_the_whole_block(grid, shift):
    torch.manual_seed(2)
    block = ShiftedWindowBlock(TINY, shift=shift)
    torch.nn.init.normal_(block.attention.padding)
    grids = (Grid(*grid), Grid(3, 3))
    tokens = torch.randn(2, sum(each.area for each in grids), TINY.width)
    whole = block(tokens, grids)
    assert whole.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(block(tokens, grids), whole, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("grid", GRIDS)
def test_attention_equals_a_loop_over_windows(grid, shift):
    torch.manual_seed(1)
    attention = ShiftedWindowAttention(32, heads=2, window=4, shift=shift, rotary_scale=0.5).requires_grad_(False)
    torch.nn.init.normal_(attention.padding)
    grids = (Grid(*grid), Grid(3, 3))
    tokens = torch.randn(2, sum(each.area for each in grids), 32)
    expected = torch.cat(
        [
            torch.stack([_by_loop(attention, sample.view(*each, -1)) for sample in part])
            for each, part in zip(grids, tokens.split([each.area for each in grids], dim=1), strict=True)
        ],
        dim=1,
    )
    measured = attention(tokens, attention.layouts(grids), attention.packed_padding())
    torch.testing.assert_close(measured, expected, rtol=1e-4, atol=2e-6)


def _by_loop(attention, plane):
    """One sample of one grid: pad the plane, visit the windows one by one, with positions counted over the plane."""
    side, (height, width, channels) = attention.window, plane.shape
    shift = 0 if height <= side and width <= side else attention.shift
    margin = (side - shift) % side
    rows, columns = (margin + length + -(margin + length) % side for length in (height, width))
    padded = attention.padding.expand(rows, columns, channels).clone()
    padded[margin : margin + height, margin : margin + width] = plane
    angles = rotary_angles(rows, columns, channels // attention.heads).view(rows, columns, -1)
    out = torch.zeros_like(padded)
    for top in range(0, rows, side):
        for left in range(0, columns, side):
            window = (slice(top, top + side), slice(left, left + side))
            out[window] = _attend(attention, padded[window].flatten(0, 1), angles[window].flatten(0, 1)).view(
                side, side, channels
            )
    return attention.project(out[margin : margin + height, margin : margin + width].flatten(0, 1))


def _attend(attention, tokens, angles):
    query, key, value = (
        part.unflatten(-1, (attention.heads, -1)) for part in attention.query_key_value(tokens).chunk(3, dim=-1)
    )
    query, key, value = (x.transpose(0, 1) for x in (rotate(query, angles), rotate(key, angles), value))
    scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    return (F.softmax(scores, dim=-1) @ value).transpose(0, 1).flatten(1)
