"""Encodings in memory: each image is encoded once while there is room, and a prefetched one is waited for."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from inter2former.session.encodings import Encodings

IMAGES = [np.full((4, 5, 3), value, dtype=np.uint8) for value in range(3)]


class CountingEngine:
    """Encodes to a value that says which image it was; may be told to wait or to fail."""

    def __init__(self):
        self.encoded = []
        self.go = threading.Event()
        self.go.set()

    def encode(self, image):
        assert self.go.wait(10)
        self.encoded.append(int(image[0, 0, 0]))
        if image[0, 0, 0] == 99:
            raise ValueError("this one cannot be encoded")
        return SimpleNamespace(image=int(image[0, 0, 0]), nbytes=100)


@pytest.fixture
def engine():
    return CountingEngine()


def values(encodings, *numbers):
    return [encodings.get(IMAGES[number].copy()).image for number in numbers]


def test_without_room_each_is_encoded_again(engine):
    assert values(Encodings(engine), 0, 0, 1) == [0, 0, 1]
    assert engine.encoded == [0, 0, 1]


def test_the_one_not_used_for_longest_leaves(engine):
    assert values(Encodings(engine, budget=200), 0, 1, 0, 2, 0, 1) == [0, 1, 0, 2, 0, 1]
    assert engine.encoded == [0, 1, 2, 1]


@pytest.mark.parametrize("budget", [0, 1000])
def test_a_prefetched_image_is_encoded_once(engine, budget):
    encodings = Encodings(engine, budget)
    for number in (1, 1, 2):
        encodings.prefetch(IMAGES[number])
    assert values(encodings, 0, 2, 1) == [0, 2, 1]
    assert sorted(engine.encoded) == [0, 1, 2]


def test_an_image_on_its_way_is_waited_for(engine):
    encodings = Encodings(engine)
    engine.go.clear()
    encodings.prefetch(IMAGES[1])
    threading.Timer(0.05, engine.go.set).start()
    assert values(encodings, 1) == [1]
    assert engine.encoded == [1]


def test_an_image_that_waits_behind_another_is_encoded_at_once(engine):
    encodings = Encodings(engine)
    engine.go.clear()
    encodings.prefetch(IMAGES[1])
    encodings.prefetch(IMAGES[2])
    threading.Timer(0.05, engine.go.set).start()
    assert values(encodings, 2, 1) == [2, 1]
    assert sorted(engine.encoded) == [1, 2]


def test_what_fails_ahead_fails_when_it_is_asked_for(engine):
    encodings = Encodings(engine, budget=1000)
    bad = np.full((4, 5, 3), 99, dtype=np.uint8)
    encodings.prefetch(bad)
    with pytest.raises(ValueError, match="cannot be encoded"):
        encodings.get(bad)
    with pytest.raises(ValueError, match="cannot be encoded"):
        encodings.get(bad)
    assert engine.encoded == [99, 99]


def test_a_negative_budget_is_refused(engine):
    with pytest.raises(ValueError, match="-1 bytes; it must be at least 0"):
        Encodings(engine, budget=-1)
