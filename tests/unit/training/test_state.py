"""The mean of the weights, and the state of a run on disk."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from inter2former.errors import WeightsError
from inter2former.training.state import RunState, WeightMean


def test_the_mean_follows_the_weights_faster_at_the_start():
    module = nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(0.0)
    mean = WeightMean(module, decay=0.5)
    expected = 0.0
    for step in range(1, 30):
        module.weight.data.fill_(float(step))
        mean.update(module)
        decay = min(0.5, step / (step + 10))
        expected = decay * expected + (1 - decay) * step
        assert mean.tensors["weight"].item() == pytest.approx(expected)


def test_whole_numbers_are_copied():
    module = nn.Module()
    module.register_buffer("count", torch.tensor(3))
    mean = WeightMean(module, decay=0.9)
    module.count.fill_(8)
    mean.update(module)
    assert mean.tensors["count"].item() == 8


def test_the_mean_does_not_share_memory():
    module = nn.Linear(2, 2)
    mean = WeightMean(module, decay=0.9)
    before = mean.tensors["weight"].clone()
    module.weight.data.add_(1)
    assert torch.equal(mean.tensors["weight"], before)


def test_a_state_comes_back(tmp_path):
    network = {"weight": torch.randn(2, 3)}
    optimiser = {"state": {0: {"step": torch.tensor(4.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    RunState(4, network, optimiser, {"weight": torch.zeros(2, 3)}, 4).save(tmp_path / "state.pt")
    state = RunState.load(tmp_path / "state.pt")
    assert (state.step, state.mean_updates, state.optimiser) == (4, 4, optimiser)
    assert torch.equal(state.network["weight"], network["weight"])
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_what_is_no_state_is_refused(tmp_path):
    path = tmp_path / "state.pt"
    message = r"state\.pt is no training state that can be resumed; delete it to begin anew"
    RunState(4, {"weight": torch.randn(64, 64)}, {}, {}, 4).save(path)
    whole = path.read_bytes()
    for content in (b"", b"not a state at all", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=message):
            RunState.load(path)
    for other in ({"step": 3}, torch.ones(3), RunState):
        torch.save(other, path)
        with pytest.raises(WeightsError, match=message):
            RunState.load(path)
