"""Augmentations: sizes, ranges, what stays as it was, and refusals."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from inter2former.data.transforms import (
    Blur,
    ColourJitter,
    Crop,
    Flip,
    Jpeg,
    Noise,
    Picture,
    ResizeRange,
    apply,
)

EVERY = (ResizeRange(20, 60), Flip(), Crop(16), ColourJitter(), Blur(1.0), Jpeg(1.0), Noise(1.0))


@pytest.fixture
def picture(photo, disc):
    labels = disc(30, 40).astype(np.uint16) * 700
    ignore = np.zeros((30, 40), dtype=bool)
    ignore[:4] = True
    return Picture(photo(30, 40), labels, ignore)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("transform", EVERY, ids=lambda transform: type(transform).__name__)
def test_each_is_its_generator_and_leaves_its_argument_alone(transform, picture):
    before = pickle.loads(pickle.dumps(picture))
    first, again = transform(picture, rng(3)), pickle.loads(pickle.dumps(transform))(picture, rng(3))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(picture, before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (first.image.dtype, first.labels.dtype, first.ignore.dtype) == (np.uint8, np.uint16, np.bool_)
    assert first.image.shape[:2] == first.labels.shape == first.ignore.shape


@pytest.mark.parametrize("transform", EVERY, ids=lambda transform: type(transform).__name__)
def test_each_does_without_ignored_pixels(transform, picture):
    assert transform(picture._replace(ignore=None), rng()).ignore is None


def test_resizing_keeps_the_aspect_and_stays_in_range(picture):
    for seed in range(20):
        height, width = ResizeRange(20, 60)(picture, rng(seed)).labels.shape
        assert 20 <= width <= 60
        assert abs(height - 0.75 * width) <= 0.5
    assert ResizeRange(80, 80)(picture, rng()).labels.shape == (60, 80)


def test_labels_at_twice_the_size_are_repeated(picture):
    doubled = ResizeRange(80, 80)(picture, rng())
    np.testing.assert_array_equal(doubled.labels, picture.labels.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(doubled.ignore, picture.ignore.repeat(2, 0).repeat(2, 1))


def test_flipping_twice_is_nothing(picture):
    twice = apply((Flip(1.0), Flip(1.0)), picture, rng())
    once = Flip(1.0)(picture, rng())
    assert not np.array_equal(once.image, picture.image)
    for one, other in zip(twice, picture, strict=True):
        np.testing.assert_array_equal(one, other)
    assert Flip(0.0)(picture, rng()) is picture


def test_a_crop_holds_the_object(picture):
    labels = np.zeros((30, 40), dtype=np.uint8)
    labels[28, 2] = 5
    for seed in range(10):
        cropped = Crop(8)(picture._replace(labels=labels), rng(seed))
        assert cropped.labels.shape == (8, 8)
        assert (cropped.labels == 5).sum() == 1
    assert Crop(35)(picture, rng()).labels.shape == (30, 35)
    assert Crop(8)(picture._replace(labels=0 * labels), rng()).labels.shape == (8, 8)


@pytest.mark.parametrize("transform", [ColourJitter(), Blur(1.0), Jpeg(1.0), Noise(1.0)])
def test_looks_leave_the_labels(transform, picture):
    changed = transform(picture, rng())
    assert not np.array_equal(changed.image, picture.image)
    assert changed.labels is picture.labels
    assert changed.ignore is picture.ignore


@pytest.mark.parametrize("transform", [Blur(0.0), Jpeg(0.0), Noise(0.0)])
def test_what_is_improbable_does_not_happen(transform, picture):
    assert transform(picture, rng()) is picture


def test_noise_is_as_strong_as_asked():
    grey = Picture(np.full((120, 120, 3), 128, dtype=np.uint8), np.zeros((120, 120), dtype=np.uint8))
    difference = Noise(1.0, (6.0, 6.0))(grey, rng()).image.astype(float) - 128
    # The common part and half of the channel's own: 6 * sqrt(1 + 1/4) = 6.7 per channel, correlated by 0.8.
    assert difference.std() == pytest.approx(6.7, abs=0.2)
    assert abs(difference.mean()) < 0.3
    assert np.corrcoef(difference[..., 0].ravel(), difference[..., 1].ravel())[0, 1] == pytest.approx(0.8, abs=0.03)


def test_colours_move_as_far_as_asked(picture):
    assert np.array_equal(ColourJitter(0, 0, 0, 0)(picture, rng()).image, picture.image)
    grey = np.full((8, 8, 3), 100, dtype=np.uint8)
    means = [
        ColourJitter(0.2, 0, 0, 0)(Picture(grey, grey[..., 0]), rng(seed)).image.mean() - 100 for seed in range(40)
    ]
    assert max(means) <= 51
    assert min(means) >= -51
    assert max(means) > 30
    assert min(means) < -30


def test_refusals(picture):
    with pytest.raises(ValueError, match="ResizeRange: 9 to 3 is no range"):
        ResizeRange(9, 3)
    with pytest.raises(ValueError, match="Crop: 0 to 0 is no range"):
        Crop(0)
    with pytest.raises(ValueError, match=r"qualities of Jpeg are \(50, 101\); the greatest quality is 100"):
        Jpeg(qualities=(50, 101))
    with pytest.raises(ValueError, match="sigmas of Noise: -1 to 2"):
        Noise(sigmas=(-1, 2))
    with pytest.raises(ValueError, match=r"the image is \(30, 40\), its labels \(5, 5\)"):
        apply((), picture._replace(labels=np.zeros((5, 5), dtype=np.uint8)), rng())
    with pytest.raises(ValueError, match=r"image is float64 \(30, 40, 3\)"):
        apply((), picture._replace(image=picture.image / 255), rng())
