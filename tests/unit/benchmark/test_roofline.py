"""The floor of a stage is the slower of its operations and its bytes."""

from __future__ import annotations

import torch
from torch import nn

from inter2former.benchmark.roofline import Rates, Stage, floor_of, measured_rates


def test_floor_of_a_product():
    left, right = torch.ones(8, 16), torch.ones(16, 4)
    stage = Stage(lambda: left @ right, (left, right))
    floor = floor_of(stage, Rates(1000.0, 1e12))
    assert floor.operations == 2 * 8 * 16 * 4
    assert floor.bytes == 4 * (8 * 16 + 16 * 4 + 8 * 4)
    assert floor.milliseconds == 1024.0
    assert floor_of(stage, Rates(1e12, 896.0)).milliseconds == 1000.0


def test_weights_and_what_is_made_are_counted_wherever_they_are():
    layer, x = nn.Linear(3, 5), torch.ones(2, 3)
    floor = floor_of(Stage(lambda: [layer(x), (layer(x),)], (x, layer)), Rates(1.0, 1.0))
    assert floor.bytes == 4 * (6 + 20 + 10 + 10)


def test_what_is_counted_may_be_another_call():
    x = torch.ones(4, 4)
    floor = floor_of(Stage(lambda: x, (x,), counted=lambda: x @ x), Rates(1.0, 1.0))
    assert (floor.operations, floor.bytes) == (128, 128)


def test_rates_of_this_machine():
    rates = measured_rates(torch.device("cpu"))
    assert rates.operations > 1e8
    assert rates.bytes > 1e7
