"""A second encoding of the region around an object: only the region changes, what was said holds, the edge is finer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tests.engines import PaperEngine

from inter2former.prompt import Click, MaskPrompt, Scribble, Stroke
from inter2former.session.engine import Engine
from inter2former.session.region import Region, refined, region_worth_encoding
from inter2former.session.tree import Session

WIDTH, HEIGHT = 400, 300
IMAGE = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)


def disc(x, y, radius, width=WIDTH, height=HEIGHT):
    row, column = np.mgrid[:height, :width]
    return (column - x) ** 2 + (row - y) ** 2 <= radius**2


def region_of(engine, image, box):
    left, top, right, bottom = box
    return Region(left, top, engine.encode(np.ascontiguousarray(image[top:bottom, left:right])))


def test_a_region_is_worth_it_where_it_shows_more():
    engine = PaperEngine()
    session = Session(engine, engine.encode(IMAGE))
    small = session.add(MaskPrompt.of(disc(100, 100, 30)))
    left, top, right, bottom = region_worth_encoding(small)
    assert (left, top) == (60, 60)
    assert (right, bottom) == (141, 141)
    assert region_worth_encoding(session.add(MaskPrompt.of(disc(200, 150, 140)))) is None
    assert region_worth_encoding(session.add(MaskPrompt.of(np.zeros((HEIGHT, WIDTH))))) is None
    left, top, right, bottom = region_worth_encoding(session.add(MaskPrompt.of(disc(0, 299, 30))))
    assert (left, bottom) == (0, 300)
    # The image is hardly larger than the working size: nothing to gain.
    session = Session(engine, engine.encode(IMAGE[:60, :80]))
    assert region_worth_encoding(session.add(MaskPrompt.of(disc(30, 30, 9)[:60, :80]))) is None


def test_only_the_region_changes_and_what_was_said_holds():
    engine = PaperEngine()
    session = Session(engine, engine.encode(IMAGE))
    session.add(MaskPrompt.of(disc(100, 100, 30) | disc(300, 250, 9)))
    # All inside the region but the last two.
    session.add(Stroke([(80, 100), (120, 100)], 3, erase=True))
    session.add(Stroke([(100, 70)], 2))
    session.add(Click(90, 85))
    session.add(Click(130, 130, False))
    session.add(Scribble([(85, 115), (110, 118)], 1.5))
    session.add(Click(300, 250))
    coarse = session.add(Stroke([(380, 20)], 4))
    box = (50, 50, 150, 150)
    fine = refined(engine, region_of(engine, IMAGE, box), coarse)
    inside = np.zeros((HEIGHT, WIDTH), dtype=bool)
    inside[50:150, 50:150] = True
    np.testing.assert_array_equal(fine.mask[~inside], coarse.mask[~inside])
    assert (fine.mask != coarse.mask).any()
    assert not fine.mask[98:103, 80:121].any()
    assert fine.mask[69:72, 100].all()
    assert fine.mask[85, 90]
    assert not fine.mask[130, 130]
    assert fine.mask[115, 85]
    assert fine.mask[118, 110]
    np.testing.assert_array_equal(fine.logits > 0, fine.mask)
    assert (fine.prompts, fine.clicks) == (coarse.prompts, coarse.clicks)
    assert fine.timings["region"] > 0
    with pytest.raises(ValueError, match="read-only"):
        fine.mask[0, 0] = True


def test_the_shipped_weights_draw_a_finer_edge(shipped):
    width, height = 1500, 1000
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    radius = 150 * (1 + 0.15 * np.sin(9 * angle) + 0.06 * np.sin(29 * angle))
    corners = np.stack([700 + radius * np.cos(angle), 450 + radius * np.sin(angle)], axis=1).astype(np.int32)
    target = np.zeros((height, width), dtype=np.uint8)
    cv2.fillPoly(target, [corners], 1)
    rng = np.random.default_rng(0)
    image = rng.integers(90, 120, (height, width, 3), dtype=np.uint8)
    image[target == 1] = rng.integers(150, 180, (int(target.sum()), 3), dtype=np.uint8)
    engine = Engine.load(weights=shipped, size=256)
    session = Session(engine, engine.encode(image))
    session.add(Click(700, 450))
    coarse = session.add(Click(300, 450, False))
    box = region_worth_encoding(coarse)
    assert box is not None
    fine = refined(engine, region_of(engine, image, box), coarse)
    errors = [np.count_nonzero(prediction.mask != (target == 1)) for prediction in (coarse, fine)]
    assert errors[1] < 0.7 * errors[0], errors
