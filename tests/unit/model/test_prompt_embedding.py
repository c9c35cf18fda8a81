"""The prompt embedding of a crop equals the convolution over the whole map."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from inter2former.config import DecoderConfig
from inter2former.model.boxes import POSSIBLE_BACKGROUND, prompt_box
from inter2former.model.prompt_embedding import DensePromptEmbedding, PromptEmbedding, prompt_embedding

# (top, left, bottom, right) in pixels of what is not possible background; image borders, one pixel, the whole map.
PLACES = [(40, 50, 70, 90), (0, 0, 3, 3), (127, 159, 128, 160), (0, 60, 128, 61), (64, 64, 65, 65), (0, 0, 128, 160)]


def make(border, kind=PromptEmbedding):
    torch.manual_seed(0)
    return kind((4, 6, 8, 8), border=border)


def dense(embedding, reference_map):
    """The convolution over the whole map with two tokens of possible background around it."""
    margin = 2 * embedding.stride
    padded = F.pad(reference_map[:, 0], (margin,) * 4, value=POSSIBLE_BACKGROUND)
    planes = embedding.states(padded.to(torch.int64)).permute(0, 3, 1, 2)
    return embedding.convolution(planes)[:, :, 2:-2, 2:-2]


@pytest.mark.parametrize("place", PLACES)
def test_background_border_equals_the_dense_convolution(place):
    embedding = make("background")
    top, left, bottom, right = place
    reference_map = torch.full((1, 1, 128, 160), POSSIBLE_BACKGROUND, dtype=torch.uint8)
    reference_map[:, :, top:bottom, left:right] = torch.randint(0, 5, (bottom - top, right - left), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(embedding(reference_map), dense(embedding, reference_map), rtol=1e-5, atol=1e-6)


def test_map_of_possible_background_is_the_background_everywhere():
    embedding = make("background")
    reference_map = torch.full((1, 1, 48, 64), POSSIBLE_BACKGROUND, dtype=torch.uint8)
    with torch.no_grad():
        expected = embedding.background()[None, :, None, None].expand(1, -1, 3, 4)
        torch.testing.assert_close(embedding(reference_map), expected, rtol=1e-5, atol=1e-6)


def test_zero_border_differs_only_in_the_first_row_and_column_of_the_box():
    embedding = make("zero")
    reference_map = torch.full((1, 1, 128, 160), POSSIBLE_BACKGROUND, dtype=torch.uint8)
    reference_map[:, :, 50:70, 60:90] = 4
    box = prompt_box(reference_map[0, 0], stride=embedding.stride)
    with torch.no_grad():
        difference = (embedding(reference_map) - dense(embedding, reference_map)).abs().amax(1)[0]
    assert difference[box.rows, box.left].max() > 1e-3
    difference[box.rows, box.left] = 0
    difference[box.top, box.columns] = 0
    assert difference.max() < 1e-6


def test_samples_of_a_batch_have_their_own_boxes():
    embedding = make("background")
    reference_map = torch.full((2, 1, 64, 64), POSSIBLE_BACKGROUND, dtype=torch.uint8)
    reference_map[0, :, 5, 5] = 4
    reference_map[1, :, 60, 40] = 0
    with torch.no_grad():
        both = embedding(reference_map)
        alone = torch.cat([embedding(sample[None]) for sample in reference_map])
    torch.testing.assert_close(both, alone, rtol=0, atol=0)


@pytest.mark.parametrize("place", PLACES)
def test_dense_form_equals_the_dynamic_one(place):
    dynamic, whole = make("background"), make("background", DensePromptEmbedding)
    top, left, bottom, right = place
    reference_map = torch.full((2, 1, 128, 160), POSSIBLE_BACKGROUND, dtype=torch.uint8)
    reference_map[0, :, top:bottom, left:right] = torch.randint(0, 5, (bottom - top, right - left), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(whole(reference_map), dynamic(reference_map), rtol=1e-5, atol=1e-6)


def test_dense_form_with_zeros_around_differs_at_borders_alone():
    dynamic, whole = make("zero"), make("zero", DensePromptEmbedding)
    reference_map = torch.full((1, 1, 128, 160), POSSIBLE_BACKGROUND, dtype=torch.uint8)
    reference_map[:, :, 50:70, 60:90] = 4
    box = prompt_box(reference_map[0, 0], stride=dynamic.stride)
    with torch.no_grad():
        difference = (whole(reference_map) - dynamic(reference_map)).abs().amax(1)[0]
    borders = torch.zeros_like(difference, dtype=torch.bool)
    borders[0] = borders[:, 0] = borders[box.rows, box.left] = borders[box.top, box.columns] = True
    assert difference[borders].min() > 1e-4
    assert difference[~borders].max() < 1e-6


def test_the_configuration_chooses():
    assert type(prompt_embedding(DecoderConfig())) is PromptEmbedding
    assert type(prompt_embedding(DecoderConfig(prompt="dense"))) is DensePromptEmbedding
