"""What holds for every walk through a session: the way does not matter, paint is exact, evidence is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines import PaperEngine, tiny_engine

from inter2former.errors import HistoryError
from inter2former.prompt import (
    Box,
    Click,
    Lasso,
    MaskPrompt,
    Scribble,
    Stroke,
    prompt_from_json,
    prompt_to_json,
)
from inter2former.session.painting import stroke_patch
from inter2former.session.tree import Session, Shelf
from inter2former.shapes import line_pixels

WIDTH, HEIGHT = 90, 60
# Working size 64: 1.4 original pixels are one working pixel. A ring is 12 working pixels, a disc 2.
SCALE = WIDTH / 64
IMAGE = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)

pixels = st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1))
around = st.tuples(st.integers(-20, WIDTH + 20), st.integers(-20, HEIGHT + 20))
clicks = st.builds(lambda at, positive: Click(*at, positive), pixels, st.booleans())
boxes = st.builds(lambda a, b: Box(min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1])), pixels, pixels)
lines = st.builds(lambda first, rest: (first, *rest), pixels, st.lists(around, max_size=4))
scribbles = st.builds(Scribble, lines, st.sampled_from([0.5, 2, 6.5]), st.booleans())
strokes = st.builds(Stroke, lines, st.sampled_from([0.5, 1.5, 8]), st.booleans())
lassos = st.builds(
    Lasso, st.lists(around, min_size=3, max_size=6, unique=True).filter(lambda p: touches(p)), st.booleans()
)
masks = st.integers(0, 3).map(lambda seed: MaskPrompt.of(np.random.default_rng(seed).random((HEIGHT, WIDTH)) > 0.9))
prompts = st.one_of(clicks, clicks, boxes, scribbles, strokes, strokes, lassos, masks)
moves = st.one_of(prompts, prompts, prompts, st.sampled_from(["undo", "undo", "redo", "reset"]))


def touches(points):
    x, y = zip(*points, strict=True)
    return max(x) >= 0 and min(x) < WIDTH and max(y) >= 0 and min(y) < HEIGHT


def assert_same(one, other):
    if one is None or other is None:
        assert one is other
        return
    np.testing.assert_array_equal(one.mask, other.mask)
    np.testing.assert_array_equal(one.logits, other.logits)
    assert (one.score, one.clicks, one.contradicted, one.prompts) == (
        other.score,
        other.clicks,
        other.contradicted,
        other.prompts,
    )


class Straight:
    """Answers of sessions that get their prompts one by one and never go back."""

    def __init__(self, engine, encoding):
        self.begin = lambda: Session(engine, encoding)
        self.session, self.known = self.begin(), {(): None}

    def answer(self, prompts):
        if prompts not in self.known:
            if self.session.prompts != prompts[:-1]:
                self.session = self.begin()
            for prompt in prompts[len(self.session.prompts) :]:
                self.session.add(prompt)
            self.known[prompts] = self.session.prediction
        return self.known[prompts]


def walk(session, steps):
    """Take the steps; yields after each one that was accepted."""
    for step in steps:
        before = session.prediction, session.prompts
        try:
            {"undo": session.undo, "redo": session.redo, "reset": session.reset}[step]() if isinstance(
                step, str
            ) else session.add(step)
        except (HistoryError, ValueError):
            # A click on a pixel that a stroke painted otherwise, or nothing to undo.
            assert (session.prediction, session.prompts) == before
            continue
        yield step


@pytest.mark.parametrize("budget", [0, 40_000, 1 << 20])
@settings(max_examples=12)
@given(steps=st.lists(moves, max_size=12))
def test_the_way_does_not_matter_nor_what_is_forgotten(budget, steps):
    engine = PaperEngine()
    encoding = engine.encode(IMAGE)
    session, straight = Session(engine, encoding, Shelf(budget, budget // 8)), Straight(engine, encoding)
    for _ in walk(session, steps):
        assert_same(session.prediction, straight.answer(session.prompts))
        assert session.shelf.predictions.used <= budget
        assert session.shelf.states.used <= budget // 8


@settings(max_examples=8)
@given(steps=st.lists(moves, max_size=6), data=st.data())
def test_a_whole_list_is_the_same_as_one_by_one(steps, data):
    engine = tiny_engine()
    encoding = engine.encode(IMAGE)
    session = Session(engine, encoding, Shelf(data.draw(st.sampled_from([0, 30_000, 1 << 20])), 10_000))
    seen = {(): None}
    for _ in walk(session, steps):
        seen[session.prompts] = session.prediction
    wanted = data.draw(st.sampled_from(sorted(seen, key=len)))
    assert_same(session.resume(wanted), seen[wanted])
    assert_same(Session(engine, encoding).resume(wanted), seen[wanted])
    assert session.prompts == wanted
    for count in range(len(wanted), 0, -1):
        session.undo()
        assert session.prompts == wanted[: count - 1]


@settings(max_examples=30)
@given(given=st.lists(prompts, max_size=10))
def test_painted_pixels_stay_as_painted(given):
    engine = PaperEngine()
    session = Session(engine, engine.encode(IMAGE))
    painted = np.full((HEIGHT, WIDTH), -1)
    for prompt in walk(session, given):
        before = None if len(session.prompts) == 1 else session.shelf.predictions
        if isinstance(prompt, MaskPrompt):
            painted[:] = -1
            np.testing.assert_array_equal(session.prediction.mask, prompt.mask)
        elif isinstance(prompt, Stroke):
            patch = stroke_patch(prompt, WIDTH, HEIGHT)
            inside = np.zeros((HEIGHT, WIDTH), dtype=bool)
            inside[patch.window] = patch.mask
            painted[inside] = not prompt.erase
            if before is not None:
                after = session.prediction.mask
                previous = session.undo().mask
                session.redo()
                np.testing.assert_array_equal(after[~inside], previous[~inside])
        mask, logits = session.prediction.mask, session.prediction.logits
        np.testing.assert_array_equal(mask[painted >= 0], painted[painted >= 0])
        np.testing.assert_array_equal(logits > 0, mask)


@settings(max_examples=30)
@given(given=st.lists(st.one_of(clicks, scribbles, boxes, strokes), max_size=8))
def test_evidence_is_kept_until_later_evidence_is_near(given):
    engine = PaperEngine()
    session = Session(engine, engine.encode(IMAGE))
    for _ in walk(session, given):
        said = session.prompts
        for index, prompt in enumerate(said):
            if isinstance(prompt, Click | Scribble):
                for x, y in evidence(prompt):
                    if not overruled(x, y, prompt.positive, said[index + 1 :]) and not painted(x, y, said):
                        assert session.prediction.mask[y, x] == prompt.positive, (prompt, said)


def evidence(prompt):
    if isinstance(prompt, Click):
        return [(prompt.x, prompt.y)]
    return line_pixels(np.array(prompt.points) + 0.5, WIDTH, HEIGHT)


def overruled(x, y, positive, later):
    return any(
        isinstance(prompt, Click | Scribble)
        and prompt.positive != positive
        and any(math.dist((x, y), at) <= (2 + 3) * SCALE for at in evidence(prompt))
        for prompt in later
    )


def painted(x, y, said):
    for prompt in said:
        if isinstance(prompt, Stroke):
            patch = stroke_patch(prompt, WIDTH, HEIGHT)
            row, column = y - patch.top, x - patch.left
            if 0 <= row < patch.mask.shape[0] and 0 <= column < patch.mask.shape[1] and patch.mask[row, column]:
                return True
    return False


@settings(max_examples=30)
@given(prompt=prompts)
def test_prompts_go_through_json(prompt):
    assert prompt_from_json(prompt_to_json(prompt)) == prompt
