"""The simulated person: where, how steadily, and the same on every machine."""

from __future__ import annotations

import numpy as np
import pytest

from inter2former.clicks.realistic import RealisticClicker
from inter2former.prompt import Click

STEADY = RealisticClicker(jitter=0, miss=0)
TARGET = np.zeros((60, 90), dtype=bool)
TARGET[10:41, 20:61] = True
TARGET[50:53, 70:80] = True  # a second, shallower part
NOTHING = np.zeros_like(TARGET)


def draws(clicker, prediction=NOTHING, target=TARGET, amount=400, **options):
    return [
        clicker.next_click(prediction, target, seed=seed, session="a", number=1, **options) for seed in range(amount)
    ]


def test_pixels_are_drawn_in_proportion_to_their_depth():
    line = np.zeros((3, 11), dtype=bool)
    line[1, 1:10] = True  # every pixel is 1 deep
    counts = np.bincount([click.x for click in draws(STEADY, np.zeros_like(line), line, 1800)], minlength=11)
    assert counts[[0, 10]].tolist() == [0, 0]
    assert (abs(counts[1:10] - 200) < 5 * np.sqrt(200)).all()
    square = np.zeros((5, 5), dtype=bool)
    square[1:4, 1:4] = True  # the middle is 2 deep, the eight around it 1
    middle = sum(click == Click(2, 2) for click in draws(STEADY, np.zeros_like(square), square, 1500))
    assert middle == pytest.approx(1500 * 2 / 10, abs=5 * np.sqrt(1500 * 0.2 * 0.8))


def test_only_the_deeper_fault_is_seen():
    clicks = draws(STEADY)
    assert all(TARGET[click.y, click.x] and click.y <= 40 and click.positive for click in clicks)
    assert len(set(clicks)) > 200
    surplus = np.roll(TARGET, 25, axis=1)
    both = draws(STEADY, surplus, TARGET, 50)
    assert {click.positive for click in both} == {False}  # a tie is negative, as in the strict rule
    assert all(surplus[click.y, click.x] and not TARGET[click.y, click.x] for click in both)


def test_ignored_pixels_are_no_fault():
    ignore = np.zeros_like(TARGET)
    ignore[10:41, 20:61] = True
    clicks = draws(STEADY, ignore=ignore, amount=40)
    assert all(50 <= click.y < 53 for click in clicks)
    assert draws(STEADY, ignore=TARGET, amount=1) == [None]


def test_the_hand_trembles_at_the_scale_of_the_screen():
    large = np.zeros((401, 500), dtype=bool)
    large[200, 250] = True
    for jitter, screen, spread in ((2, 1000, 1), (2, 250, 4), (8, 1000, 4)):
        clicks = draws(RealisticClicker(jitter=jitter, miss=0, screen=screen), np.zeros_like(large), large, 800)
        for values, middle in (([c.x for c in clicks], 250), ([c.y for c in clicks], 200)):
            assert np.mean(values) == pytest.approx(middle, abs=5 * spread / np.sqrt(800) + 0.02)
            assert np.std(values) == pytest.approx(np.hypot(spread, np.sqrt(1 / 12)), rel=0.15)
        assert all(click.positive for click in clicks)  # the sign is what was meant


def test_clicks_stay_in_the_image():
    corner = np.zeros((9, 12), dtype=bool)
    corner[0, 0] = True
    clicks = draws(RealisticClicker(jitter=50_000, miss=0), np.zeros_like(corner), corner, 100)
    assert {(click.x, click.y) for click in clicks} >= {(0, 0), (11, 8)}
    assert all(0 <= click.x < 12 and 0 <= click.y < 9 for click in clicks)


def test_misses_land_just_outside():
    always = RealisticClicker(jitter=0, miss=1, miss_reach=4, screen=90)
    clicks = draws(always)
    for click in clicks:
        assert not (10 <= click.y <= 40 and 20 <= click.x <= 60)
        away = np.hypot(max(20 - click.x, 0, click.x - 60), max(10 - click.y, 0, click.y - 40))
        assert 0 < away <= 4.1
        assert click.positive
    assert len(set(clicks)) > 200
    some = draws(RealisticClicker(jitter=0, miss=0.1, screen=90), amount=1000)
    missed = sum(not TARGET[click.y, click.x] for click in some)
    assert missed == pytest.approx(100, abs=5 * np.sqrt(90))


def test_where_nothing_is_outside_nothing_is_missed():
    full = np.ones((6, 7), dtype=bool)
    assert all(draws(RealisticClicker(miss=1), ~full, full, 20))


def test_the_same_on_every_machine():
    clicker = RealisticClicker()
    clicks = [clicker.next_click(NOTHING, TARGET, seed=s, session="b", number=n) for s in (0, 1) for n in (1, 2)]
    assert clicks == [Click(27, 16), Click(35, 22), Click(30, 32), Click(19, 26)]
    assert clicker.next_click(NOTHING, TARGET, seed=0, session="c", number=1) != clicks[0]


def test_no_error_no_click():
    assert draws(STEADY, TARGET, TARGET, 1) == [None]
    assert draws(STEADY, np.zeros((0, 0)), np.zeros((0, 0)), 1) == [None]


def test_refusals():
    for options, reason in (
        ({"jitter": -1}, "jitter is -1"),
        ({"miss": 1.5}, "miss is 1.5"),
        ({"miss_reach": 0}, "miss_reach is 0"),
        ({"screen": float("nan")}, "screen is nan"),
    ):
        with pytest.raises(ValueError, match=reason):
            RealisticClicker(**options)
    with pytest.raises(ValueError, match=r"prediction has shape \(90, 60\)"):
        STEADY.next_click(NOTHING.T, TARGET, seed=0, session="a", number=1)
