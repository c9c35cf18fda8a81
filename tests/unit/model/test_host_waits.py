"""How often a GPU would be waited for: operations whose result the host must know before it can go on.

Counted on the CPU, where the same operations run, so that a new one is noticed without a GPU. What is left, and why,
stands in docs/gpu.md.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from inter2former import kernels
from inter2former.config import WindowedViTConfig, preset
from inter2former.model.inter2former import EncodedImage, Inter2Former

WAITING = {
    "_local_scalar_dense",
    "_unique2",
    "bincount",
    "masked_select",
    "nonzero",
    "repeat_interleave.Tensor",
    "unique_consecutive",
    "unique_dim",
}
SIDE = 128

SMALL_ENCODER = WindowedViTConfig(depth=2, width=32, heads=2, window=4, position_grid=3, scales=(48,), taps=(0, 1))


class Waits(TorchDispatchMode):
    """Counts, by name, the operations inside the block that a GPU would be waited for."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # else PyTorch imports its compiler, for seconds, to tell it to stay away

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix("aten::") + (f".{func._overloadname}" if "repeat" in str(func) else "")
        by_flags = name in ("index", "index_put", "index_put_") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if name in WAITING or by_flags:
            self.names[name] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def waits(monkeypatch):
    """A block in which waits are counted; `tolist` is one, and is no operation of its own."""
    counter, tolist = Waits(), torch.Tensor.tolist

    def counted(tensor):
        counter.names["tolist"] += 1
        return tolist(tensor)

    monkeypatch.setattr(torch.Tensor, "tolist", counted)
    return counter


def network(name):
    config = preset(name)
    if name == "inter2former-b":
        config = dataclasses.replace(config, encoder=SMALL_ENCODER)
    torch.manual_seed(0)
    return Inter2Former(config)


def reference_maps(count=1):
    states = torch.ones(count, 1, SIDE, SIDE, dtype=torch.uint8)
    states[..., 40:70, 40:70] = 3
    states[..., 50, 50] = 4
    return states


def encoded(count=1):
    sides = [SIDE // 8 * 2**level for level in range(4)]
    edges = tuple(torch.randn(count, 256 // 4**level, side, side) for level, side in enumerate(sides))
    return EncodedImage(torch.randn(count, 256, SIDE // 16, SIDE // 16), edges)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Places of boundary and interior tokens; experts' loads in two blocks, the box, its rims.
        ("inter2former-t", {"nonzero": 2, "tolist": 4}),
        # The same without rims; the prompt's box, for the prompt and for the boundary rule.
        ("inter2former-b", {"nonzero": 2, "tolist": 5}),
    ],
)
def test_a_click(name, expected, waits):
    built = network(name).eval().requires_grad_(False)
    # Nothing looks like foreground, so that the box is found once and not widened.
    built.upsampling.upsamplers[-1].conv.bias -= 100
    with torch.inference_mode(), kernels.reference_only():
        image = built.prepared(encoded())
        waits.names.clear()
        with waits:
            built.decode(image, reference_maps())
    assert waits.names == expected


@pytest.mark.parametrize("name", ["inter2former-t", "inter2former-b"])
def test_encoding_does_not_wait(name, waits):
    built, image = network(name).eval().requires_grad_(False), torch.randn(1, 3, SIDE, SIDE)
    with torch.inference_mode(), kernels.reference_only(), waits:
        built.encode(image)
    # The taps of a filter, which are on the host.
    assert waits.names == ({"tolist": 1} if name == "inter2former-t" else {})


@pytest.mark.parametrize(
    ("name", "each", "once"),
    [
        # For each sample its places, prompt box and contour; for the batch the experts' loads in two blocks.
        ("inter2former-t", {"nonzero": 3, "tolist": 1}, {"tolist": 2}),
        ("inter2former-b", {"nonzero": 2, "tolist": 2}, {"tolist": 2}),
    ],
)
def test_a_training_step(name, each, once, waits):
    built, count = network(name), 2
    waits.names.clear()
    with waits:
        built.forward_training(encoded(count), reference_maps(count))
    assert waits.names == {key: count * each.get(key, 0) + once.get(key, 0) for key in each}
