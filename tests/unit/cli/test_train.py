"""`train`: a few steps on two photos, interrupted and resumed; refusals in one sentence."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest
from PIL import Image

from inter2former.masks import encode_rle
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
    assert "encoded 2 images" in stopped.err

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
    assert "threads is 0; it must be at least 1" in sentence("--threads", 0)
    assert "--set steps is no NAME=JSON; write for example --set steps=2000" in sentence("--set", "steps")
    assert "training setting steps is 'x'; the default is" in sentence("--set", 'steps="x"')
    assert "crop side 65 is no multiple of 16" in sentence("--set", "crop_sides=[65]")
    assert "unknown preset 'q'" in sentence(changed=[command[0], "q", *command[2:]])
    assert f"{tmp_path} is in no known layout" in sentence("--data", tmp_path)
    assert "no weights at" in sentence("--weights", tmp_path / "absent")
    encoder = ["--encoder" if word == "--weights" else word for word in command]
    assert "does not fit the network: missing" in sentence(changed=encoder)
    folder = make_folder("dots", {"a": (photo(), disc() & ~disc())})
    assert "no object of 20 pixels in 20 draws from dots" in sentence("--data", folder)
    (folder / "images" / "a.png").write_text("no image")
    assert "cannot train on dots/a: " in sentence("--data", folder)
    assert "a.png: no image that can be read" in sentence("--data", folder)
    (folder / "masks" / "a.png").unlink()
    (folder / "masks" / "b.png").write_bytes(b"spare")
    assert "a.png has no mask" in sentence("--data", folder)
    (folder / "images" / "a.png").unlink()
    (tmp_path / "list.json").write_text('{"images": [], "annotations": []}')
    assert "list.json lists no objects of its 0 images" in sentence("--data", tmp_path / "list.json")


def test_commercial_only_names_what_it_refuses(refused, command, make_folder):
    folder = make_folder("free")
    assert "allowed for free (no terms stated); leave these out" in refused(
        *command, "--data", folder, "--commercial-only"
    )
    (folder / "dataset.json").write_text('{"terms": "CC BY-NC", "commercial_use": false}')
    assert "allowed for free (CC BY-NC)" in refused(*command, "--data", folder, "--commercial-only")


def test_train_on_coco_whose_terms_allow_commercial_use(run, command, tmp_path, photo, disc):
    (tmp_path / "images").mkdir()
    Image.fromarray(photo()).save(tmp_path / "images" / "a.png")
    masks = [disc(), np.roll(disc(), 20, axis=1)]
    annotations = [
        {"id": id, "image_id": 1, "segmentation": {"size": [90, 130], "counts": encode_rle(mask)}}
        for id, mask in enumerate(masks, 1)
    ]
    images = [{"id": 1, "file_name": "a.png", "height": 90, "width": 130}]
    path = tmp_path / "instances_train.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    (tmp_path / "dataset.json").write_text('{"terms": "CC0", "commercial_use": true}')
    finished = run(*command, "--data", path, "--commercial-only", "--set", "steps=2")
    assert finished.code == 0
    assert len(list((tmp_path / "run" / "cache").rglob("*.embedding.npy"))) == 1
    assert finished.out.endswith(f"mean weights after 2 steps: {tmp_path / 'run' / 'weights.safetensors'}\n")


def test_live_and_made_up_pictures_train_the_encoder_too(run, refused, command, make_folder, tmp_path):
    shares = ["live_share=0.5", "synthetic_share=0.5", "synthetic_size=96", "live_sides=[64,160]", "workers=2"]
    given = [word for text in (*shares, "steps=2", "encoder_learning_rate=1e-4") for word in ("--set", text)]
    finished = run(*command, "--backgrounds", make_folder("photos"), *given)
    assert finished.code == 0
    assert "encoded" not in finished.err
    assert f"mean weights after 2 steps: {tmp_path / 'run' / 'weights.safetensors'}" in finished.out
    assert not list((tmp_path / "run").rglob("*.npy"))
    assert "synthetic_share is above 0, but there are no photos" in refused(*command, *given)
    unknown = refused(*command, "--settings", "big")
    assert "unknown settings 'big'; there are distil, fine, laptop, pretrain, released" in unknown
    without_data = [word for place, word in enumerate(command) if place not in (2, 3)]
    assert "no data for the steps with cached embeddings" in refused(*without_data)


def test_a_device_that_is_not_there_is_refused_before_anything_is_encoded(refused, command, tmp_path):
    assert "cannot compute on the device 'tpu'" in refused(*command, "--device", "tpu")
    assert not (tmp_path / "run").exists()


def test_training_from_shards(run, refused, command, tmp_path):
    shards = tmp_path / "shards"
    assert run("shards", tmp_path / "tiny", shards).code == 0
    finished = run(*command, "--data", shards, "--set", "live_share=1.0", "--set", "steps=1")
    assert finished.code == 0
    assert "consists of shards, whose embeddings are not cached" in refused(*command, "--data", shards)
    assert "allowed for tiny (no terms stated)" in refused(*command, "--data", shards, "--commercial-only")


def test_both_or_neither_start_is_wrong_usage(run, command, random_weights):
    result = run(*command, "--encoder", random_weights)
    assert result.code == 2
    assert "not allowed with argument" in result.err
    assert run(*command[:4]).code == 2
