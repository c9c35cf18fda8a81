"""Segmenters and data sets that need no network, small enough to be sent to other processes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from inter2former.data.layouts import open_dataset
from inter2former.evaluation.records import SessionRecord
from inter2former.evaluation.segmenter import Answer
from inter2former.prompt import Click


class Scripted:
    """Answers click number n with mask or logits number n, the last one for ever."""

    def __init__(self, *answers):
        self.answers, self.clicks, self.images = answers, [], []

    def encode(self, image):
        self.images.append(image)
        self.clicks = []

    def reset(self):
        self.clicks = []

    def step(self, click):
        self.clicks.append(click)
        answer = self.answers[min(len(self.clicks), len(self.answers)) - 1]
        if answer.dtype == np.bool_:
            return Answer(answer, lambda: np.where(answer, 1, -1).astype(np.float32))
        return Answer(answer > 0, lambda: answer)


class Painter:
    """Paints a disc around each click, a hole around each negative one, cut to what is bright in the image."""

    def __init__(self, radius, delay, log):
        self.radius, self.delay, self.log = radius, delay, log

    def encode(self, image):
        self.bright = image[..., 0] > 127
        self.reset()

    def reset(self):
        self.logits = np.full(self.bright.shape, -1, np.float32)
        self.started = False

    def step(self, click: Click) -> Answer:
        if self.log is not None and not self.started:
            with open(self.log, "a") as log:
                log.write("session\n")
        self.started = True
        if self.delay:  # even sleeping for 0 s gives the processor away
            time.sleep(self.delay)
        y, x = np.mgrid[: self.bright.shape[0], : self.bright.shape[1]]
        near = (y - click.y) ** 2 + (x - click.x) ** 2 <= self.radius**2
        self.logits = np.where(near & (self.bright | (not click.positive)), 1 if click.positive else -1, self.logits)
        logits = self.logits.astype(np.float32)
        return Answer(logits > 0, lambda: logits, (click,) if not near.all() and click.x % 5 == 0 else ())


@dataclass(frozen=True)
class PainterFactory:
    radius: float = 3
    delay: float = 0
    log: str | None = None
    name: str = "painter"
    hash: str = "5eed"
    settings: dict = field(default_factory=dict)

    def weights_hash(self):
        return self.hash

    def make(self):
        if self.radius < 0:
            raise ValueError(f"radius is {self.radius}; it must be >= 0")
        return Painter(self.radius, self.delay, self.log)


def write_dataset(folder: Path, images: int, *, objects=1, seed=0):
    """A plain folder of small pictures with bright rectangles, which are the objects."""
    rng = np.random.default_rng(seed)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(images):
        labels = np.zeros((24, 20 + number % 5), np.uint8)
        for label in range(1, objects + 1):
            top, left = rng.integers(0, 12), rng.integers(0, 10)
            labels[top : top + rng.integers(3, 12), left : left + rng.integers(3, 10)] = label
        image = np.where(labels[..., None] > 0, 200, 50) + rng.integers(-40, 40, (*labels.shape, 3))
        Image.fromarray(image.astype(np.uint8)).save(folder / "images" / f"{number:04}.png")
        mask = labels * 255 if objects == 1 else labels
        Image.fromarray(mask).save(folder / "masks" / f"{number:04}.png")
    return open_dataset(folder)


def timeless(record):
    """A record without what differs from run to run."""
    if not isinstance(record, SessionRecord):
        return record
    clicks = tuple(replace(click, seconds=0.0) for click in record.clicks)
    return replace(record, clicks=clicks, encode_seconds=0.0, read_seconds=0.0, overhead_seconds=0.0, peak_bytes=0)
