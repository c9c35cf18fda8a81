"""`train`: a few steps on two photos, interrupted and resumed; refusals in one sentence."""

from __future__ import annotations

import json
import signal

import pytest

from inter2former.predictor import Predictor
from inter2former.training.crops import CropSampler

SETTINGS = {
    "steps": 4,
    "size": 128,
    "crop_sides": [64],
    "crop_weights": [1],
    "tokens_per_step": 32,
    "min_object_pixels": 20,
    "warmup_steps": 1,
    "log_every": 1,
    "max_extra_clicks": 1,
}


@pytest.fixture
def command(make_folder, random_weights, tmp_path):
    given = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    data = make_folder()
    return ["train", "inter2former-t", "--data", data, "--weights", random_weights, "--out", tmp_path / "run", *given]


def test_train_stop_and_resume(run, command, tmp_path, monkeypatch, photo):
    draw = CropSampler.batch

    def draw_and_stop(sampler, step, **processes):
        if step == 1:
            signal.raise_signal(signal.SIGTERM)
        return draw(sampler, step)

    weights = tmp_path / "run" / "weights.safetensors"
    monkeypatch.setattr(CropSampler, "batch", draw_and_stop)
    stopped = run(*command)
    assert stopped.code == 0
    assert stopped.out.endswith(f"mean weights after 2 steps: {weights}\n")
    assert "encoded 2/2 images" in stopped.err

    monkeypatch.setattr(CropSampler, "batch", draw)
    finished = run(*command)
    assert finished.code == 0
    assert finished.out.endswith(f"mean weights after 4 steps: {weights}\n")
    assert "encoded" not in finished.err
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [1, 2, 3, 4]

    predictor = Predictor(weights=weights, size=128)
    predictor.set_image(photo())
    assert predictor.add_click(5, 5).mask[5, 5]


def test_mistakes_in_one_sentence(refused, command, make_folder, tmp_path, disc, photo):
    def sentence(*more, changed=command):
        return refused(*changed, *more)

    assert "unknown training setting 'step'; the settings are" in sentence("--set", "step=3")
    assert "--set steps is no NAME=JSON; write for example --set steps=2000" in sentence("--set", "steps")
    assert "training setting steps is 'x'; the default is" in sentence("--set", 'steps="x"')
    assert "crop side 65 is no multiple of 16" in sentence("--set", "crop_sides=[65]")
    assert "unknown preset 'q'" in sentence(changed=[command[0], "q", *command[2:]])
    assert "holds no files" in sentence("--data", tmp_path)
    assert "no weights at" in sentence("--weights", tmp_path / "absent")
    encoder = ["--encoder" if word == "--weights" else word for word in command]
    assert "does not fit the network: missing" in sentence(changed=encoder)
    folder = make_folder("dots", {"a": (photo(), disc() & ~disc())})
    assert "no object of 20 pixels in 20 draws from dots" in sentence("--data", folder)
    (folder / "images" / "a.png").write_text("no image")
    assert "a.png: no image that can be read" in sentence("--data", folder)


def test_both_or_neither_start_is_wrong_usage(run, command, random_weights):
    result = run(*command, "--encoder", random_weights)
    assert result.code == 2
    assert "not allowed with argument" in result.err
    assert run(*command[:4]).code == 2
