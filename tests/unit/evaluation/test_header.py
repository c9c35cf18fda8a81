"""The header changes with whatever the figures depend on."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from tests.unit.evaluation.fakes import PainterFactory, write_dataset

from inter2former.clicks.realistic import RealisticClicker
from inter2former.data.layouts import open_dataset
from inter2former.evaluation.header import dataset_fingerprint, run_header, versions
from inter2former.evaluation.job import Job
from inter2former.evaluation.protocol import RITM, protocol_hash


def test_what_is_in_it(tmp_path):
    dataset = write_dataset(tmp_path / "set", 3)
    clicker = RealisticClicker(jitter=1)
    job = Job(dataset, PainterFactory(settings={"size": 99}), RITM, clicks=7, clicker=clicker, seeds=2)
    header = run_header(job, "ritm", images=2, threads=3, workers=4, shard=(1, 2))
    assert (header.dataset, header.objects, header.threads, header.workers) == ("set", 2, 3, 4)
    assert (header.protocol, header.protocol_hash) == ("ritm", protocol_hash(RITM))
    assert (header.segmenter, header.weights_hash) == ("painter", "5eed")
    assert header.settings == {
        "clicks": 7,
        "clicker": {"realistic": {"jitter": 1, "miss": 0.02, "miss_reach": 4.0, "screen": 1000.0}},
        "seeds": 2,
        "size": 99,
        "folder": str(tmp_path / "set"),
        "shard": "1/2",
    }
    assert header.versions["torch"] == torch.__version__
    assert header.dataset_fingerprint == dataset_fingerprint(dataset)
    whole = run_header(Job(dataset, PainterFactory()), "strict", images=3, threads=1, workers=1)
    assert "shard" not in whole.settings
    assert whole.settings["clicker"] == "protocol"


def test_the_fingerprint_follows_contents_alone(tmp_path):
    one, same = write_dataset(tmp_path / "one", 3), write_dataset(tmp_path / "same", 3)
    assert dataset_fingerprint(one) == dataset_fingerprint(same)
    assert dataset_fingerprint(one) == dataset_fingerprint(one.subset([2, 0, 1]))
    assert dataset_fingerprint(one) != dataset_fingerprint(one.subset([0, 1]))
    path = tmp_path / "same/masks/0001.png"
    Image.fromarray(np.asarray(Image.open(path)) // 255 * 128).save(path)
    assert dataset_fingerprint(one) != dataset_fingerprint(same)
    images, masks = (tmp_path / "one" / part for part in ("images", "masks"))
    for number in range(3):
        (images / f"{number:04}.png").rename(images / f"renamed{number}.png")
        (masks / f"{number:04}.png").rename(masks / f"renamed{number}.png")
    assert dataset_fingerprint(open_dataset(tmp_path / "one")) == dataset_fingerprint(
        write_dataset(tmp_path / "new", 3)
    )


def test_a_missing_file_counts_as_such(tmp_path):
    dataset = write_dataset(tmp_path / "set", 2)
    before = dataset_fingerprint(dataset)
    (tmp_path / "set/masks/0001.png").unlink()
    assert dataset_fingerprint(dataset) != before


def test_versions():
    assert set(versions()) == {"python", "inter2former", "torch", "numpy", "opencv-python-headless", "pillow"}
    assert "unknown" not in versions().values()
