"""Operations are counted where they happen, attention on a CPU and native kernels included."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from inter2former import kernels
from inter2former.benchmark.counting import count_operations


def test_products_convolutions_and_attention():
    x, weight = torch.randn(5, 7), torch.randn(3, 7)
    assert count_operations(lambda: F.linear(x, weight)) == 2 * 5 * 7 * 3
    image, kernel = torch.randn(1, 2, 8, 9), torch.randn(4, 2, 3, 3)
    assert count_operations(lambda: F.conv2d(image, kernel, padding=1)) == 2 * 4 * 2 * 9 * 72
    query, key = torch.randn(1, 2, 6, 8), torch.randn(1, 2, 11, 8)
    assert count_operations(lambda: F.scaled_dot_product_attention(query, key, key)) == 2 * 2 * 2 * 6 * 11 * 8
    assert count_operations(lambda: F.gelu(x)) == 0


def test_kernels_do_not_hide():
    x, weight, bias = torch.randn(5, 8), torch.randn(4, 8), torch.randn(4)
    with torch.inference_mode():
        assert count_operations(lambda: kernels.linear(x, weight, bias)) == 2 * 5 * 8 * 4
