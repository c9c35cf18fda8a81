"""Devices are checked before use; full precision is switched on for a GPU alone and off again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from inter2former.device import full_precision, usable_device


def test_a_device_that_is_there():
    assert usable_device("cpu") == torch.device("cpu")
    assert usable_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("name", ["meta", "cuda:99", "toaster"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(ValueError, match=f"cannot compute on the device '{name}': .*; use cpu"):
        usable_device(name)


def test_the_reason_is_one_sentence(monkeypatch):
    def refuse(*shape, device):
        raise NotImplementedError(
            "Could not run 'aten::empty' with arguments from the 'MPS' backend. This could be " * 9
        )

    monkeypatch.setattr(torch, "zeros", refuse)
    with pytest.raises(ValueError, match=r"^cannot compute on the device 'mps': Could not [^.]* backend; use cpu$"):
        usable_device("mps")


@pytest.mark.parametrize(("kind", "inside"), [("cuda", False), ("cpu", True)])
def test_full_precision_lasts_for_the_block(kind, inside, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    with full_precision(SimpleNamespace(type=kind)):
        assert torch.backends.cudnn.allow_tf32 is inside
    assert torch.backends.cudnn.allow_tf32 is True
    with pytest.raises(KeyError), full_precision(SimpleNamespace(type=kind)):
        raise KeyError
    assert torch.backends.cudnn.allow_tf32 is True
