"""Counting operations: those that PyTorch carries out, not those that a formula expects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from inter2former import kernels

__all__ = ["count_operations"]


def count_operations(function: Callable[[], object]) -> int:
    """Additions and multiplications of the matrix products, convolutions and attention calls inside a call.

    Two for each product and its sum. Not counted: norms, activations, softmax, resizing, gathering and table look-ups.
    The reference kernels run meanwhile, because what happens inside a native kernel is out of PyTorch's sight.
    """
    counter = _Counter()  # type: ignore[no-untyped-call]
    with kernels.reference_only(), counter:
        function()
    return counter.total


class _Counter(TorchDispatchMode):
    """PyTorch's formulas, but not its `FlopCounterMode`, which imports the compiler: six seconds before it counts."""

    total: int = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to tell the compiler to stay away, PyTorch would import it

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - PyTorch has no type for it
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the operation gives
        kwargs = kwargs or {}
        formula = _FORMULAS.get(func._overloadpacket)
        if formula is None:
            with self:  # in inference an operation arrives whole whose parts have the formulas
                out = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if out is NotImplemented else out
        out = func(*args, **kwargs)
        self.total += formula(*args, **kwargs, out_val=out)
        return out


def _attention(query: Any, key: Any, value: Any, *args: object, **kwargs: object) -> int:  # noqa: ANN401 - tensors
    return int(sdpa_flop_count(query.shape, key.shape, value.shape))


# PyTorch counts attention on a GPU and forgets the call that takes its place on a CPU.
_FORMULAS: dict[Any, Callable[..., int]] = {
    **flop_registry,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
}
