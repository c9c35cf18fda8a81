"""Prompts as values: what they refuse, how they are normalised, and as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

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

NAN = float("nan")


def test_fractions_name_the_pixel_they_lie_in_and_repetitions_go():
    stroke = Stroke(np.array([[1.9, -0.5], [1.2, -0.1], [3, 4]]), np.float32(2))
    assert stroke.points == ((1, -1), (3, 4))
    assert all(type(value) is int for point in stroke.points for value in point)
    assert (stroke.radius, type(stroke.radius)) == (2.0, float)
    assert Box(1.9, 2, 3.1, 4.9) == Box(1, 2, 3, 4)


def test_equal_prompts_are_equal_values():
    mask = np.random.default_rng(0).random((5, 6)) > 0.5
    assert {Scribble([(1, 2)], 3), Scribble([[1.5, 2.5]], 3.0)} == {Scribble(((1, 2),), 3)}
    assert MaskPrompt.of(mask) == MaskPrompt.of(mask.astype(float))
    assert Stroke([(1, 2)], 3) != Stroke([(1, 2)], 3, erase=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Scribble([], 3), r"the scribble has no points; give at least one \(x, y\)"),
        (lambda: Stroke([(1, NAN)], 3), r"the stroke has the point \(1, nan\); wanted x and y in pixels"),
        (lambda: Stroke([(1, 2, 3)], 3), r"the stroke has the point \(1, 2, 3\)"),
        (lambda: Stroke([(1, 10**7)], 3), r"\(1, 10000000\); wanted .* between -1000000 and 1000000"),
        (lambda: Stroke([("1", 2)], 3), r"the stroke has the point \('1', 2\)"),
        (lambda: Stroke([(True, 2)], 3), r"the stroke has the point \(True, 2\)"),
        (lambda: Stroke([(1, 2)], 0.2), "the stroke's radius is 0.2; wanted pixels, at least 0.5"),
        (lambda: Scribble([(1, 2)], NAN), "the scribble's radius is nan"),
        (lambda: Lasso([(1, 2), (3, 4), (1.5, 2.5)]), "lasso has 2 different corners; give at least 3"),
        (lambda: Box(5, 5, 4, 9), r"box \(5, 5, 4, 9\) holds no pixel"),
        (lambda: Box(0, NAN, 4, 9), r"box \(0, nan, 4, 9\) holds no pixel"),
        (lambda: MaskPrompt(3, 3, "04"), "run lengths hold 4 pixels, its size 3x3 is 9"),
        (lambda: MaskPrompt(2, 2, "ü"), "the compressed run lengths are damaged"),
        (lambda: MaskPrompt.of(np.ones(3)), r"mask has shape \(3,\); expected \(H, W\)"),
    ],
)
def test_what_says_nothing_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_mask_comes_back():
    mask = np.random.default_rng(0).random((31, 17)) > 0.5
    prompt = MaskPrompt.of(mask)
    np.testing.assert_array_equal(prompt.mask, mask)
    assert (prompt.width, prompt.height, prompt.area) == (17, 31, mask.sum())


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (Click(1, 2, False), '{"type": "click", "x": 1, "y": 2, "positive": false}'),
        (Box(1, 2, 3, 4), '{"type": "box", "left": 1, "top": 2, "right": 3, "bottom": 4}'),
        (
            Scribble([(1, 2), (3, 4)], 2.5),
            '{"type": "scribble", "points": [[1, 2], [3, 4]], "radius": 2.5, "positive": true}',
        ),
        (Lasso([(1, 2), (3, 4), (0, 9)]), '{"type": "lasso", "points": [[1, 2], [3, 4], [0, 9]], "positive": true}'),
        (Stroke([(1, 2)], 3, True), '{"type": "stroke", "points": [[1, 2]], "radius": 3.0, "erase": true}'),
        (MaskPrompt.of(np.eye(2)), '{"type": "mask", "size": [2, 2], "counts": "0120"}'),
    ],
)
def test_json(prompt, text):
    assert json.dumps(prompt_to_json(prompt)) == text
    assert prompt_from_json(json.loads(text)) == prompt


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"a prompt is \[\]; wanted an object"),
        ({"type": "poke"}, "type 'poke'; wanted click, box, scribble, lasso, stroke or mask"),
        ({}, "type None"),
        ({"type": "click", "x": 1.5, "y": 2, "positive": True}, "a click has x 1.5; wanted int"),
        ({"type": "click", "x": 1, "y": 2, "positive": 1}, "a click has positive 1; wanted bool"),
        ({"type": "click", "x": True, "y": 2, "positive": True}, "a click has x True; wanted int"),
        ({"type": "stroke", "points": "ab", "radius": 2, "erase": False}, "a stroke has points 'ab'; wanted list"),
        ({"type": "stroke", "points": None, "radius": 2, "erase": False}, "a stroke has points None; wanted list"),
        ({"type": "lasso", "points": [1, 2, 3], "positive": True}, "the lasso has the point 1; wanted x and y"),
        ({"type": "mask", "size": [2], "counts": "04"}, r"a mask's size is \[2\]; wanted \[height, width\]"),
        ({"type": "mask", "size": [2, 2], "counts": 5}, "a mask has counts 5; wanted str"),
    ],
)
def test_other_json_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        prompt_from_json(value)
