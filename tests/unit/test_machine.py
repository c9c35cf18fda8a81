"""The machine has a name, memory is that of this process, threads are set or refused; none of it needs Unix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from inter2former.machine import multiplies_bfloat16, peak_memory, processor, use_threads


def test_the_processor_has_a_name(monkeypatch):
    assert processor()
    monkeypatch.setattr(Path, "read_text", lambda path, **how: "flags: a\nModel Name : Fast 3000 \nmodel name: b\n")
    assert processor() == "Fast 3000"
    monkeypatch.setattr(Path, "read_text", lambda path, **how: "flags: a\n")
    monkeypatch.setattr("platform.processor", lambda: "")
    assert processor() == "unknown"


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("flags\t\t: sse2 avx512_bf16 avx2\n", True),
        ("flags : amx_bf16\n", True),
        ("Features : fp bf16\n", True),
        ("flags : sse2 avx512f\nbugs : avx512_bf16\n", False),
        ("", False),
    ],
)
def test_products_of_bfloat16_are_those_that_the_system_states(monkeypatch, description, expected):
    monkeypatch.setattr(Path, "read_text", lambda path, **how: description)
    assert multiplies_bfloat16() is expected


def test_peak_memory_is_that_of_this_process():
    before = peak_memory()
    block = np.ones(1 << 25, dtype=np.uint8)
    assert 32 << 20 < before <= peak_memory() < 1 << 40
    assert block[0]


def test_threads(torch_threads):
    use_threads(1)
    assert torch.get_num_threads() == 1
    use_threads(None)
    assert torch.get_num_threads() == 1
    with pytest.raises(ValueError, match="threads is 0; it must be at least 1"):
        use_threads(0)
