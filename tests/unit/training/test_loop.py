"""A run can stop at any step and go on as if it had not, and it learns."""

from __future__ import annotations

import dataclasses
import json
import signal

import pytest
import torch

from inter2former.checkpoint import load_tensors
from inter2former.model.moe import HybridMoE
from inter2former.training.clicking import Clicking
from inter2former.training.loop import Trainer
from inter2former.training.state import RunState


class StopsAt:
    """A sampler that interrupts the run while it draws for a step."""

    def __init__(self, sampler, step, number):
        self.sampler, self.step, self.number = sampler, step, number

    def batch(self, step, *, rank=0, processes=1):
        if step == self.step:
            signal.raise_signal(self.number)
        return self.sampler.batch(step, rank=rank, processes=processes)


class LiveSource:
    """The crops of a sampler without their embeddings."""

    def __init__(self, sampler):
        self.sampler = sampler

    def batch(self, step, *, rank=0, processes=1):
        return self.sampler.batch(step, rank=rank, processes=processes)._replace(embedding=None)


@pytest.fixture
def train(new_network, make_sampler, settings, tmp_path):
    """Trains in a folder: `train(name, stop, **changes of settings)`; returns the trainer and what it reported."""

    def call(name, stop=None, number=signal.SIGTERM, live=False, **changes):
        chosen = dataclasses.replace(settings, **changes)
        network = new_network()
        sampler = make_sampler(network, chosen)
        sampler = LiveSource(sampler) if live else sampler
        sampler = sampler if stop is None else StopsAt(sampler, stop, number)
        trainer, reported = Trainer(Clicking(network, chosen), sampler, chosen, tmp_path / name), []
        trainer.run(reported.append)
        return trainer, reported

    return call


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_stop_and_resume_equals_one_go(train, tmp_path):
    train("whole")
    stopped, _ = train("parts", stop=1)
    assert stopped.step == 2
    resumed, _ = train("parts")
    assert resumed.step == 4
    whole, parts = (RunState.load(tmp_path / name / "state.pt") for name in ("whole", "parts"))
    assert (whole.step, whole.mean_updates) == (parts.step, parts.mean_updates) == (4, 4)
    for name in ("network", "mean", "optimiser"):
        torch.testing.assert_close(getattr(whole, name), getattr(parts, name), rtol=0, atol=0)
    weights = [load_tensors(tmp_path / name / "weights.safetensors") for name in ("whole", "parts")]
    torch.testing.assert_close(weights[0][0], weights[1][0], rtol=0, atol=0)
    assert weights[0][1] == weights[1][1] == {"step": "4"}
    masks = [[entry["mask"] for entry in log_of(tmp_path / name)] for name in ("whole", "parts")]
    assert masks[0] == masks[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_the_run(train, tmp_path, number):
    before = signal.getsignal(number)
    trainer, _ = train("run", stop=0, number=number)
    assert trainer.step == 1
    assert RunState.load(tmp_path / "run" / "state.pt").step == 1
    assert (tmp_path / "run" / "weights.safetensors").exists()
    assert signal.getsignal(number) is before


def test_checkpoints_come_as_often_as_asked(train, tmp_path, monkeypatch):
    steps = []
    save = Trainer._save
    monkeypatch.setattr(Trainer, "_save", lambda trainer: (steps.append(trainer.step), save(trainer)))
    train("run", checkpoint_every=3)
    assert steps == [3, 4]


def test_saving_does_not_change_the_run(train, tmp_path):
    train("often", steps=3, checkpoint_every=1)
    train("once", steps=3)
    often, once = (RunState.load(tmp_path / name / "state.pt") for name in ("often", "once"))
    torch.testing.assert_close(often.network, once.network, rtol=0, atol=0)


def test_other_settings_in_the_same_folder_are_refused(train, tmp_path):
    train("run", steps=1)
    with pytest.raises(ValueError, match=r"settings\.json holds other settings than these; train into another folder"):
        train("run", steps=2)
    assert RunState.load(tmp_path / "run" / "state.pt").step == 1


def test_a_network_that_wants_blue_first_is_refused(network, make_sampler, settings, tmp_path):
    sampler = make_sampler(network, settings)
    network.config = dataclasses.replace(network.config, channel_order="bgr")
    with pytest.raises(ValueError, match="channel order is 'bgr' but training feeds red first"):
        Trainer(Clicking(network, settings), sampler, settings, tmp_path / "run")


def test_the_encoder_stays_and_the_rest_moves(train, new_network):
    trainer, reported = train("run")
    assert [(report.step, report.steps) for report in reported] == [(step, 4) for step in (1, 2, 3, 4)]
    assert str(reported[-1]).startswith("mask ")
    assert str(reported[-1]).endswith("  0 min left")
    start, end = new_network().state_dict(), trainer.objective.network.state_dict()
    moved = {key for key, value in end.items() if not torch.equal(value, start[key])}
    parts = {key.partition(".")[0] for key in end}
    assert {key.partition(".")[0] for key in moved} == parts - {"encoder"}


def test_the_loss_goes_down_on_two_discs(train, tmp_path):
    train("run", steps=15, max_extra_clicks=0, box_probability=0.0)
    losses = [entry["mask"] for entry in log_of(tmp_path / "run")]
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])


def moved_parts(trainer, network):
    start, end = network.state_dict(), trainer.objective.network.state_dict()
    return {key.partition(".")[0] for key, value in end.items() if not torch.equal(value, start[key])}


def test_live_batches_are_encoded_by_a_frozen_encoder(train, new_network):
    trainer, _ = train("run", live=True, live_share=1.0, steps=2)
    assert "encoder" not in moved_parts(trainer, new_network())


def test_the_encoder_is_trained_where_it_has_a_rate(train, new_network, tmp_path):
    changes = {"live": True, "live_share": 1.0, "encoder_learning_rate": 1e-3, "steps": 2}
    trainer, _ = train("whole", **changes)
    assert "encoder" in moved_parts(trainer, new_network())
    still = {
        name
        for name, value in new_network().encoder.state_dict().items()
        if torch.equal(value, trainer.objective.network.encoder.state_dict()[name])
    }
    assert not still
    train("parts", stop=0, **changes)
    resumed, _ = train("parts", **changes)
    torch.testing.assert_close(
        resumed.objective.network.state_dict(), trainer.objective.network.state_dict(), rtol=0, atol=0
    )


def gradient_of(trainer):
    """The gradient of the first step, before it is clipped."""
    for group in trainer.adamw.optimiser.param_groups:
        group["params"] = []
    trainer.settings = dataclasses.replace(trainer.settings, clip_norm=1e9)
    trainer._one_step()
    return torch.cat([p.grad.flatten() for p in trainer.adamw.trained if p.grad is not None])


def test_pieces_add_up_to_the_mean_over_their_batches(monkeypatch, new_network, make_sampler, settings, tmp_path):
    # The bias that balances the experts moves once per piece, which changes the choice of the second.
    monkeypatch.setattr(HybridMoE, "balance_rate", 0.0)
    chosen = dataclasses.replace(settings, accumulate=2)
    sampler = make_sampler(new_network(), chosen)
    pieces = [sampler.batch(0, rank=rank, processes=2) for rank in (0, 1)]
    assert [len(piece.image) for piece in pieces] == [1, 1]
    trainer = Trainer(Clicking(new_network(), chosen), sampler, chosen, tmp_path / "pieces")
    found = gradient_of(trainer)
    expected = []
    for number, piece in enumerate(pieces):
        alone = Trainer(Clicking(new_network(), chosen), sampler, chosen, tmp_path / str(number))
        losses = alone.objective.losses(piece, 0, piece=number)
        sum(losses.terms.values()).backward()
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in alone.adamw.trained]
        expected.append(torch.cat([gradient.flatten() for gradient in gradients]))
    assert found.shape == expected[0].shape
    torch.testing.assert_close(found, (expected[0] + expected[1]) / 2, rtol=1e-4, atol=1e-6)


def test_bfloat16_learns_nearly_the_same(train, tmp_path):
    changes = {"live": True, "live_share": 1.0, "encoder_learning_rate": 1e-3, "steps": 2}
    train("single", **changes)
    trainer, _ = train("half", bfloat16=True, **changes)
    assert all(value.dtype == torch.float32 for value in trainer.objective.network.parameters())
    losses = [[entry["mask"] for entry in log_of(tmp_path / name)] for name in ("single", "half")]
    assert losses[0] != losses[1]
    assert losses[1][0] == pytest.approx(losses[0][0], rel=0.02)
    assert losses[1][1] == pytest.approx(losses[0][1], rel=0.2)  # after a step of the optimiser


def test_a_run_of_an_earlier_version_goes_on(train, tmp_path):
    train("run", stop=1)
    path = tmp_path / "run" / "settings.json"
    values = json.loads(path.read_text())
    for name in ("accumulate", "live_share", "bfloat16", "kept_states"):
        del values[name]
    path.write_text(json.dumps(values))
    resumed, _ = train("run")
    assert resumed.step == 4
