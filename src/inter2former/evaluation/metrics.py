"""How good a mask is, and how many clicks a set of objects needed.

Per mask: IoU and boundary IoU. Per set, from the (N, K) table of the IoU of N objects after each of K clicks: NoC@q,
the mean number of clicks to IoU >= q with K for an object that never gets there, and NoF@q, the number of such objects.
"""

from __future__ import annotations

from math import hypot

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from inter2former.masks import mask_pair

__all__ = [
    "bootstrap_interval",
    "boundary_iou",
    "clicks_to_reach",
    "iou",
    "mean_iou_per_click",
    "noc",
    "nof",
    "nof_ritm",
]

BoolArray = NDArray[np.bool_]


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
    predicted, truth, ignored = mask_pair(prediction, target, ignore)
    return _overlap(predicted, truth, ignored)


def boundary_iou(
    prediction: NDArray[np.generic],
    target: NDArray[np.generic],
    ignore: NDArray[np.generic] | None = None,
    *,
    width_ratio: float = 0.02,
) -> float:
    """Intersection over union of the inner boundaries of two masks.

    A boundary is the mask minus its erosion by d steps of a 3x3 square, d = max(1, round(width_ratio * diagonal)), with
    everything beyond the image as background. Ignored pixels are taken out of both boundaries once these are known, so
    the edge of an ignored area makes no boundary of its own.

    Args:
        prediction: (H, W) bool, or numbers of which 1 marks the object.
        target: (H, W), likewise. A label 255 counts as background unless `ignore` marks it.
        ignore: (H, W), likewise: pixels left out of both boundaries.
        width_ratio: width of a boundary as a part of the image diagonal; > 0.

    Returns:
        0..1; 1 when both boundaries are empty.

    Raises:
        ValueError: a rank other than 2, different sizes, or a ratio that is not positive.
    """
    if not width_ratio > 0:
        raise ValueError(f"width_ratio is {width_ratio}; it must be > 0")
    predicted, truth, ignored = mask_pair(prediction, target, ignore)
    width = max(1, round(width_ratio * hypot(*truth.shape)))
    return _overlap(_boundary(predicted, width), _boundary(truth, width), ignored)


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
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"values have shape {array.shape}; expected (N,) with N >= 1")
    draws = np.random.default_rng(seed).integers(array.size, size=(resamples, array.size))
    low, high = np.quantile(array[draws].mean(axis=1), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _table(ious: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(ious, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"ious has shape {table.shape}; expected (N, K), one row per object and one column per click")
    return table


def _overlap(first: BoolArray, second: BoolArray, ignored: BoolArray | None) -> float:
    both, either = first & second, first | second
    if ignored is not None:
        both &= ~ignored
        either &= ~ignored
    union = int(np.count_nonzero(either))
    return int(np.count_nonzero(both)) / union if union else 1.0


def _boundary(mask: BoolArray, width: int) -> BoolArray:
    """Mark the mask's pixels that `width` erosion steps with a 3x3 square remove."""
    padded = cv2.copyMakeBorder(np.ascontiguousarray(mask).view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    # A 3x3 square erodes one step of chessboard distance at a time, so one pass replaces `width` erosions.
    distance = cv2.distanceTransform(padded, cv2.DIST_C, cv2.DIST_MASK_3)[1:-1, 1:-1]
    return np.asarray(mask & (distance <= width), dtype=np.bool_)
