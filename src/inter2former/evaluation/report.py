"""What a run over a data set comes to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inter2former.evaluation.metrics import bootstrap_interval, clicks_to_reach, noc, nof
from inter2former.evaluation.protocol import SessionRecord

__all__ = ["Summary", "summarise"]


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of one data set; IoUs are 0..1, NoC counts clicks, NoF counts objects, times are milliseconds.

    A time of which there was nothing to measure is NaN.

    Attributes:
        dataset: its name.
        objects: number of objects.
        noc85, noc90, noc95: mean clicks to reach that IoU, the last click where it was never reached.
        nof85, nof90, nof95: objects that never reached it.
        iou: mean IoU after 1, 3, 5, 10 and 20 clicks, as far as there were so many.
        boundary_iou_5: mean boundary IoU after 5 clicks (or the last).
        intervals: 95 % bootstrap intervals over the objects of `noc90`, `noc95`, `iou_5` and `boundary_iou_5`.
        contradicted_last: share of the answers in which the network's own mask went against the click just made.
        contradicted_any: share of the answers in which it went against any click so far.
        click_p50_ms, click_p95_ms: from the call to the mask at original size, all clicks but the first.
        first_click_p50_ms: the same of first clicks.
        encode_p50_ms: reading, resizing and encoding an image.
    """

    dataset: str
    objects: int
    noc85: float
    noc90: float
    noc95: float
    nof85: int
    nof90: int
    nof95: int
    iou: dict[int, float]
    boundary_iou_5: float
    intervals: dict[str, tuple[float, float]]
    contradicted_last: float
    contradicted_any: float
    click_p50_ms: float
    click_p95_ms: float
    first_click_p50_ms: float
    encode_p50_ms: float

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values that JSON has: what is NaN becomes None."""
        values = dataclasses.asdict(self)
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}


def summarise(dataset: str, records: Sequence[SessionRecord], clicks: int) -> Summary:
    """Reduce the records of a run.

    Raises:
        ValueError: there are no records.
    """
    if not records:
        raise ValueError(f"{dataset} holds no objects to evaluate; check its masks")
    ious = np.stack([record.ious(clicks) for record in records])  # (N, clicks)
    boundary = np.stack([record.boundary_ious(clicks) for record in records])
    fifth = min(5, clicks) - 1
    answers = [answer for record in records for answer in record.clicks]
    later = [1000 * r.seconds for record in records for r in record.clicks[1:]]
    first = [1000 * record.clicks[0].seconds for record in records if record.clicks]
    encode = [1000 * record.encode_seconds for record in records if record.encode_seconds]
    return Summary(
        dataset=dataset,
        objects=len(records),
        noc85=noc(ious, 0.85),
        noc90=noc(ious, 0.90),
        noc95=noc(ious, 0.95),
        nof85=nof(ious, 0.85),
        nof90=nof(ious, 0.90),
        nof95=nof(ious, 0.95),
        iou={k: float(ious[:, k - 1].mean()) for k in (1, 3, 5, 10, 20) if k <= clicks},
        boundary_iou_5=float(boundary[:, fifth].mean()),
        intervals={
            "noc90": bootstrap_interval(_capped(ious, 0.90)),
            "noc95": bootstrap_interval(_capped(ious, 0.95)),
            "iou_5": bootstrap_interval(ious[:, fifth]),
            "boundary_iou_5": bootstrap_interval(boundary[:, fifth]),
        },
        contradicted_last=float(np.mean([answer.contradicts_last for answer in answers])) if answers else 0.0,
        contradicted_any=float(np.mean([answer.contradicted > 0 for answer in answers])) if answers else 0.0,
        click_p50_ms=_percentile(later, 50),
        click_p95_ms=_percentile(later, 95),
        first_click_p50_ms=_percentile(first, 50),
        encode_p50_ms=_percentile(encode, 50),
    )


def _capped(ious: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Clicks to reach the threshold, the last click where it was never reached: what `noc` is the mean of."""
    return np.minimum(clicks_to_reach(ious, threshold), ious.shape[1]).astype(np.float64)


def _percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else float("nan")
