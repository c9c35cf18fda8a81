"""Runs as the harness would leave them, made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from inter2former.evaluation.protocol import STRICT, protocol_hash
from inter2former.evaluation.records import ClickRecord, Problem, RunHeader, SessionRecord
from inter2former.evaluation.run_folder import RunWriter
from inter2former.masks import encode_rle
from inter2former.prompt import Click

WIDTH, HEIGHT = 48, 32


def header(**changes):
    """A header; what is given replaces what it would say."""
    made = RunHeader(
        dataset="ducks",
        dataset_fingerprint="d1f2",
        objects=3,
        protocol="strict",
        protocol_hash=protocol_hash(STRICT),
        segmenter="inter2former-t",
        weights_hash="3ab4",
        settings={"clicks": 4, "clicker": "deepest", "size": 1024},
        versions={"python": "3.11.2", "torch": "2.13.0"},
        cpu="a processor",
        threads=2,
        workers=1,
    )
    return replace(made, **changes)


def masks():
    """Target and mask of every session: two boxes that overlap."""
    target, mask = np.zeros((2, HEIGHT, WIDTH), np.bool_)
    target[8:24, 10:30] = True
    mask[8:24, 14:34] = True
    return target, mask


def session(name, ious, *, seed=0, seconds=None, encode=0.5, **changes):
    """A session whose boundary IoU is half its IoU and whose clicks are positive and negative in turn."""
    target, mask = masks()
    times = seconds or [0.1] * len(ious)
    clicks = tuple(
        ClickRecord(Click(12 + 3 * k, 10 + k, k % 2 == 0), iou, iou / 2, time)
        for k, (iou, time) in enumerate(zip(ious, times, strict=True))
    )
    made = SessionRecord(
        id=name,
        seed=seed,
        image="images/duck.png",
        size=(WIDTH, HEIGHT),
        clicks=clicks,
        encode_seconds=encode,
        overhead_seconds=0.01,
        mask=encode_rle(mask),
        target=encode_rle(target),
        peak_bytes=3 * 2**20,
    )
    return replace(made, **changes)


def problem(name="ducks/gone", reason="masks/gone.png: the object is empty"):
    """A problem."""
    return Problem(name, reason)


def write_run(folder: Path, records, **changes):
    """A run's folder with these records, and the photo beside it in `data/images`."""
    with RunWriter(folder, header(**changes)) as writer:
        for index, record in enumerate(records):
            writer.write(replace(record, index=index))
    return folder


def write_photo(root: Path, size=(WIDTH, HEIGHT)):
    """The photo of all sessions, one green; returns the data set's folder."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (20, 160, 40)).save(root / "images" / "duck.png")
    return root
