"""What a run leaves behind: settings, log, rotated checkpoints and TensorBoard files."""

from __future__ import annotations

import dataclasses
import json
import sys

import numpy as np
import pytest
import torch

from inter2former.errors import RunError
from inter2former.training.run_folder import RunFolder
from inter2former.training.settings import TrainingSettings
from inter2former.training.state import RunState


def state_of(step):
    return RunState(step, {"weight": torch.full((2,), float(step))}, {}, {}, step)


def steps_in(path):
    return [RunState.load(file).step for file in sorted((path / "states").glob("*"))]


def test_only_the_newest_states_stay(tmp_path):
    folder = RunFolder(tmp_path, TrainingSettings(kept_states=3), writes=True)
    for step in (5, 10, 15, 20, 25):
        folder.save_state(state_of(step))
        assert RunState.load(folder.state_path).step == step
    assert steps_in(tmp_path) == [15, 20]


def test_one_state_needs_no_further_folder(tmp_path):
    folder = RunFolder(tmp_path, TrainingSettings(), writes=True)
    for step in (5, 10):
        folder.save_state(state_of(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["settings.json", "state.pt"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_one_run_writes_at_a_time(tmp_path):
    first, second = (RunFolder(tmp_path, TrainingSettings(), writes=True) for _ in range(2))
    with first.held():
        first.log(1, {"iou": 0.5})
        with pytest.raises(RunError, match=r"another run writes to .*; wait for it"), second.held():
            pass
    with second.held():
        second.log(2, {"iou": 0.5})
    assert [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1, 2]


def test_settings_are_compared_by_value(tmp_path):
    RunFolder(tmp_path, TrainingSettings(seed=3), writes=True)
    values = json.loads((tmp_path / "settings.json").read_text())
    assert TrainingSettings.from_dict(values) == TrainingSettings(seed=3)
    del values["accumulate"]
    (tmp_path / "settings.json").write_text(json.dumps(values))
    RunFolder(tmp_path, TrainingSettings(seed=3), writes=True)
    with pytest.raises(ValueError, match=r"settings\.json holds other settings than these"):
        RunFolder(tmp_path, TrainingSettings(seed=3, accumulate=2), writes=True)


def test_tensorboard_gets_numbers_and_pictures(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra `tensorboard`")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = TrainingSettings(tensorboard=True)
    folder = RunFolder(tmp_path, settings, writes=True)
    assert folder.wants_pictures
    image = np.full((16, 16, 3), 90, dtype=np.uint8)
    mask = np.zeros((16, 16), dtype=bool)
    mask[4:12, 4:12] = True
    folder.log_picture(7, image, mask, ~mask)
    folder.log(7, {"mask": 0.5, "iou": 0.25})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("iou")] == [(7, 0.25)]
    (picture,) = events.Images("crop, prediction, truth")
    assert (picture.step, picture.width, picture.height) == (7, 48, 16)
    assert json.loads((tmp_path / "log.jsonl").read_text()) == {"step": 7, "mask": 0.5, "iou": 0.25}
    assert not RunFolder(tmp_path, settings, writes=False).wants_pictures


def test_without_tensorboard_the_setting_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match=r"pip install 'inter2former\[tensorboard\]', or leave it out"):
        RunFolder(tmp_path, TrainingSettings(tensorboard=True), writes=True)
    other = dataclasses.replace(TrainingSettings(), tensorboard=False)
    RunFolder(tmp_path / "other", other, writes=True).log_picture(1, *(np.zeros(0),) * 3)
