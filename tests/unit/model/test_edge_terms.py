"""Edge terms in one pass equal the convolved edge maps."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from inter2former import kernels
from inter2former.config import EdgeConfig
from inter2former.model.edge_encoder import EdgeEncoder
from inter2former.model.edge_terms import edge_terms, edge_terms_after, skip_nets, skip_terms

HEIGHT, WIDTH = 32, 48


def make(depths, skips, *, batch=1):
    torch.manual_seed(len(depths) + sum(skips))
    encoder = EdgeEncoder(EdgeConfig(planes="colour", depths=depths, skips=skips, norm="none")).requires_grad_(False)
    for lateral in (*encoder.laterals, *encoder.skip_laterals.values()):
        nn.init.normal_(lateral.weight, std=lateral.in_channels**-0.5)  # zero as built
        nn.init.normal_(lateral.bias)
    convolutions = [nn.Conv2d(4 ** (level + 1), 4**level, 3, padding=1).requires_grad_(False) for level in range(4)]
    maps = tuple(
        torch.randn(batch, channels, HEIGHT >> level, WIDTH >> level).to(memory_format=torch.channels_last)
        for level, channels in enumerate(skips)
        if channels
    )
    return encoder, convolutions, torch.randn(batch, 3, HEIGHT, WIDTH), maps


# Sums of up to 1161 products in another order, and weights that were multiplied first.
@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize(
    ("depths", "skips", "batch"),
    [((1, 0), (0, 32, 64, 128), 1), ((1, 0), (0, 8, 6, 5), 2), ((2, 1), (4, 0, 8, 8), 1), ((0,), (0, 3, 4, 5), 1)],
)
def test_equal_to_the_convolved_maps(depths, skips, batch, reference):
    encoder, convolutions, image, maps = make(depths, skips, batch=batch)
    expected = [layer(edges) for layer, edges in zip(convolutions[::-1], encoder(image, maps), strict=True)]
    with kernels.reference_only() if reference else nullcontext():
        at_once = edge_terms(encoder, convolutions, image, maps)
        shares = skip_terms(skip_nets(encoder, convolutions), maps)
        in_two_steps = edge_terms_after(encoder, convolutions, image, shares)
    for measured in (at_once, in_two_steps):
        assert len(measured) == len(expected)
        for one, other in zip(measured, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-5)
