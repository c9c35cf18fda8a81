"""Counting operations: those that PyTorch carries out, not those that a formula expects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from inter2former import kernels

__all__ = ["count_operations"]


def count_operations(function: Callable[[], object]) -> int:
    """Additions and multiplications of the matrix products, convolutions and attention calls inside a call.

    Two for each product and its sum. Not counted: norms, activations, softmax, resizing, gathering and table look-ups.
    The reference kernels run meanwhile, because what happens inside a native kernel is out of PyTorch's sight.
    """
    counter = FlopCounterMode(display=False, custom_mapping=_MISSING)
    with kernels.reference_only(), counter:
        function()
    return counter.get_total_flops()


def _attention(query: Any, key: Any, value: Any, *args: object, **kwargs: object) -> int:  # noqa: ANN401 - shapes
    return int(sdpa_flop_count(query, key, value))


# PyTorch counts attention on a GPU and forgets the call that takes its place on a CPU.
_MISSING = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}
