"""How good a mask is, how many clicks a set of objects needed, and what a click cost.

Per mask: IoU and boundary IoU. Per set, from the (N, K) table of the IoU of N objects after each of K clicks: NoC@q,
the mean number of clicks to IoU >= q with K for an object that never gets there, NoF@q, the number of such objects,
the mean IoU per click, the area under it, and the clicks to convergence. Of times: `spc_decode`, `spc_total` and the
rest of what a run's records hold. Every mean has an interval by resampling the objects.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inter2former.evaluation.overlap import Truth

__all__ = [
    "CONVERGENCE",
    "SeedSpread",
    "bootstrap_interval",
    "bootstrap_ratios",
    "boundary_iou",
    "clicks_to_converge",
    "clicks_to_reach",
    "curve_area",
    "iou",
    "mean_iou_per_click",
    "noc",
    "nof",
    "nof_ritm",
    "over_seeds",
    "spc_decode",
    "spc_total",
    "typical",
]

CONVERGENCE = 0.005
"""A session has converged once the IoU never rises by more than this again."""

_RESAMPLES_AT_ONCE = 64


class SeedSpread(NamedTuple):
    """How a figure varies with the simulated user.

    Attributes:
        mean: over the seeds.
        spread: standard deviation over the seeds (of a sample: divided by their number less one).
        worst: the greatest.
    """

    mean: float
    spread: float
    worst: float


def iou(
    prediction: NDArray[np.generic], target: NDArray[np.generic], ignore: NDArray[np.generic] | None = None
) -> float:
    """Intersection over union of two masks.

    Args:
        prediction: (H, W) bool, or numbers of which 1 marks the object.
        target: (H, W), likewise. A label 255 counts as background unless `ignore` marks it.
        ignore: (H, W), likewise: pixels left out of both masks.

    Returns:
        0..1; 1 when both masks are empty.

    Raises:
        ValueError: a rank other than 2, or different sizes.
    """
    return Truth(target, ignore).iou(prediction)


def boundary_iou(
    prediction: NDArray[np.generic],
    target: NDArray[np.generic],
    ignore: NDArray[np.generic] | None = None,
    *,
    width_ratio: float = 0.02,
) -> float:
    """Intersection over union of the inner boundaries of two masks.

    A boundary is the mask minus its erosion by d steps of a 3x3 square, d = max(1, round(width_ratio * diagonal)), with
    everything beyond the image as background. Ignored pixels are taken out of both masks first, so that what was
    predicted there changes nothing, and a mask that is right wherever it counts scores 1. (Taken out of the finished
    boundaries instead, the ignored band around GrabCut's objects would push a right mask's boundary aside.)

    Args:
        prediction: (H, W) bool, or numbers of which 1 marks the object.
        target: (H, W), likewise. A label 255 counts as background unless `ignore` marks it.
        ignore: (H, W), likewise: pixels left out of both masks.
        width_ratio: width of a boundary as a part of the image diagonal; > 0.

    Returns:
        0..1; 1 when both boundaries are empty.

    Raises:
        ValueError: a rank other than 2, different sizes, or a ratio that is not positive.
    """
    return Truth(target, ignore, width_ratio=width_ratio).boundary_iou(prediction)


def clicks_to_reach(ious: ArrayLike, threshold: float) -> NDArray[np.int64]:
    """Count the clicks after which each object first had an IoU of at least `threshold`.

    Args:
        ious: (N, K) IoU of object n after click k + 1, 0..1.
        threshold: 0..1.

    Returns:
        (N,) int64, 1..K, or K + 1 for an object that never reached it.

    Raises:
        ValueError: a table of another rank or without entries, or a threshold outside 0..1 (90 instead of 0.90).
    """
    table = _table(ious)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it must be in [0, 1]")
    reached = table >= threshold
    return np.asarray(np.where(reached.any(axis=1), reached.argmax(axis=1), table.shape[1]) + 1, dtype=np.int64)


def noc(ious: ArrayLike, threshold: float) -> float:
    """Mean number of clicks to the threshold (NoC); an object that never reaches it counts K clicks.

    Args:
        ious: (N, K) IoU of object n after click k + 1, 0..1.
        threshold: 0..1.

    Returns:
        1..K.

    Raises:
        ValueError: as `clicks_to_reach`.
    """
    return float(np.minimum(clicks_to_reach(ious, threshold), _table(ious).shape[1]).mean())


def nof(ious: ArrayLike, threshold: float) -> int:
    """Count the objects that never reach the threshold (NoF).

    Args:
        ious: (N, K) IoU of object n after click k + 1, 0..1.
        threshold: 0..1.

    Returns:
        0..N.

    Raises:
        ValueError: as `clicks_to_reach`.
    """
    return int((clicks_to_reach(ious, threshold) > _table(ious).shape[1]).sum())


def nof_ritm(ious: ArrayLike, threshold: float) -> int:
    """Count failures as RITM and its descendants do: an object that succeeds on the last click is one too.

    Only for comparison with published tables; `nof` is the count this project reports.

    Args:
        ious: (N, K) IoU of object n after click k + 1, 0..1.
        threshold: 0..1.

    Returns:
        0..N, at least `nof`.

    Raises:
        ValueError: as `clicks_to_reach`.
    """
    return int((clicks_to_reach(ious, threshold) >= _table(ious).shape[1]).sum())


def mean_iou_per_click(ious: ArrayLike) -> NDArray[np.float64]:
    """Mean IoU over the objects after each click.

    Args:
        ious: (N, K) IoU of object n after click k + 1, 0..1.

    Returns:
        (K,) float64, 0..1.

    Raises:
        ValueError: a table of another rank or without entries.
    """
    return np.asarray(_table(ious).mean(axis=0), dtype=np.float64)


def curve_area(ious: ArrayLike) -> NDArray[np.float64]:
    """Area under each object's curve of IoU over clicks, from the first click to the last, divided by its width.

    The trapezoid rule: the first and the last value count half. The mean over the objects is the area under the curve
    of `mean_iou_per_click`.

    Args:
        ious: (N, K) IoU of object n after click k + 1, 0..1.

    Returns:
        (N,) float64, 0..1; the IoU itself where K is 1.

    Raises:
        ValueError: a table of another rank or without entries.
    """
    table = _table(ious)
    if table.shape[1] == 1:
        return table[:, 0].copy()
    return np.asarray((table[:, 1:] + table[:, :-1]).sum(axis=1) / (2 * (table.shape[1] - 1)), dtype=np.float64)


def clicks_to_converge(ious: ArrayLike, tolerance: float = CONVERGENCE) -> NDArray[np.int64]:
    """Count the clicks after which clicking on was of no use: no later IoU exceeds this one by more than `tolerance`.

    Args:
        ious: (N, K) IoU of object n after click k + 1, 0..1.
        tolerance: >= 0.

    Returns:
        (N,) int64, 1..K.

    Raises:
        ValueError: a table of another rank or without entries, or a negative tolerance.
    """
    table = _table(ious)
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}; it must be >= 0")
    best_from_here = np.maximum.accumulate(table[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((best_from_here <= table + tolerance).argmax(axis=1) + 1, dtype=np.int64)


def over_seeds(figures: ArrayLike) -> SeedSpread:
    """Mean, spread and worst of a figure that was measured once per seed, such as NoC.

    Args:
        figures: (S,) one number per seed, S >= 1; more is worse. The spread of one is 0.

    Raises:
        ValueError: another rank, or no figures.
    """
    array = _values(figures)
    spread = float(array.std(ddof=1)) if array.size > 1 else 0.0
    return SeedSpread(float(array.mean()), spread, float(array.max()))


def spc_decode(step_seconds: ArrayLike, percent: float = 50) -> float:
    """Seconds per click from the click to the mask, with the image embedding at hand (`spc_decode`).

    Args:
        step_seconds: (n,) of all clicks, first ones too.
        percent: which percentile, 0..100; interpolated between neighbours.

    Returns:
        seconds; NaN where there are no clicks.
    """
    steps = np.asarray(step_seconds, dtype=np.float64)
    return float(np.percentile(steps, percent)) if steps.size else float("nan")


def spc_total(step_seconds: ArrayLike, other_seconds: ArrayLike) -> float:
    """Seconds per click with everything that is not a click spread over the clicks (`spc_total`).

    Args:
        step_seconds: (n,) of all clicks.
        other_seconds: what else counts: the encoding of each image; and reading, simulation and metrics where the
            protocol divides the session's whole time.

    Returns:
        seconds; NaN where there are no clicks.
    """
    steps = np.asarray(step_seconds, dtype=np.float64)
    return float((steps.sum() + np.sum(other_seconds)) / steps.size) if steps.size else float("nan")


def typical(seconds: ArrayLike) -> float:
    """The median of encode times or of first clicks, those that were measured: longer than 0.

    Returns:
        seconds; NaN where nothing was measured.
    """
    array = np.asarray(seconds, dtype=np.float64)
    return spc_decode(array[array > 0])


def bootstrap_interval(
    values: ArrayLike, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Interval of a mean by resampling the objects with replacement (percentile bootstrap).

    Args:
        values: (N,) one number per object, N >= 1.
        confidence: share of the resampled means that lie inside, 0..1.
        resamples: how often the objects are drawn.
        seed: of the draws; the same values give the same interval.

    Returns:
        lower and upper end.

    Raises:
        ValueError: another rank, or no values.
    """
    array = _values(values)[:, None]
    ends = bootstrap_ratios(array, np.ones_like(array), confidence=confidence, resamples=resamples, seed=seed)
    return float(ends[0, 0]), float(ends[0, 1])


def bootstrap_ratios(
    numerators: NDArray[np.float64],
    denominators: NDArray[np.float64],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Intervals of many ratios of sums at once, by resampling the same objects for all of them.

    A mean over objects is the ratio whose denominators are 1; seconds per click is the ratio of seconds and clicks.

    Args:
        numerators: (N, M) one row per object, N >= 1.
        denominators: (N, M) >= 0.
        confidence: share of the resampled ratios that lie inside, 0..1.
        resamples: how often the objects are drawn.
        seed: of the draws.

    Returns:
        (M, 2) lower and upper ends; NaN for a ratio whose denominators are all 0.
    """
    objects, ratios = numerators.shape
    both = np.concatenate([numerators, denominators], axis=1)
    rng = np.random.default_rng(seed)
    found = np.empty((resamples, ratios))
    for start in range(0, resamples, _RESAMPLES_AT_ONCE):
        rows = min(_RESAMPLES_AT_ONCE, resamples - start)
        draws = rng.integers(objects, size=(rows, objects))
        counts = np.stack([np.bincount(draw, minlength=objects) for draw in draws]).astype(np.float64)
        sums = counts @ both  # (rows, 2 M)
        with np.errstate(invalid="ignore", divide="ignore"):
            found[start : start + rows] = sums[:, :ratios] / sums[:, ratios:]
    ends = np.full((ratios, 2), np.nan)
    known = np.isfinite(found)
    for column in np.flatnonzero(known.any(axis=0)):
        ends[column] = np.quantile(found[known[:, column], column], [(1 - confidence) / 2, (1 + confidence) / 2])
    return ends


def _values(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"values have shape {array.shape}; expected (N,) with N >= 1")
    return array


def _table(ious: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(ious, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"ious has shape {table.shape}; expected (N, K), one row per object and one column per click")
    return table
