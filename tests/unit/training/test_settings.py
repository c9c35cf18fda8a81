"""Settings come from plain values, and nothing wrong gets in."""

from __future__ import annotations

import dataclasses
import json

import pytest

from inter2former.training.settings import TrainingSettings


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown training setting 'lr'; the settings are .*learning_rate"):
        TrainingSettings.from_dict({"steps": 3, "lr": 1})


def test_settings_survive_json():
    settings = TrainingSettings(steps=7, crop_sides=(64, 96), crop_weights=(1, 0.5), source_weights=(("a", 2.0),))
    assert TrainingSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert TrainingSettings.from_dict({}) == TrainingSettings()
    assert hash(settings) != hash(TrainingSettings())


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", "3"), ("steps", 2.5), ("steps", True), ("learning_rate", None), ("crop_sides", 64), ("seed", [1])],
)
def test_another_kind_of_value_is_refused(name, value):
    with pytest.raises(ValueError, match=f"training setting {name} is .*; the default is"):
        TrainingSettings.from_dict({name: value})


def test_truth_values_are_their_own_kind():
    assert TrainingSettings.from_dict({"bfloat16": True}).bfloat16
    for value in (1, "yes", None):
        with pytest.raises(ValueError, match=r"training setting bfloat16 is .*; the default is False"):
            TrainingSettings.from_dict({"bfloat16": value})


def test_settings_can_start_from_others():
    start = TrainingSettings(steps=7, seed=1)
    assert TrainingSettings.from_dict({"seed": 2}, start) == TrainingSettings(steps=7, seed=2)


def test_a_whole_number_may_stand_for_a_fraction():
    assert TrainingSettings.from_dict({"learning_rate": 1}).learning_rate == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_sides": (64,)}, "1 crop_sides but 3 crop_weights"),
        ({"crop_sides": (64, 96, 100)}, "crop side 100 is no multiple of 16"),
        ({"crop_sides": (64, 96, 0)}, "crop side 0 is no multiple of 16"),
        ({"steps": 0}, "steps is 0; it must be at least 1"),
        ({"log_every": 0}, "log_every is 0; it must be at least 1"),
        ({"accumulate": 0}, "accumulate is 0; it must be at least 1"),
        ({"live_share": 1.1}, r"live_share is 1\.1; it must be in 0\.\.1"),
        ({"live_share": 0.6, "synthetic_share": 0.5}, "live_share is 0.6 and synthetic_share 0.5; together at most 1"),
        ({"encoder_learning_rate": 1e-4, "live_share": 0.5}, "some steps use cached embeddings, which do not change"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**changes)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainingSettings().steps = 3
