"""A teacher that knows where three boxes are: what it is sure of comes back at the photo's size, each once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from inter2former.training.pseudo_labels import LabellingRules, pseudo_labels

RULES = LabellingRules(size=128, clicks=6, least_area=0.005)
# Left, top, right, bottom in pixels of a 120 x 80 photo; the second lies in the first.
WHOLE, PART, OTHER = (10, 10, 60, 70), (20, 20, 40, 40), (80, 20, 110, 60)


class Knowing:
    """Readings of a click: the smallest box around it, the largest, and a mask it is not sure of."""

    def __init__(self, *, score=0.95, slope=8.0):
        self.score, self.slope = score, slope
        self.asked = 0

    def encode(self, image):
        assert image.shape == (1, 3, 128, 128)
        return torch.zeros(1, 256, 8, 8)

    def decode(self, embedding, points, labels, previous=None):
        assert points.shape == (len(embedding), 1, 2)
        assert (labels == 1).all()
        assert previous is None
        self.asked += len(points)
        scale = 120 / 128
        logits = torch.full((len(points), 4, 32, 32), -self.slope)
        scores = torch.full((len(points), 4), 0.1)
        for row, (x, y) in enumerate(points[:, 0].tolist()):
            around = [
                box for box in (PART, WHOLE, OTHER) if box[0] <= x * scale < box[2] and box[1] <= y * scale < box[3]
            ]
            for reading, box in enumerate([around[0], around[-1]] if around else []):
                left, top, right, bottom = (round(side / scale / 4) for side in box)
                logits[row, 1 + reading, top:bottom, left:right] = self.slope
                scores[row, 1 + reading] = self.score
        return logits, scores


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)


def test_every_object_is_found_once_and_parts_beside_wholes(photo):
    teacher = Knowing()
    labels = pseudo_labels(teacher, photo, RULES, np.random.default_rng(0))
    assert teacher.asked == 6 * 4
    assert len(labels.objects) == 3
    for box in (WHOLE, PART, OTHER):
        wanted = np.zeros(photo.shape[:2], dtype=bool)
        wanted[box[1] : box[3], box[0] : box[2]] = True
        ious = [(wanted & mask).sum() / (wanted | mask).sum() for mask in labels.objects]
        found = labels.objects[int(np.argmax(ious))]
        assert max(ious) > 0.5
        # What is wrong about it lies where it is undecided.
        assert (found == wanted)[~labels.undecided].mean() > 0.99
    assert 0 < labels.undecided.mean() < 0.4


@pytest.mark.parametrize(
    ("teacher", "changes"),
    [
        (Knowing(score=0.8), {}),
        (Knowing(slope=0.5), {}),  # nothing is left at a threshold of 1
        (Knowing(), {"least_area": 0.5}),
        (Knowing(), {"most_area": 0.01}),
    ],
)
def test_answers_that_break_a_rule_are_left_out(photo, teacher, changes):
    labels = pseudo_labels(teacher, photo, dataclasses.replace(RULES, **changes), np.random.default_rng(0))
    assert labels.objects == ()
    assert not labels.undecided.any()


def test_the_clicks_depend_on_the_generator_alone(photo):
    one, two, three = (pseudo_labels(Knowing(), photo, RULES, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert len(one.objects) == len(two.objects)
    assert all(np.array_equal(*pair) for pair in zip(one.objects, two.objects, strict=True))
    assert len(three.objects) == 3
