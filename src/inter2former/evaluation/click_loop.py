"""The click loop: simulate a user on one object and record how good the mask is after each click."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from inter2former.clicks.realistic import RealisticClicker
from inter2former.clicks.simulate import next_click
from inter2former.data.sample import Sample
from inter2former.evaluation.overlap import Truth
from inter2former.evaluation.protocol import STRICT, Protocol
from inter2former.evaluation.records import ClickRecord, SessionRecord, whole_microseconds
from inter2former.evaluation.segmenter import Answer, Segmenter
from inter2former.masks import encode_rle
from inter2former.prompt import Click

__all__ = ["User", "evaluate_session", "simulated_user"]

BoolArray = NDArray[np.bool_]

User: TypeAlias = Callable[[BoolArray, Sequence[Click]], Click | None]
"""From the present mask and the clicks so far to the next click; None: the user is done."""


def simulated_user(
    sample: Sample, protocol: Protocol, *, clicker: RealisticClicker | None = None, seed: int = 0
) -> User:
    """Make the user that clicks on one object.

    Args:
        sample: the object.
        protocol: its click rule, and what it says about ignored pixels and impossible clicks.
        clicker: a simulated person instead, who stops where no error is left; None: the protocol's rule.
        seed: of what is drawn, together with the id of the sample.
    """
    ignore = sample.ignore if protocol.ignored_in_clicks == "left out" else None
    if clicker is not None:
        return lambda mask, previous: clicker.next_click(
            mask, sample.mask, ignore=ignore, seed=seed, session=sample.id, number=len(previous) + 1
        )
    rule, rng = protocol.click_rule, random.Random(f"{seed}\n{sample.id}")
    nowhere = Click(0, 0, False) if protocol.impossible_click == "corner" else None

    def click(mask: BoolArray, previous: Sequence[Click]) -> Click | None:
        return next_click(mask, sample.mask, ignore=ignore, previous=previous, rule=rule, rng=rng) or nowhere

    return click


def evaluate_session(
    segmenter: Segmenter,
    sample: Sample,
    protocol: Protocol = STRICT,
    *,
    clicks: int = 20,
    clicker: RealisticClicker | None = None,
    seed: int = 0,
    watch: Callable[[Click, Answer], None] | None = None,
) -> SessionRecord:
    """Simulate a session on one object.

    The clock of a click runs while the segmenter makes the mask: neither choosing the click nor measuring the mask
    counts there; that is the session's overhead.

    Args:
        segmenter: holds the sample's image; its session on the image begins anew.
        sample: the object.
        protocol: how clicks are simulated and masks compared. Its `objects`, and its `flip`, which needs two
            segmenters, are the caller's part.
        clicks: how many at most.
        clicker: a simulated person instead of the protocol's rule.
        seed: of what the user draws.
        watch: called after each click.
    Returns:
        the record, without the image's path and place and the times of reading and encoding it.
    """
    started = time.perf_counter()
    segmenter.reset()
    user = simulated_user(sample, protocol, clicker=clicker, seed=seed)
    counted = sample.ignore if protocol.ignored_in_iou == "left out" else None
    truth = Truth(sample.mask, counted, width_ratio=protocol.boundary_width)
    mask = np.zeros(sample.mask.shape, dtype=np.bool_)
    records: list[ClickRecord] = []
    stepping = 0.0
    while len(records) < clicks and (click := user(mask, [record.click for record in records])) is not None:
        stepped = time.perf_counter()
        answer = segmenter.step(click)
        mask = _mask(answer, protocol)
        seconds = time.perf_counter() - stepped
        stepping += seconds
        records.append(_record(click, answer, mask, truth, seconds))
        if watch is not None:
            watch(click, answer)
        if protocol.stop_at_iou is not None and records[-1].iou >= protocol.stop_at_iou:
            break
    drawn = (encode_rle(mask) if records else "", encode_rle(sample.mask))
    return _session(sample, seed, records, drawn, time.perf_counter() - started - stepping)


def _record(click: Click, answer: Answer, mask: BoolArray, truth: Truth, seconds: float) -> ClickRecord:
    broken = answer.contradicted
    quality = truth.iou(mask), truth.boundary_iou(mask)
    return ClickRecord(click, *quality, whole_microseconds(seconds), len(broken), click in broken)


def _session(
    sample: Sample, seed: int, records: list[ClickRecord], drawn: tuple[str, str], overhead: float
) -> SessionRecord:
    height, width = sample.mask.shape
    return SessionRecord(
        id=sample.id,
        seed=seed,
        image="",
        size=(width, height),
        clicks=tuple(records),
        encode_seconds=0.0,
        overhead_seconds=whole_microseconds(overhead),
        mask=drawn[0],
        target=drawn[1],
    )


def _mask(answer: Answer, protocol: Protocol) -> BoolArray:
    """The answer's mask at the protocol's threshold."""
    if protocol.logit_threshold == 0:
        return answer.mask
    return np.asarray(answer.logits() > protocol.logit_threshold, dtype=np.bool_)
