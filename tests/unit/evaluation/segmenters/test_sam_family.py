"""What SAM-like segmenters share, on a stand-in for the network that remembers what it was asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from inter2former.errors import ImageNotSetError
from inter2former.evaluation.segmenters.sam_family import (
    SamSegmenter,
    input_points,
    padded_frame,
    squeezed_frame,
    upsample,
)
from inter2former.prompt import Click

SIZE = 64


class Stub(SamSegmenter):
    """Answers click number n with logits that are n on the left half and -n on the right."""

    def __init__(self, frame=padded_frame):
        super().__init__(SIZE)
        self.frame, self.pixels, self.asked = frame, [], []

    def fit(self, width, height):
        return self.frame(width, height, self.size)

    def encode_pixels(self, pixels):
        self.pixels.append(pixels)

    def decode(self, points, labels, previous, *, ambiguous):
        self.asked.append((points, labels, previous, ambiguous))
        logits = torch.full((1, 1, 16, 16), float(len(points)))
        logits[..., 8:] *= -1
        return logits


def test_each_click_asks_anew_with_all_clicks_and_the_last_logits(photo):
    stub = Stub()
    stub.encode(photo(32, 64))
    answers = [stub.step(click) for click in (Click(10, 20), Click(50, 3, False), Click(1, 1))]
    assert [len(points) for points, *_ in stub.asked] == [1, 2, 3]
    assert [labels.tolist() for _, labels, *_ in stub.asked] == [[1], [1, 0], [1, 0, 1]]
    assert [previous if previous is None else float(previous.max()) for _, _, previous, _ in stub.asked] == [None, 1, 2]
    assert [ambiguous for *_, ambiguous in stub.asked] == [True, False, False]
    torch.testing.assert_close(stub.asked[2][0], torch.tensor([[10.0, 20.0], [50.0, 3.0], [1.0, 1.0]]))
    for answer in answers:
        assert answer.mask.shape == (32, 64)
        assert answer.mask.dtype == np.bool_
        assert answer.logits().dtype == np.float32
        np.testing.assert_array_equal(answer.mask, answer.logits() > 0)
        assert answer.mask[:, :32].all()
        assert not answer.mask[:, 32:].any()


def test_reset_forgets_the_clicks_and_keeps_the_image(photo):
    stub = Stub()
    stub.encode(photo(32, 64))
    first = stub.step(Click(10, 20))
    stub.step(Click(50, 3, False))
    stub.reset()
    np.testing.assert_array_equal(stub.step(Click(10, 20)).logits(), first.logits())
    assert stub.asked[2][2:] == (None, True)
    assert len(stub.pixels) == 1


def test_a_new_image_forgets_the_clicks(photo):
    stub = Stub()
    stub.encode(photo(32, 64))
    stub.step(Click(10, 20))
    stub.encode(photo(40, 30))
    assert stub.step(Click(29, 39)).mask.shape == (40, 30)
    assert stub.asked[1][2:] == (None, True)


def test_clicks_that_the_mask_goes_against_are_named(photo):
    stub = Stub()
    stub.encode(photo(64, 64))
    assert stub.step(Click(10, 10)).contradicted == ()
    assert stub.step(Click(11, 10, False)).contradicted == (Click(11, 10, False),)
    assert stub.step(Click(60, 10)).contradicted == (Click(11, 10, False), Click(60, 10))


def test_a_click_without_an_image_is_refused():
    with pytest.raises(ImageNotSetError, match=r"call encode\(image\) first"):
        Stub().step(Click(0, 0))


def test_an_image_that_cannot_be_encoded_leaves_none(photo):
    stub = Stub()
    stub.encode(photo(32, 64))
    stub.encode_pixels = lambda pixels: 1 / 0
    with pytest.raises(ZeroDivisionError):
        stub.encode(photo(64, 32))
    with pytest.raises(ImageNotSetError):
        stub.step(Click(0, 0))


def test_padding_is_the_mean_colour(photo):
    stub = Stub()
    stub.encode(photo(32, 64))
    (pixels,) = stub.pixels
    assert pixels.shape == (1, 3, SIZE, SIZE)
    assert float(pixels[:, :, 32:].abs().max()) == 0
    assert float(pixels[:, :, :32].abs().min(1).values.max()) > 0


@pytest.mark.parametrize(
    ("frame", "content"), [(padded_frame, (64, 45)), (squeezed_frame, (64, 64))], ids=["padded", "squeezed"]
)
def test_frames(frame, content):
    fitted = frame(128, 90, 64)
    assert (fitted.content_width, fitted.content_height) == content
    assert (fitted.padded_width, fitted.padded_height) == (64, 64)


def test_points_are_scaled_pixel_numbers():
    points = input_points([Click(0, 0), Click(127, 89)], padded_frame(128, 90, 64))
    torch.testing.assert_close(points, torch.tensor([[0.0, 0.0], [63.5, 44.5]]))
    points = input_points([Click(127, 89)], squeezed_frame(128, 90, 64))
    torch.testing.assert_close(points, torch.tensor([[63.5, 89 * 64 / 90]]))


def test_logits_go_over_the_input_to_the_original_without_the_padding():
    frame = padded_frame(128, 80, 64)
    logits = torch.randn(1, 1, 16, 16)
    logits[:, :, 12:] = 1e6  # padding: the content ends after 40 of 64 rows, 10 of 16
    result = upsample(logits, frame)
    whole = F.interpolate(logits, (64, 64), mode="bilinear", align_corners=False)
    expected = F.interpolate(whole[:, :, :40], (80, 128), mode="bilinear", align_corners=False)
    assert result.shape == (80, 128)
    np.testing.assert_array_equal(result, expected[0, 0].numpy())
    assert np.abs(result).max() < 1e3
