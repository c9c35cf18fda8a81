"""Local upsampling: a crop equals the whole map, and the box grows until it holds the object."""

from __future__ import annotations

import pytest
import torch

from inter2former.config import DecoderConfig
from inter2former.model.boxes import Box, tight_box
from inter2former.model.upsampling import STRIDE, LocalUpsampling

HEIGHT, WIDTH = 9, 11
LOCAL = {"upsampling_norm": "token", "interpolation": "bilinear", "box_halo": 2}


def make(seed=0, **settings):
    torch.manual_seed(seed)
    head = LocalUpsampling(DecoderConfig(**{**LOCAL, **settings})).requires_grad_(False)
    x = torch.randn(1, head.config.width, HEIGHT, WIDTH)
    edges = tuple(
        torch.randn(1, head.config.width // 4**level, HEIGHT * 2 ** (level + 1), WIDTH * 2 ** (level + 1))
        for level in range(4)
    )
    return head, x, edges


@pytest.mark.parametrize(
    "box",
    [
        Box(4, 3, 7, 6),  # inside
        Box(5, 4, 6, 5),  # one token
        Box(0, 0, 3, 2),  # corners
        Box(8, 7, WIDTH, HEIGHT),
        Box(1, 1, 10, 8),  # a rim narrower than the halo
        Box(0, 4, WIDTH, 5),  # across
        Box(0, 0, WIDTH, HEIGHT),
    ],
)
def test_box_equals_the_crop_of_the_whole_map(box):
    head, x, edges = make()
    local = head.upsample_box(x, head.prepare(edges), box)
    assert local.box == box.scaled(STRIDE)
    whole = head.upsample_all(x, edges)[0, 0]
    torch.testing.assert_close(local.logits, whole[local.box.rows, local.box.columns], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [{"box_halo": 1}, {"upsampling_norm": "group"}])
def test_each_setting_is_needed_for_that(settings):
    head, x, edges = make(**settings)
    local = head.upsample_box(x, head.prepare(edges), Box(4, 3, 7, 6))
    whole = head.upsample_all(x, edges)[0, 0]
    assert (local.logits - whole[local.box.rows, local.box.columns]).abs().max() > 1e-4


def test_outside_the_box_there_is_background():
    head, x, edges = make()
    local = head.upsample_box(x, head.prepare(edges), Box(4, 3, 7, 6))
    plane = local.pasted(STRIDE * HEIGHT, STRIDE * WIDTH)
    assert torch.equal(plane[local.box.rows, local.box.columns], local.logits)
    assert (plane == -100).sum() == plane.numel() - local.logits.numel()


def quiet(head, x, edges, *, seen, object_box):
    """A head whose coarse net finds only the token `seen`, over a map whose logits are positive in `object_box`."""
    for layer in head.coarse:
        layer.weight.zero_()
        layer.bias.zero_()
    # One channel carries the coarse logit, through SiLUs that are the identity on numbers this large.
    for layer in head.coarse[:-1]:
        layer.weight[0, 0] = 1.0
    head.coarse[-1].weight[0, 0] = 1.0
    head.coarse[-1].bias.fill_(-50.0)
    x.zero_()
    x[0, 0, seen[0], seen[1]] = 100.0
    for stage in head.upsamplers:
        stage.norm.weight.zero_()
        stage.norm.bias.zero_()
        stage.conv.weight.zero_()
        stage.conv.bias.zero_()
    head.upsamplers[-1].conv.weight[0, 0, 1, 1] = 1.0
    for edge in edges:
        edge.zero_()
    edges[-1].fill_(-1.0)
    pixels = object_box.scaled(STRIDE)
    edges[-1][:, :, pixels.rows, pixels.columns] = 1.0


@pytest.mark.parametrize(
    "object_box",
    [
        Box(4, 3, 7, 6),
        Box(0, 3, WIDTH, 6),
        Box(3, 0, 7, HEIGHT),
        Box(0, 0, WIDTH, HEIGHT),
        Box(2, 3, 8, 5),
    ],
)
def test_box_grows_until_it_holds_the_object(object_box):
    head, x, edges = make(box_margin=1)
    quiet(head, x, edges, seen=(4, 5), object_box=object_box)
    assert tight_box(head.coarse_logits(x)[0, 0] > head.config.box_threshold) == Box(5, 4, 6, 5)
    (local,) = head(x, head.prepare(edges))
    expected = tight_box(head.upsample_all(x, edges)[0, 0] > 0)
    found = tight_box(local.pasted(STRIDE * HEIGHT, STRIDE * WIDTH) > 0)
    assert found == expected == object_box.scaled(STRIDE)


def test_no_foreground_is_left_on_an_inner_rim():
    grown_and_cut = 0
    for seed in range(20):
        head, x, edges = make(seed, box_margin=1)
        quiet(head, x, edges, seen=(4, 5), object_box=Box(5, 4, 6, 5))
        # Rectangles of foreground anywhere; only those that the growing box touches need to be inside.
        for _ in range(3):
            top, left = int(torch.randint(STRIDE * HEIGHT, ())), int(torch.randint(STRIDE * WIDTH, ()))
            edges[-1][:, :, top : top + 25, left : left + 25] = 1.0
        (local,) = head(x, head.prepare(edges))
        mask, box = local.logits > 0, local.box
        rims = (
            (box.left > 0, mask[:, 0]),
            (box.top > 0, mask[0]),
            (box.right < STRIDE * WIDTH, mask[:, -1]),
            (box.bottom < STRIDE * HEIGHT, mask[-1]),
        )
        assert not any(bool(rim.any()) for inner, rim in rims if inner), seed
        grown_and_cut += Box(4, 3, 7, 6).scaled(STRIDE).area < box.area < STRIDE**2 * HEIGHT * WIDTH
    assert grown_and_cut >= 3


def test_without_a_margin_the_box_stays_where_the_coarse_net_puts_it():
    head, x, edges = make(box_margin=0)
    quiet(head, x, edges, seen=(4, 5), object_box=Box(0, 0, WIDTH, HEIGHT))
    (local,) = head(x, head.prepare(edges))
    assert local.box == Box(5, 4, 6, 5).scaled(STRIDE)


def test_box_holds_the_required_tokens():
    head, x, edges = make(box_margin=0)
    quiet(head, x, edges, seen=(4, 5), object_box=Box(5, 4, 6, 5))
    required = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    required[0, 7, 2] = True
    (local,) = head(x, head.prepare(edges), required)
    assert local.box == Box(2, 4, 6, 8).scaled(STRIDE)


def test_nothing_found_means_the_whole_grid():
    head, x, edges = make(box_threshold=1e9)
    (local,) = head(x, head.prepare(edges))
    assert local.box == Box(0, 0, STRIDE * WIDTH, STRIDE * HEIGHT)


def test_coarse_net_does_not_shape_the_tokens():
    head, x, _ = make()
    head.requires_grad_(True)
    x.requires_grad_(True)
    head.coarse_logits(x).sum().backward()
    assert x.grad is None
    assert head.coarse[0].weight.grad is not None
