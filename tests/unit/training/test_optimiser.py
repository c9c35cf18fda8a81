"""Learning rates: by layer, by step, and nothing trained that should stay."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from inter2former.config import ModelConfig, WindowedViTConfig, preset
from inter2former.model.inter2former import Inter2Former
from inter2former.model.tiny_vit import TinyViT
from inter2former.model.windowed_vit import WindowedViT
from inter2former.training.optimiser import ScheduledAdamW, encoder_layers, schedule
from inter2former.training.settings import TrainingSettings, named_settings


def test_the_schedule_rises_and_falls():
    settings = TrainingSettings(steps=10, warmup_steps=4)
    rates = [schedule(step, settings) for step in range(11)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0])
    squared = dataclasses.replace(settings, decay_power=2.0)
    assert schedule(7, squared) == pytest.approx(0.25)
    assert schedule(1, squared) == 0.5
    assert schedule(0, dataclasses.replace(settings, warmup_steps=0)) == 1


def test_released_settings():
    settings = named_settings("released")
    assert schedule(1499, settings) == schedule(1500, settings) == 1
    assert schedule(0, settings) == pytest.approx(1 / 1500)
    assert schedule(160_000 - 1, settings) == pytest.approx(1 / 158_500)
    assert (settings.learning_rate, settings.weight_decay, settings.encoder_layer_decay) == (1e-4, 0.05, 0.9)
    assert named_settings("laptop") == TrainingSettings()
    with pytest.raises(ValueError, match="unknown settings 'cluster'; there are distil, fine, laptop"):
        named_settings("cluster")


def test_layers_of_the_compact_encoder():
    with torch.device("meta"):
        layers = encoder_layers(TinyViT(preset("inter2former-t").encoder))
    assert layers["stem_in.weight"] == layers["stem_out.bias"] == 0
    assert layers["local_stage.1.reduce.weight"] == 2
    assert layers["merges.0.expand.weight"] == layers["window_stages.0.0.widen.weight"] == 3
    assert layers["window_stages.1.5.widen.weight"] == 10
    assert layers["merges.2.mix.bias"] == layers["window_stages.2.0.norm.weight"] == 11
    assert layers["neck.3.weight"] == 13
    assert set(layers.values()) == set(range(14))


def test_layers_of_the_papers_encoder():
    config = WindowedViTConfig(depth=3, width=64, heads=4, taps=(2,))
    with torch.device("meta"):
        layers = encoder_layers(WindowedViT(config))
    assert layers["patches.weight"] == layers["positions"] == 0
    assert layers["blocks.2.widen.weight"] == 3
    assert {layer for name, layer in layers.items() if not name.startswith(("blocks.", "patches.", "positions"))} == {4}


def rates_of(network, settings):
    adamw = ScheduledAdamW(network, network.encoder, settings)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return adamw, {
        names[id(parameter)]: (peak, group["weight_decay"])
        for group, peak in zip(adamw.optimiser.param_groups, adamw.peaks, strict=True)
        for parameter in group["params"]
    }


def test_a_frozen_encoder_has_no_rate(network, settings):
    adamw, rates = rates_of(network, settings)
    assert not any(name.startswith("encoder.") for name in rates)
    assert not any(parameter.requires_grad for parameter in network.encoder.parameters())
    assert rates["blocks.0.attention.project.weight"] == (3e-3, 0.05)
    assert rates["blocks.0.norm1.bias"] == (3e-3, 0.0)
    assert len(adamw.optimiser.param_groups) == 2


def test_the_encoders_rate_falls_by_layer(network, settings):
    trained = dataclasses.replace(settings, encoder_learning_rate=1e-3, live_share=1.0)
    _, rates = rates_of(network, trained)
    # Stem, one block in each of four stages, and the neck: layers 0 to 5.
    assert rates["encoder.neck.0.weight"] == (1e-3, 0.05)
    assert rates["encoder.window_stages.2.0.widen.weight"][0] == pytest.approx(0.9e-3)
    assert rates["encoder.stem_in.bias"] == (pytest.approx(0.9**5 * 1e-3), 0.0)
    assert rates["blocks.0.norm1.bias"] == (3e-3, 0.0)
    assert set(rates) == {name for name, _ in network.named_parameters()}


def test_the_first_layers_can_stay(network, settings):
    trained = dataclasses.replace(settings, encoder_learning_rate=1e-3, live_share=1.0, encoder_frozen_layers=4)
    _, rates = rates_of(network, trained)
    layers = encoder_layers(network.encoder)
    still = {f"encoder.{name}" for name, layer in layers.items() if layer < 4}
    assert still
    assert set(rates) == {name for name, _ in network.named_parameters()} - still
    assert rates["encoder.window_stages.2.0.widen.weight"][0] == pytest.approx(0.9e-3)
    wanted = {name: parameter.requires_grad for name, parameter in network.encoder.named_parameters()}
    assert wanted == {name: layer >= 4 for name, layer in layers.items()}


def test_more_frozen_layers_than_there_are(network, settings):
    trained = dataclasses.replace(settings, encoder_learning_rate=1e-3, live_share=1.0, encoder_frozen_layers=6)
    with pytest.raises(ValueError, match="encoder_frozen_layers is 6, but the encoder's layers are 0 to 5"):
        ScheduledAdamW(network, network.encoder, trained)


def test_rates_of_the_release():
    config = dataclasses.replace(preset("inter2former-b").encoder, width=64, heads=4)
    with torch.device("meta"):
        network = Inter2Former(ModelConfig(encoder=config))
        _, rates = rates_of(network, named_settings("released"))
    assert rates["encoder.blocks.11.widen.weight"][0] == pytest.approx(1e-4 * 0.9**13)
    assert rates["encoder.blocks.0.widen.weight"][0] == pytest.approx(1e-4 * 0.9**24)
    assert rates["encoder.positions"] == (pytest.approx(1e-4 * 0.9**25), 0.05)
    assert rates["encoder.smooth.weight"][0] == 1e-4


def test_a_step_uses_the_rate_of_its_step(settings):
    parameter = torch.nn.Parameter(torch.zeros(1))
    adamw = ScheduledAdamW.__new__(ScheduledAdamW)
    adamw.settings = dataclasses.replace(settings, steps=10, warmup_steps=0, weight_decay=0.0)
    adamw.optimiser, adamw.peaks = torch.optim.AdamW([parameter]), [0.5]
    parameter.grad = torch.ones(1)
    adamw.step(5)
    # The first step of Adam moves by the rate, whatever the gradient.
    assert float(parameter.detach()) == pytest.approx(-0.25, rel=1e-4)
