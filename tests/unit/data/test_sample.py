"""What all data sets have in common: identities, subsets, pickling; objects that overlap and single bad objects."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from inter2former.data.folder import open_folder
from inter2former.data.sample import Annotation
from inter2former.errors import DataError

IMAGE = np.zeros((6, 8, 3), dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Stack(Annotation):
    """Masks on top of each other."""

    masks: tuple
    undecided: object = None

    @property
    def shape(self):
        return self.masks[0].shape

    @property
    def object_ids(self):
        return tuple(range(10, 10 + len(self.masks)))

    def areas(self):
        return np.array([mask.sum() for mask in self.masks], dtype=np.float64)

    def mask(self, position):
        return self.masks[position]

    def ignored(self):
        return self.undecided


@pytest.fixture
def dataset(make_folder, blocks):
    return open_folder(make_folder("set", {stem: (IMAGE, blocks(255)) for stem in "abcde"}))


def test_a_subset_keeps_name_and_order(dataset):
    part = dataset.subset(range(len(dataset))[::2][:2])
    assert (len(part), part.name, part.root) == (2, "set", dataset.root)
    assert [part.identity(index) for index in range(2)] == ["set/a", "set/c"]
    assert [dataset.subset([3, 1]).identity(index) for index in range(2)] == ["set/d", "set/b"]
    assert len(dataset) == 5
    assert len(dataset.subset([])) == 0


def test_a_data_set_survives_pickling(dataset):
    again = pickle.loads(pickle.dumps(dataset))
    assert again == dataset
    for one, other in zip(again.samples(), dataset.samples(), strict=True):
        assert one.id == other.id
        np.testing.assert_array_equal(one.mask, other.mask)


def test_the_files_are_image_and_mask(dataset):
    assert [path.relative_to(dataset.root).as_posix() for path in dataset.files(1)] == ["images/b.png", "masks/b.png"]
    assert dataset.image_path(1) == dataset.files(1)[0]


def test_overlapping_objects_and_ignored_pixels(blocks, tmp_path):
    undecided = blocks(0, 1, 1) == 1
    stack = Stack("set/a", tmp_path, "set", (blocks(1, 1) == 1, blocks(0, 1) == 1), undecided)
    first, second = stack.samples()
    assert [first.id, second.id] == ["set/a#10", "set/a#11"]
    np.testing.assert_array_equal(first.mask & second.mask, blocks(0, 1) == 1)
    # What is undecided for one is decided for the object that has the pixel.
    np.testing.assert_array_equal(first.ignore, blocks(0, 0, 1) == 1)
    np.testing.assert_array_equal(second.ignore, blocks(0, 0, 1) == 1)


def test_a_bad_object_is_named_and_the_others_stay(blocks, tmp_path):
    stack = Stack("set/a", tmp_path / "a.jpg", "set", (blocks() == 1, blocks(1) == 1))
    with pytest.raises(DataError, match=r"the object set/a#10 has no pixel; remove it from the annotation of .*a\.jpg"):
        stack.sample(0)
    with pytest.raises(DataError, match="set/a#10 has no pixel"):
        list(stack.samples())
    assert stack.sample(1).mask.sum() == 12
