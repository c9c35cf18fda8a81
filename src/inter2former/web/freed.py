"""Freed memory goes back to the system, where the C library would keep it in pieces."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

__all__ = ["give_back"]


def give_back() -> None:
    """Return what was freed to the system; does nothing where the C library is not glibc, which alone hoards.

    Each encoding allocates and frees some hundred megabytes between tensors that stay; after forty images a third of
    the server's memory was such holes.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found
