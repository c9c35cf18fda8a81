"""Which objects make a target: one by its area, or several merged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inter2former.data.label_maps import LabelMap, Labels
from inter2former.training.objects import ObjectSampling, draw_objects, merged

AREAS = np.array([100.0, 0.0, 900.0, 400.0])


def draws(sampling, count=4000):
    rng = np.random.default_rng(0)
    return [draw_objects(rng, AREAS, sampling) for _ in range(count)]


def test_one_object_by_the_root_of_its_area():
    shares = np.bincount([only for (only,) in draws(ObjectSampling())], minlength=4) / 4000
    # Four standard deviations of a count of 4000 stay below 0.032.
    np.testing.assert_allclose(shares, [1 / 6, 0, 3 / 6, 2 / 6], atol=0.032)


def test_without_merging_one_number_is_drawn():
    one, other = np.random.default_rng(0), np.random.default_rng(0)
    weights = np.sqrt(AREAS)
    for _ in range(50):
        assert draw_objects(one, AREAS, ObjectSampling()) == [int(other.choice(4, p=weights / weights.sum()))]
    assert one.random() == other.random()


def test_merging_as_often_and_as_many_as_asked():
    found = draws(ObjectSampling(0.5, 3))
    sizes = np.bincount([len(chosen) for chosen in found], minlength=4) / 4000
    np.testing.assert_allclose(sizes, [0, 0.5, 0.25, 0.25], atol=0.032)
    assert all(len(set(chosen)) == len(chosen) and 1 not in chosen for chosen in found)
    assert {tuple(sorted(chosen)) for chosen in found if len(chosen) == 3} == {(0, 2, 3)}
    assert {len(chosen) for chosen in draws(ObjectSampling(1.0, 2), 50)} == {2}


def test_there_are_not_always_others():
    rng = np.random.default_rng(0)
    assert draw_objects(rng, np.array([0.0, 5.0]), ObjectSampling(1.0, 3)) == [1]
    assert draw_objects(rng, np.array([4.0, 5.0]), ObjectSampling(1.0, 1)) in ([0], [1])
    assert draw_objects(rng, np.zeros(3), ObjectSampling(1.0, 3)) == []
    assert draw_objects(rng, np.zeros(0), ObjectSampling()) == []


def test_merged_pixels():
    values = np.array([[1, 1, 2, 2, 3, 0]])
    ignored = np.array([[False, True, False, True, False, True]])
    annotation = LabelMap("a", Path("a.png"), "set", Labels(values, ignored))
    mask, ignore = merged(annotation, [0, 2])
    np.testing.assert_array_equal(mask, [[True, True, False, False, True, False]])
    np.testing.assert_array_equal(ignore, [[False, False, False, True, False, True]])
    mask, ignore = merged(LabelMap("a", Path("a.png"), "set", Labels(values, None)), [1])
    np.testing.assert_array_equal(mask, values == 2)
    assert ignore is None


def test_refusals():
    with pytest.raises(ValueError, match=r"merge_probability is 1\.5; it must be in 0\.\.1"):
        ObjectSampling(1.5)
    with pytest.raises(ValueError, match="merged objects is 0; it must be at least 1"):
        ObjectSampling(0.5, 0)
