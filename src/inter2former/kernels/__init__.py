"""The operations that a native kernel may replace: one table from operation to implementation, chosen once.

`reference.py` says what each operation computes, in plain PyTorch; `native.py` runs the compiled kernels. These take
float32 tensors on the CPU without gradients. For everything else (training, GPUs, other types) the reference runs; it
is the only one that can. Two environment variables are read at first use:

- `INTER2FORMER_KERNELS`: "native" (the default) or "reference", plain PyTorch everywhere. Without the compiled module,
  "native" is an error and not a quiet fall-back.
- `INTER2FORMER_ISA`: the level of the instruction set that the kernels use: "baseline", "avx2", "avx512", "avx512bf16"
  (the kernels of "avx512": all compute in float32) or, on Arm, "neon". The default is the highest that the processor
  has. `inter2former doctor` prints it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from types import ModuleType
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from inter2former.errors import KernelError
from inter2former.kernels import reference

__all__ = [
    "active",
    "boundary_tokens",
    "code_attention",
    "colour_planes",
    "convolution_net",
    "embed_prompt",
    "expert_mlp",
    "full_attention",
    "hybrid_attention",
    "hybrid_experts",
    "interpolated_mask",
    "level",
    "linear",
    "reference_only",
    "tokens_with",
    "upsample",
]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_SWITCH, _LEVEL = "INTER2FORMER_KERNELS", "INTER2FORMER_ISA"
_suspended: list[object] = []


def active() -> dict[str, str]:
    """Which implementation each operation has on the CPU: "native" or "reference".

    Raises:
        KernelError: as `level`.
    """
    native = _compiled()
    compiled = native.OPERATIONS if native is not None else ()
    return {name: "native" if name in compiled else "reference" for name in reference.OPERATIONS}


def level() -> str | None:
    """The level of the instruction set that the native kernels run at; None where the reference was asked for.

    Raises:
        KernelError: the kernels are not compiled, or an environment variable names what there is not.
    """
    native = _compiled()
    return None if native is None else native.level()


@contextmanager
def reference_only() -> Iterator[None]:
    """Run the reference inside the block, in all threads: for tests and measurements that compare the two."""
    _suspended.append(None)
    try:
        yield
    finally:
        _suspended.pop()


def _operation(definition: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The operation of that definition, carried out by whatever suits its arguments best."""

    @wraps(definition)
    def carry_out(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        native = _compiled()
        if native is None or _suspended or not all(map(_is_plain, (*args, *kwargs.values()))):
            return definition(*args, **kwargs)
        return getattr(native, definition.__name__, definition)(*args, **kwargs)

    return carry_out


def _is_plain(argument: object) -> bool:
    """Whether the kernels can take an argument: tensors on the CPU, real ones in float32, and no gradient to carry."""
    if isinstance(argument, tuple):
        return all(map(_is_plain, argument))
    if not isinstance(argument, Tensor):
        return True
    return (
        argument.device.type == "cpu"
        and (argument.dtype == torch.float32 or not argument.is_floating_point())
        and not (argument.requires_grad and torch.is_grad_enabled())
    )


@cache
def _compiled() -> ModuleType | None:
    """The native implementations at the level that was asked for, or None for the reference."""
    asked = os.environ.get(_SWITCH, "native")
    if asked == "reference":
        return None
    if asked != "native":
        raise KernelError(f"{_SWITCH} is {asked!r}; it must be 'native' or 'reference'")
    try:
        from inter2former.kernels import _native, native
    except ImportError as error:
        raise KernelError(
            f"the native kernels cannot be loaded ({error}); install the package again with a C++ compiler at hand "
            f"(pip install .), or set {_SWITCH}=reference to run on plain PyTorch, several times slower"
        ) from None
    wanted = os.environ.get(_LEVEL)
    if wanted:
        try:
            _native.set_level(wanted)
        except ValueError as error:
            raise KernelError(f"{_LEVEL}: {error}") from None
    return native


boundary_tokens = _operation(reference.boundary_tokens)
code_attention = _operation(reference.code_attention)
colour_planes = _operation(reference.colour_planes)
convolution_net = _operation(reference.convolution_net)
embed_prompt = _operation(reference.embed_prompt)
expert_mlp = _operation(reference.expert_mlp)
full_attention = _operation(reference.full_attention)
hybrid_attention = _operation(reference.hybrid_attention)
hybrid_experts = _operation(reference.hybrid_experts)
interpolated_mask = _operation(reference.interpolated_mask)
linear = _operation(reference.linear)
tokens_with = _operation(reference.tokens_with)
upsample = _operation(reference.upsample)
