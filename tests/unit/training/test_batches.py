"""Sources of batches: mixtures draw by the step, and threads prepare the same batches ahead."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from inter2former.errors import DataError
from inter2former.training.batches import Batch, Mixture, Prefetched, draw_batch, padded_target


class Numbers:
    """Batches that hold who made them and for which step; remembers in which threads."""

    def __init__(self, number):
        self.number = number
        self.threads = set()

    def batch(self, step, *, rank=0, processes=1):
        self.threads.add(threading.current_thread().name)
        if self.number == 9 and step == 13:
            raise DataError("a.png: damaged")
        values = torch.tensor([self.number, step, rank, processes], dtype=torch.float32)
        return Batch(values, None, values)


def content(batch):
    return batch.image.int().tolist()


def test_a_mixture_is_its_step():
    mixture = Mixture([(Numbers(0), 3.0), (Numbers(1), 1.0), (Numbers(2), 0.0)], seed=5)
    numbers = [content(mixture.batch(step))[0] for step in range(400)]
    assert numbers == [content(mixture.batch(step, rank=1, processes=2))[0] for step in range(400)]
    shares = np.bincount(numbers, minlength=3) / 400
    np.testing.assert_allclose(shares, [0.75, 0.25, 0], atol=0.09)
    assert content(mixture.batch(3, rank=1, processes=2))[1:] == [3, 1, 2]


@pytest.mark.parametrize("shares", [[], [0.0, 0.0], [1.0, -0.5]])
def test_shares_that_cannot_be_drawn(shares):
    with pytest.raises(ValueError, match="the shares of the sources are"):
        Mixture([(Numbers(0), share) for share in shares], seed=0)


def test_batches_from_threads_are_the_same():
    source = Numbers(4)
    with Prefetched(source, 2) as ahead:
        for step in (0, 1, 2, 7, 8, 3):  # a run that begins anew goes back
            for rank in (0, 1):
                assert content(ahead.batch(step, rank=rank, processes=2)) == [4, step, rank, 2]
    assert all(name.startswith("batch") for name in source.threads)


def test_an_error_comes_at_its_step():
    with Prefetched(Numbers(9), 3) as ahead:
        assert content(ahead.batch(12))[1] == 12
        with pytest.raises(DataError, match=r"a\.png: damaged"):
            ahead.batch(13)
    with pytest.raises(ValueError, match="in 0 threads; give at least 1"):
        Prefetched(Numbers(0), 0)


def test_processes_share_out_a_step(settings):
    def crop(rng, side):
        plane = torch.full((1, 1, side, side), float(rng.integers(1000)))
        return Batch(plane, None, plane)

    whole = draw_batch(settings, 3, 0, 1, crop)
    halves = [draw_batch(settings, 3, rank, 2, crop) for rank in (0, 1)]
    assert len(whole.image) == 2 * len(halves[0].image) == 2 * len(halves[1].image) == 2
    assert whole.embedding is None
    assert not torch.equal(halves[0].image, halves[1].image)
    torch.testing.assert_close(halves[0].image, whole.image[:1], rtol=0, atol=0)


def test_a_window_at_the_rim_is_filled():
    plane = np.arange(12, dtype=np.uint8).reshape(3, 4)
    expected = np.full((3, 3), 255)
    expected[:2, :2] = [[6, 7], [10, 11]]
    np.testing.assert_array_equal(padded_target(plane, 1, 2, 3, fill=255), expected)
