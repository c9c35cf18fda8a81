"""The network as a whole: its two forms agree, and a click is always inside the box."""

from __future__ import annotations

import copy

import pytest
import torch

from inter2former.config import preset
from inter2former.model.inter2former import EncodedImage, Inter2Former

HEIGHT, WIDTH = 96, 128
CLICK = (70, 20)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Inter2Former(preset("inter2former-t")).requires_grad_(False)


@pytest.fixture
def encoded():
    torch.manual_seed(1)
    edges = [torch.randn(1, 256 // 4**level, HEIGHT // 8 * 2**level, WIDTH // 8 * 2**level) for level in range(4)]
    return EncodedImage(torch.randn(1, 256, HEIGHT // 16, WIDTH // 16), tuple(edges))


@pytest.fixture
def reference_map():
    states = torch.ones(1, 1, HEIGHT, WIDTH, dtype=torch.uint8)
    states[..., 50:90, 10:40] = 3
    states[..., CLICK[0], CLICK[1]] = 4
    return states


def test_maps_of_an_image_have_the_promised_sizes(network):
    encoded = network.encode(torch.randn(1, 3, HEIGHT, WIDTH))
    assert encoded.embedding.shape == (1, 256, HEIGHT // 16, WIDTH // 16)
    assert [tuple(edges.shape) for edges in encoded.edges] == [
        (1, 64, HEIGHT // 8, WIDTH // 8),
        (1, 16, HEIGHT // 4, WIDTH // 4),
        (1, 4, HEIGHT // 2, WIDTH // 2),
        (1, 1, HEIGHT, WIDTH),
    ]


# Crops and whole planes, codes and tokens sum the same values in another order.
def test_inference_equals_the_crop_of_training(network, encoded, reference_map):
    (local,) = network.decode(network.prepared(encoded), reference_map)
    whole = network.forward_training(encoded, reference_map).logits[0, 0]
    torch.testing.assert_close(local.logits, whole[local.box.rows, local.box.columns], rtol=1e-4, atol=2e-5)


def test_box_holds_the_click_even_where_the_coarse_net_sees_nothing(network, encoded, reference_map):
    changed = copy.deepcopy(network)
    coarse = changed.upsampling.coarse_logits(changed.prompted_tokens(encoded, reference_map))
    # Just so far down that the best token alone is found, which is elsewhere; and no foreground, so no box grows.
    changed.upsampling.coarse[-1].bias += changed.config.decoder.box_threshold - coarse.max() + 1e-4
    changed.upsampling.upsamplers[-1].conv.bias -= 50
    assert divmod(int(coarse.argmax()), WIDTH // 16) != (CLICK[0] // 16, CLICK[1] // 16)
    (local,) = changed.decode(changed.prepared(encoded), reference_map)
    assert local.box.top <= CLICK[0] < local.box.bottom
    assert local.box.left <= CLICK[1] < local.box.right
