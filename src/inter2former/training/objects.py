"""Which objects of an image make up the target of one crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inter2former.data.sample import Annotation

__all__ = ["ObjectSampling", "draw_objects", "merged"]


@dataclass(frozen=True, slots=True)
class ObjectSampling:
    """How the objects of one target are drawn.

    Where a data set labels parts, such as garments, merging gives larger parts and wholes.

    Attributes:
        merge_probability: how often several objects are merged into one target, 0..1.
        most: greatest number of merged objects, >= 1.
    """

    merge_probability: float = 0.0
    most: int = 3

    def __post_init__(self) -> None:
        """Refuse what is no probability and no number of objects."""
        if not 0 <= self.merge_probability <= 1:
            raise ValueError(f"merge_probability is {self.merge_probability}; it must be in 0..1")
        if self.most < 1:
            raise ValueError(f"the greatest number of merged objects is {self.most}; it must be at least 1")


def draw_objects(rng: Generator, areas: NDArray[np.float64], sampling: ObjectSampling) -> list[int]:
    """Draw the objects of one target.

    The first is drawn by the square root of its area. With `merge_probability` others join it: a number of 2..`most` in
    all, each as likely, and any of the rest, each as likely, as the released sampler does.

    Differs from the release: there the first object is as likely as any other, and a mix-up of maximum and minimum lets
    up to all objects be merged whatever `most` is.

    Args:
        rng: where the draws come from.
        areas: (N,) areas in pixels, >= 0.
        sampling: how to draw.

    Returns:
        different positions in 0..N-1, the first object first; empty where no object has a pixel.
    """
    weights = np.sqrt(areas)
    if not weights.any():
        return []
    chosen = [int(rng.choice(len(weights), p=weights / weights.sum()))]
    # Without merging not a single number is drawn, so that earlier runs can be repeated.
    if sampling.merge_probability > 0 and rng.random() < sampling.merge_probability:
        others = np.setdiff1d(np.flatnonzero(weights), chosen)
        most = min(sampling.most, 1 + len(others))
        count = int(rng.integers(2, most + 1)) - 1 if most > 1 else 0
        chosen += rng.permutation(others)[:count].tolist()
    return chosen


def merged(annotation: Annotation, positions: list[int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """The pixels of some objects as one, and the ignored ones that are not among them.

    Args:
        annotation: of one image.
        positions: of its objects, at least one.

    Returns:
        (H, W) bool; and (H, W) bool or None: nothing is ignored.

    Raises:
        DataError: a mask cannot be decoded.
    """
    mask, ignore = annotation.mask_and_ignore(positions[0])
    if len(positions) > 1:
        mask = np.logical_or.reduce([mask, *(annotation.mask(position) for position in positions[1:])])
        ignore = None if ignore is None else ignore & ~mask
    return mask, ignore
