"""Where the network computes: checked before use, and in full float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["full_precision", "usable_device"]


def usable_device(name: str | torch.device) -> torch.device:
    """A device by its name, such as "cpu", "cuda" or "cuda:1".

    Raises:
        ValueError: there is no such device, or this PyTorch cannot use it.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    # What torch raises depends on how it was built.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # Of a backend that was left out PyTorch goes on to list all the others.
        reason = str(error).splitlines()[0].split(". ")[0]
        raise ValueError(f"cannot compute on the device {str(name)!r}: {reason}; use cpu") from error
    return device


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Convolve in float32 on a GPU inside the block, where PyTorch by default rounds to the 10 bits of TF32.

    TF32 moves mask logits by more than a hundredth; a mask should not depend on the device.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
