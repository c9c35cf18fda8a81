"""The short way through a 3x3 convolution equals the direct one."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from inter2former.model import winograd
from inter2former.model.winograd import WinogradConvolution, kernel_tiles, winograd_convolution

SIZES = [(1, 1), (2, 3), (4, 4), (5, 8), (9, 4), (13, 22)]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_equals_the_direct_convolution(height, width, memory_format, monkeypatch):
    monkeypatch.setattr(winograd, "STRIP_FLOATS", 36 * 2 * 6 * 5)  # strips of two rows of tiles at a width of 22
    torch.manual_seed(0)
    x = torch.randn(2, 5, height, width, dtype=torch.float64).contiguous(memory_format=memory_format)
    weight, bias = torch.randn(3, 5, 3, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    measured = winograd_convolution(x, kernel_tiles(weight), bias)
    torch.testing.assert_close(measured, F.conv2d(x, weight, bias, padding=1), rtol=1e-10, atol=1e-12)


def test_layer_takes_the_short_way_in_inference_alone(monkeypatch):
    torch.manual_seed(0)
    layer, x = WinogradConvolution(128, 8), torch.randn(1, 128, 12, 10)
    calls = []
    monkeypatch.setattr(winograd, "winograd_convolution", lambda *a: calls.append(a) or winograd_convolution(*a))
    direct = layer(x)
    assert direct.requires_grad
    assert not calls
    with torch.inference_mode():
        # Sums of 1152 products whose terms the transforms make up to ten times larger.
        torch.testing.assert_close(layer(x), direct.detach(), rtol=1e-4, atol=2e-5)
        assert len(calls) == 1
        WinogradConvolution(16, 16)(torch.randn(1, 16, 4, 4))
    assert len(calls) == 1


def test_state_is_that_of_a_convolution():
    assert {k: v.shape for k, v in WinogradConvolution(4, 6).state_dict().items()} == {
        key: value.shape for key, value in torch.nn.Conv2d(4, 6, 3).state_dict().items()
    }
