"""What this machine is, how much memory the process took of it, and how many of its threads compute."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import torch

if sys.platform != "win32":
    import resource

__all__ = ["multiplies_bfloat16", "peak_memory", "processor", "use_threads"]


def processor() -> str:
    """The processor's name as the system states it, "unknown" where it does not."""
    return _cpuinfo("model name") or platform.processor() or "unknown"


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for products of bfloat16; False where the system does not state them."""
    # x86 says flags and Arm says features.
    features = (_cpuinfo("flags") or _cpuinfo("features")).split()
    return any(feature in features for feature in ("avx512_bf16", "amx_bf16", "bf16"))


def peak_memory() -> int:
    """Greatest resident memory of this process so far, in bytes; 0 on Windows, where it is not known."""
    if sys.platform == "win32":
        return 0
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def use_threads(threads: int | None) -> None:
    """Set the threads of the whole process's tensor operations; None leaves them as they are.

    Raises:
        ValueError: less than one.
    """
    if threads is not None:
        if threads < 1:
            raise ValueError(f"threads is {threads}; it must be at least 1")
        torch.set_num_threads(threads)


def _cpuinfo(key: str) -> str:
    """The first value of a key in Linux's description of the processors; empty where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.lower().startswith(key)), "")
