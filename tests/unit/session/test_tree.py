"""Moves in the tree of prompts: what undo, redo, branches and forgetting do, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engines import PaperEngine

from inter2former.errors import HistoryError
from inter2former.prompt import Box, Click, Lasso, MaskPrompt, Scribble, Stroke
from inter2former.session.tree import Session, Shelf

WIDTH, HEIGHT = 90, 60
A, B, C, D = Click(10, 10), Click(40, 30, False), Click(70, 50), Click(20, 50)


@pytest.fixture
def engine():
    return PaperEngine()


@pytest.fixture
def encoding(engine):
    return engine.encode(np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))


@pytest.fixture
def session(engine, encoding):
    return Session(engine, encoding)


def test_a_known_prefix_costs_nothing(session, engine):
    answers = [session.add(prompt) for prompt in (A, B, C)]
    assert engine.answers == 3
    assert session.resume([A, B]) is answers[1]
    assert session.resume([A, B, C]) is answers[2]
    assert engine.answers == 3
    session.resume([A, B, D])
    assert engine.answers == 4
    assert session.resume([]) is None
    assert session.prompts == ()


def test_branches_are_kept_and_listed(session):
    session.resume([A, B, C])
    session.resume([A, D])
    session.resume([A])
    assert session.continuations() == ((B, C), (D,))
    session.resume([A, B])
    assert session.continuations() == ((C,),)
    session.reset()
    assert session.continuations() == ()


def test_redo_follows_the_way_back(session):
    for prompt in (A, B, C):
        session.add(prompt)
    session.undo()
    session.undo()
    assert session.undone == (B, C)
    session.redo()
    assert (session.prompts, session.undone) == ((A, B), (C,))


def test_the_same_prompt_again_begins_a_new_future(session, engine):
    for prompt in (A, B):
        session.add(prompt)
    session.undo()
    session.undo()
    known = session.add(A)
    assert engine.answers == 2
    assert session.undone == ()
    with pytest.raises(HistoryError, match="nothing to redo"):
        session.redo()
    assert session.add(B).prompts == (A, B)
    assert session.undo() is known


def test_resume_can_bring_the_undone_prompts_too(session, engine):
    session.resume([A], undone=[B, C])
    assert engine.answers == 1
    assert session.undone == (B, C)
    assert session.redo().prompts == (A, B)
    assert session.redo().prompts == (A, B, C)
    with pytest.raises(HistoryError):
        session.redo()


def test_equal_prompts_in_a_row_are_prompts_of_their_own(session):
    session.add(A)
    session.add(A)
    assert session.prompts == (A, A)
    session.undo()
    assert session.prompts == (A,)


def test_a_refused_prompt_changes_nothing(session, engine):
    session.add(Stroke([(30, 30), (50, 30)], 3, erase=True))
    before = session.add(A)
    for prompts, message in (
        ([Click(40, 30)], r"click \(40, 30\) contradicts a stroke: the pixel is erased; paint over it"),
        ([Click(90, 3)], r"click \(90, 3\) lies outside the 90x60 image"),
        ([Box(100, 3, 120, 9)], r"box \(100, 3, 120, 9\) holds no pixel of the 90x60 image"),
        ([Scribble([(-5, -5), (-9, 70)], 2)], r"the scribble from \(-5, -5\) touches no pixel of the 90x60 image"),
        ([Lasso([(-5, -5), (-9, 70), (-1, 3)])], r"the lasso from \(-5, -5\) encloses no pixel of the 90x60 image"),
        ([Stroke([(-50, -5)], 3)], r"the stroke from \(-50, -5\) paints no pixel of the 90x60 image"),
        ([MaskPrompt.of(np.ones((9, 9)))], "the mask is 9x9, but the image is 90x60"),
    ):
        with pytest.raises(ValueError, match=message):
            session.add(prompts[0])
        with pytest.raises(ValueError, match=message):
            session.resume([*session.prompts, C, *prompts])
        assert session.prediction is before
        assert session.prompts == before.prompts
    assert session.undone == ()


def test_a_negative_click_on_painted_and_a_positive_one_on_erased_pixels_are_told_apart(session):
    session.add(Stroke([(30, 30)], 3))
    assert session.add(Click(30, 30)).mask[30, 30]
    with pytest.raises(ValueError, match="the pixel is painted"):
        session.add(Click(30, 30, False))
    session.add(Stroke([(30, 30)], 3, erase=True))
    assert not session.add(Click(30, 30, False)).mask[30, 30]
    assert session.prediction.contradicted == session.prediction.contradicted


def test_strokes_ask_nobody(session, engine):
    session.add(A)
    before = session.prediction
    painted = session.add(Stroke([(60, 5), (80, 5)], 2))
    assert engine.answers == 1
    assert (painted.score, painted.clicks, painted.timings["network"]) == (before.score, (A,), 0)
    changed = painted.mask != before.mask
    assert changed.any()
    assert not changed[8:].any()
    assert not session.add(Stroke([(60, 5), (80, 5)], 2, erase=True)).mask[5, 60:81].any()


def test_a_mask_replaces_what_was_said(session, engine):
    session.resume([A, Stroke([(60, 5)], 2)])
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[20:40, 30:31] = True
    given = session.add(MaskPrompt.of(mask))
    np.testing.assert_array_equal(given.mask, mask)
    assert (given.clicks, given.score) == ((), 1.0)
    assert engine.answers == 1
    after = session.add(B)
    assert after.clicks == (B,)
    assert after.prompts == session.prompts
    assert len(after.prompts) == 4


def test_a_lasso_clears_its_core_until_a_later_click_says_otherwise(session):
    square = [(20, 15), (70, 15), (70, 45), (20, 45)]
    session.add(MaskPrompt.of(np.ones((HEIGHT, WIDTH))))
    cleared = session.add(Lasso(square, positive=False))
    # The rim, a fifth of the depth of 15 px, is left to the network; what was outside is its to change as well.
    assert not cleared.mask[20:40, 26:64].any()
    assert not session.add(Click(2, 2)).mask[20:40, 26:64].any()
    back = session.add(Click(45, 30))
    assert back.mask[30, 45]
    assert not session.add(Lasso(square, positive=False)).mask[20:40, 26:64].any()
    assert session.add(Lasso(square)).mask[26:34, 35:55].any()


def test_what_has_left_the_shelf_comes_back_the_same(engine, encoding):
    prompts = [
        A,
        Stroke([(30, 20), (50, 20)], 3),
        Stroke([(40, 20)], 3, erase=True),
        B,
        C,
        Scribble([(5, 5), (9, 40)], 2),
    ]
    everything = Session(engine, encoding)
    expected = [everything.add(prompt) for prompt in prompts]
    for budget in (0, expected[0].nbytes * 2):
        forgetful = Session(engine, encoding, Shelf(predictions=budget, states=budget // 10))
        for prompt in prompts:
            forgetful.add(prompt)
        for wanted in reversed(expected[:-1]):
            found = forgetful.undo()
            assert found is not wanted
            np.testing.assert_array_equal(found.logits, wanted.logits)
            np.testing.assert_array_equal(found.mask, wanted.mask)
        assert forgetful.shelf.predictions.used <= budget


def test_states_outlive_answers_so_that_coming_back_costs_one_answer(engine, encoding):
    session = Session(engine, encoding, Shelf(predictions=0))
    for prompt in (A, B, C, D):
        session.add(prompt)
    engine.answers = 0
    session.undo()
    session.undo()
    assert engine.answers == 2


def test_sessions_share_a_shelf_and_leave_it(engine, encoding):
    shelf = Shelf()
    first, second = Session(engine, encoding, shelf), Session(engine, encoding, shelf)
    first.add(A)
    used = shelf.used
    second.add(A)
    assert shelf.used == 2 * used
    first.close()
    assert shelf.used == used
    assert first.prediction.prompts == (A,)
    assert first.add(B).prompts == (A, B)
    second.reset()
    assert second.prediction is None


def test_old_branches_are_forgotten_and_the_present_one_is_not(engine, encoding, monkeypatch):
    monkeypatch.setattr(Session, "MOST_NODES", 30)
    session = Session(engine, encoding, Shelf(predictions=0, states=0))
    session.resume([A, B, C])
    session.undo()
    session.undo()
    for number in range(60):
        session.resume([A], undone=[B, C])
        session.add(Click(number, 1))
        session.undo()
    session.resume([A], undone=[B, C])
    assert len(list(session._all_nodes())) <= 32
    assert session.undone == (B, C)
    assert session.redo().prompts == (A, B)


def test_a_prediction_says_how_much_memory_it_takes(session):
    prediction = session.add(A)
    assert prediction.nbytes == HEIGHT * WIDTH + prediction._local.nbytes
    assert session.shelf.predictions.used == prediction.nbytes
