"""The facade with Segment Anything's names: shapes, orders, refusals, and the same answers as `Predictor`."""

from __future__ import annotations

import numpy as np
import pytest

from inter2former.errors import ImageNotSetError
from inter2former.sam import SamPredictor

POINTS = np.array([[65, 45], [20, 12], [90, 60]])
LABELS = np.array([1, 0, 1])


@pytest.fixture
def sam(shared_predictor, photo):
    facade = SamPredictor(shared_predictor)
    facade.set_image(photo())
    return facade


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def test_shapes_and_types(sam):
    masks, scores, low = sam.predict(POINTS, LABELS, multimask_output=True)
    assert (masks.dtype, masks.shape) == (np.bool_, (1, 90, 130))
    assert (scores.dtype, scores.shape) == (np.float32, (1,))
    assert (low.dtype, low.shape) == (np.float32, (1, 256, 256))
    assert 0 <= scores[0] <= 1
    masks[0, 0, 0] = True  # the caller's own


def test_logits_instead_of_masks(sam):
    masks, _, _ = sam.predict(POINTS, LABELS)
    logits, _, _ = sam.predict(POINTS, LABELS, return_logits=True)
    assert (logits.dtype, logits.shape) == (np.float32, (1, 90, 130))
    np.testing.assert_array_equal(logits > 0, masks)


def test_equal_to_the_predictor_with_the_same_clicks(sam, predictor):
    clicks = [(int(x), int(y), bool(label)) for (x, y), label in zip(POINTS, LABELS, strict=True)]
    for click in clicks:
        expected = predictor.add_click(*click)
    masks, scores, _ = sam.predict(POINTS, LABELS)
    np.testing.assert_array_equal(masks[0], expected.mask)
    assert scores[0] == np.float32(expected.score)
    assert [(c.x, c.y, c.positive) for c in sam.predictor.prediction.clicks] == clicks


def test_equal_to_the_predictor_with_a_box_before_the_clicks(sam, predictor):
    predictor.add_box(30, 20, 100, 70)
    expected = predictor.add_click(65, 45)
    masks, _, _ = sam.predict(POINTS[:1], LABELS[:1], box=np.array([[30, 20, 100, 70]]))
    np.testing.assert_array_equal(masks[0], expected.mask)


def test_every_call_begins_anew(sam):
    first, _, _ = sam.predict(POINTS, LABELS)
    sam.predict(POINTS[::-1], LABELS)
    again, _, _ = sam.predict(POINTS, LABELS)
    np.testing.assert_array_equal(again, first)
    sam.reset_image()
    assert sam.predictor.prediction is None


@pytest.mark.parametrize("channels", [3, 4])
def test_bgr_is_rgb_in_another_order(sam, photo, channels):
    image = photo() if channels == 3 else np.dstack([photo(), np.full((90, 130), 200, dtype=np.uint8)])
    sam.set_image(image)
    expected, _, _ = sam.predict(POINTS, LABELS, return_logits=True)
    sam.set_image(image[..., [2, 1, 0, 3][:channels]], image_format="BGR")
    swapped, _, _ = sam.predict(POINTS, LABELS, return_logits=True)
    np.testing.assert_array_equal(swapped, expected)
    sam.set_image(image[..., [2, 1, 0, 3][:channels]])
    assert not np.array_equal(sam.predict(POINTS, LABELS, return_logits=True)[0], expected)


@pytest.mark.parametrize("size", [(90, 128), (128, 51), (300, 260)])
def test_a_mask_can_be_given_back(sam, photo, disc, size):
    sam.set_image(photo(*size))
    masks, _, low = sam.predict(mask_input=disc(*size))
    assert overlap(masks[0], disc(*size)) > 0.98
    again, _, _ = sam.predict(mask_input=low)
    # The 256x256 logits of a binary mask blur its rim by up to a pixel.
    assert overlap(again[0], disc(*size)) > 0.9


def test_low_resolution_logits_lie_in_the_upper_left_of_the_square(sam, disc):
    _, _, low = sam.predict(mask_input=disc())
    inside = low[0] > 0
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    assert (rows[0] + rows[-1]) / 2 == pytest.approx(45 * 256 / 130, abs=2)
    assert (columns[0] + columns[-1]) / 2 == pytest.approx(65 * 256 / 130, abs=2)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({}, "there is no prompt; give point_coords"),
        ({"point_coords": np.zeros((0, 2)), "point_labels": []}, "there is no prompt"),
        ({"point_coords": POINTS}, "point_coords came without point_labels"),
        ({"point_labels": [1], "box": [10, 10, 40, 40]}, "point_labels came without point_coords"),
        ({"point_coords": POINTS, "point_labels": [1]}, r"shape \(3, 2\) and point_labels \(1,\); expected \(N, 2\)"),
        ({"point_coords": [1, 2], "point_labels": [1, 0]}, r"point_coords has shape \(2,\)"),
        ({"point_coords": POINTS, "point_labels": [1, -1, 1]}, "point_labels holds -1; a label is 1"),
        ({"point_coords": [[130, 4]], "point_labels": [1]}, r"click \(130.0, 4.0\) lies outside the 130x90 image"),
        ({"box": [1, 2, 3]}, r"box has shape \(3,\); it must be \(4,\)"),
        ({"box": [140, 2, 150, 9]}, "holds no pixel of the 130x90 image"),
        ({"mask_input": np.zeros((1, 64, 64))}, r"mask_input has shape \(64, 64\); expected \(1, 256, 256\)"),
    ],
)
def test_bad_prompts_are_refused(sam, prompt, message):
    with pytest.raises(ValueError, match=message):
        sam.predict(**prompt)


def test_the_image_comes_first(new_predictor, photo):
    sam = SamPredictor(new_predictor)
    with pytest.raises(ImageNotSetError, match="set_image"):
        sam.predict(POINTS, LABELS)
    with pytest.raises(ValueError, match="image_format is 'HSV'; it must be 'RGB' or 'BGR'"):
        sam.set_image(photo(), image_format="HSV")
