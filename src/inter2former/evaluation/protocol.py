"""The click loop: simulate a user on one object and record how good the mask is after each click."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inter2former.clicks.simulate import STRICT, ClickRule, next_click
from inter2former.data.sample import Sample
from inter2former.errors import DataError
from inter2former.evaluation.metrics import boundary_iou, iou
from inter2former.predictor import Predictor
from inter2former.prompt import Click

__all__ = ["ClickRecord", "SessionRecord", "evaluate_sample"]


@dataclass(frozen=True, slots=True)
class ClickRecord:
    """One click and the mask after it.

    Attributes:
        click: in pixels of the original image.
        iou: of the mask with the object, ignored pixels left out.
        boundary_iou: of the two boundaries, see `metrics.boundary_iou`.
        seconds: from the call of `add_click` to the mask at original size.
        contradicted: how many of the clicks so far the network's own answer went against, before the mask was mended.
        contradicts_last: whether this click is among them.
    """

    click: Click
    iou: float
    boundary_iou: float
    seconds: float
    contradicted: int = 0
    contradicts_last: bool = False


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """All clicks on one object.

    Attributes:
        id: of the sample.
        clicks: oldest first; fewer than asked for where the mask had no error left.
        encode_seconds: what `set_image` took, 0 where the image was encoded for an earlier object.
    """

    id: str
    clicks: tuple[ClickRecord, ...]
    encode_seconds: float

    def ious(self, length: int) -> NDArray[np.float64]:
        """IoU after each of `length` clicks; after a mask without error it stays as it is."""
        return _extended([record.iou for record in self.clicks], length)

    def boundary_ious(self, length: int) -> NDArray[np.float64]:
        """Boundary IoU after each of `length` clicks, extended in the same way."""
        return _extended([record.boundary_iou for record in self.clicks], length)


def evaluate_sample(
    predictor: Predictor,
    sample: Sample,
    *,
    clicks: int = 20,
    rule: ClickRule = STRICT,
    encode: bool = True,
    watch: Callable[[Click, Predictor], None] | None = None,
) -> SessionRecord:
    """Simulate a session on one object, protocol `strict` unless the rule says otherwise.

    The clock runs only while the predictor works: neither reading the image, nor choosing the click, nor measuring
    the mask counts.

    Args:
        predictor: whose session on this image begins anew.
        sample: the object.
        clicks: how many clicks, whatever the IoU; fewer only where no error is left.
        rule: where the simulated user clicks.
        encode: False: the predictor holds the sample's image already.
        watch: called after each click.
    Returns:
        the record.
    Raises:
        ImageReadError: the image cannot be used.
        DataError: the mask is not of the image's size.
    """
    encode_seconds = 0.0
    if encode:
        started = time.perf_counter()
        predictor.set_image(sample.image_path)
        encode_seconds = time.perf_counter() - started
    if (size := predictor.image_size) != sample.mask.shape[::-1]:
        height, width = sample.mask.shape
        raise DataError(
            f"the mask of {sample.image_path} is {width}x{height}, but the upright image is {size[0]}x{size[1]}; "
            "give both one size"
        )
    predictor.reset()
    prediction = np.zeros(sample.mask.shape, dtype=np.bool_)
    records: list[ClickRecord] = []
    for _ in range(clicks):
        previous = [record.click for record in records]
        click = next_click(prediction, sample.mask, ignore=sample.ignore, previous=previous, rule=rule)
        if click is None:
            break
        started = time.perf_counter()
        answer = predictor.add_click(click.x, click.y, click.positive)
        seconds = time.perf_counter() - started
        prediction, broken = answer.mask, answer.contradicted
        quality = iou(prediction, sample.mask, sample.ignore), boundary_iou(prediction, sample.mask, sample.ignore)
        records.append(ClickRecord(click, *quality, seconds, len(broken), click in broken))
        if watch is not None:
            watch(click, predictor)
    return SessionRecord(sample.id, tuple(records), encode_seconds)


def _extended(values: list[float], length: int) -> NDArray[np.float64]:
    last = values[-1] if values else 0.0
    return np.array((values + [last] * length)[:length], dtype=np.float64)
