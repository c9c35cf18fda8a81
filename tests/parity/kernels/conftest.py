"""Each test here runs once per level of the instruction set that this processor has."""

from __future__ import annotations

import pytest
import torch

from inter2former.kernels import _native


@pytest.fixture(params=_native.levels())
def level(request):
    """A level of the instruction set, in force during the test."""
    before = _native.level()
    _native.set_level(request.param)
    yield request.param
    _native.set_level(before)


@pytest.fixture(params=[1, 2, 3, 4], ids=lambda count: f"{count} threads")
def threads(request, torch_threads):
    """Every number of threads, in force during the test."""
    torch.set_num_threads(request.param)
    return request.param


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield
