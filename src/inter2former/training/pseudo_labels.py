"""Objects of photos that nobody labelled: what a Segment Anything network makes of a grid of clicks.

The teacher answers every click with three readings. Those that it is sure of stay, duplicates go, and what is left are
objects to train on: their inside is to be trusted more than their edge, which stays undecided.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from inter2former.evaluation.segmenters.sam_family import padded_frame
from inter2former.frame import WorkingFrame, resize_to_working
from inter2former.model.normalise import normalised_input
from inter2former.training.distillation import Teacher

__all__ = ["LabellingRules", "PseudoLabels", "pseudo_labels"]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]

_CLICKS_AT_ONCE = 8
_CELL = 4  # a teacher's mask has a pixel for so many of its input, along each side


@dataclass(frozen=True, slots=True)
class LabellingRules:
    """Which answers of a teacher are taken for objects.

    Attributes:
        size: longest side of the photo in the teacher's input, in pixels, a multiple of 16.
        clicks: along the longer side of the photo, and as dense along the shorter one.
        least_score: the teacher's own estimate of the IoU.
        least_stability: the area at threshold 1 as a share of that at threshold -1.
        least_area: as a share of the photo.
        most_area: likewise.
        most_alike: of two masks with a greater IoU than this, the surer stays.
        open_edge: how far from an object's edge its pixels are undecided, in pixels of the teacher's input.
    """

    size: int = 1024
    clicks: int = 6
    least_score: float = 0.86
    least_stability: float = 0.88
    least_area: float = 0.001
    most_area: float = 0.7
    most_alike: float = 0.75
    open_edge: int = 3


@dataclass(frozen=True, slots=True, eq=False)
class PseudoLabels:
    """What was found in one photo.

    Attributes:
        objects: (H, W) bool masks of the photo's size without their edges, the surest first; they may overlap.
        undecided: (H, W) bool, all their edges with what is near.
    """

    objects: tuple[BoolArray, ...]
    undecided: BoolArray


def pseudo_labels(teacher: Teacher, image: NDArray[np.uint8], rules: LabellingRules, rng: Generator) -> PseudoLabels:
    """Ask a teacher for the objects of a photo.

    Args:
        teacher: a Segment Anything network on the CPU, such as `inter2former.model.mobile_sam.MobileSam`.
        image: (H, W, 3) uint8 RGB.
        rules: which answers count.
        rng: shifts each click within its cell of the grid.
    Returns:
        the objects; none, where the teacher was sure of nothing.
    """
    frame = padded_frame(image.shape[1], image.shape[0], rules.size)
    pixels = normalised_input(resize_to_working(image, frame), stride=frame.padded_width, padding="zero")
    with torch.inference_mode():
        embedding = teacher.encode(pixels)
        found = [
            candidate
            for clicks in _grid(frame, rules.clicks, rng).split(_CLICKS_AT_ONCE)
            for candidate in _sure_answers(teacher, embedding, clicks, frame, rules)
        ]
    objects, undecided = [], np.zeros(image.shape[:2], dtype=np.bool_)
    reach = max(1, round(rules.open_edge * frame.width / frame.content_width))
    around = np.ones((2 * reach + 1, 2 * reach + 1), dtype=np.uint8)
    for logits in _without_doubles(found, rules.most_alike):
        mask = _original(logits, frame)
        edge = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_GRADIENT, around) > 0
        undecided |= edge
        if (inside := mask & ~edge).any():
            objects.append(inside)
    return PseudoLabels(tuple(objects), undecided)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """An answer at the teacher's resolution; `sureness` is its score and its stability together."""

    sureness: float
    logits: FloatArray
    mask: BoolArray


def _grid(frame: WorkingFrame, along: int, rng: Generator) -> Tensor:
    """(N, 2) float32, x and y of one click in each cell of a grid over the photo, in pixels of the input."""
    step = max(frame.content_width, frame.content_height) / along
    columns, rows = (max(1, round(side / step)) for side in (frame.content_width, frame.content_height))
    cells = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    places = (cells + rng.random(cells.shape)) / (columns, rows) * (frame.content_width, frame.content_height)
    return torch.from_numpy(places.astype(np.float32))


def _sure_answers(
    teacher: Teacher, embedding: Tensor, clicks: Tensor, frame: WorkingFrame, rules: LabellingRules
) -> list[_Candidate]:
    labels = torch.ones(len(clicks), 1, dtype=torch.int64)
    logits, scores = teacher.decode(embedding.expand(len(clicks), -1, -1, -1), clicks[:, None], labels)
    rows, columns = -(-frame.content_height // _CELL), -(-frame.content_width // _CELL)
    # The last three are the readings of an ambiguous click; Segment Anything of `transformers` gives no others.
    planes, sure = logits[:, -3:, :rows, :columns].flatten(0, 1), scores[:, -3:].flatten()
    area = (planes > 0).float().mean(dim=(1, 2))
    stability = (planes > 1).sum(dim=(1, 2)) / (planes > -1).sum(dim=(1, 2)).clamp(min=1)
    good = (sure >= rules.least_score) & (stability >= rules.least_stability)
    good &= (area >= rules.least_area) & (area <= rules.most_area)
    return [
        _Candidate(float(sure[index] + stability[index]), planes[index].numpy().copy(), (planes[index] > 0).numpy())
        for index in good.nonzero()[:, 0].tolist()
    ]


def _without_doubles(found: list[_Candidate], most_alike: float) -> list[FloatArray]:
    """The surest first, each unless it is like one before it."""
    kept: list[_Candidate] = []
    for candidate in sorted(found, key=lambda each: -each.sureness):
        if all(_iou(candidate.mask, other.mask) <= most_alike for other in kept):
            kept.append(candidate)
    return [candidate.logits for candidate in kept]


def _iou(first: BoolArray, second: BoolArray) -> float:
    either = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / either if either else 0.0


def _original(logits: FloatArray, frame: WorkingFrame) -> BoolArray:
    """A mask of the photo's size from logits at the teacher's resolution."""
    rows, columns = logits.shape
    finer = cv2.resize(logits, (columns * _CELL, rows * _CELL), interpolation=cv2.INTER_LINEAR)
    content = finer[: frame.content_height, : frame.content_width]
    return np.asarray(cv2.resize(content, (frame.width, frame.height), interpolation=cv2.INTER_LINEAR) > 0)
