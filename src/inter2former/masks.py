"""Checks that every function comparing two masks needs: same size, truth values, and what to leave out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_mask", "mask_pair"]

BoolArray = NDArray[np.bool_]


def as_mask(values: NDArray[np.generic], name: str = "mask") -> BoolArray:
    """Read a mask from truth values or labels.

    Args:
        values: (H, W) bool, or numbers of which 1 marks the object and every other value (also 255) does not.
        name: what the error message calls the argument.

    Returns:
        (H, W) bool; the argument itself where it already is bool.

    Raises:
        ValueError: another rank.
    """
    if values.ndim != 2:
        raise ValueError(f"{name} has shape {values.shape}; expected (H, W)")
    return np.asarray(values if values.dtype == np.bool_ else values == 1, dtype=np.bool_)


def mask_pair(
    prediction: NDArray[np.generic], target: NDArray[np.generic], ignore: NDArray[np.generic] | None
) -> tuple[BoolArray, BoolArray, BoolArray | None]:
    """Read a prediction, its target and the pixels to ignore, which must be of one size.

    Args:
        prediction: (H, W) bool, or numbers of which 1 marks the object.
        target: (H, W), likewise.
        ignore: (H, W), likewise: the pixels that count neither as right nor as wrong. None: every pixel counts.

    Returns:
        The three as (H, W) bool; the last is None where `ignore` is.

    Raises:
        ValueError: a rank other than 2, or different sizes.
    """
    pair = as_mask(prediction, "prediction"), as_mask(target, "target")
    if pair[0].shape != pair[1].shape:
        raise ValueError(f"prediction has shape {prediction.shape} but target has {target.shape}; give both one size")
    if ignore is None:
        return *pair, None
    ignored = as_mask(ignore, "ignore")
    if ignored.shape != pair[1].shape:
        raise ValueError(f"ignore has shape {ignore.shape} but target has {target.shape}; give both one size")
    return *pair, ignored
