"""Crops: the same draw for the same step, and image, embedding and target of one place."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

from inter2former.config import PIXEL_MEAN, PIXEL_STD
from inter2former.data.folder import open_folder
from inter2former.data.layouts import open_dataset
from inter2former.errors import DataError
from inter2former.masks import encode_rle
from inter2former.training.crops import CropSampler
from inter2former.training.embedding_cache import CachedImage
from inter2former.training.losses import IGNORE

LONGEST = 128


class CoordinateCache:
    """Instead of a photo: pixels that hold their row and column, tokens that hold theirs."""

    def __init__(self, height, width):
        y, x = np.mgrid[:height, :width].astype(np.uint8)
        rows, columns = np.mgrid[: -(-height // 16), : -(-width // 16)].astype(np.float16)
        self.cached = CachedImage(np.stack((y, x, 0 * x), axis=2), np.stack((rows, columns)))

    def get(self, path):
        return self.cached


@pytest.fixture
def sampler(make_folder, settings):
    """Makes a sampler of one picture of coordinates with this mask: `sampler(mask, side)`."""

    def make(mask, side=64, **changes):
        folder = make_folder("set", {"a": (np.zeros((*mask.shape, 3), dtype=np.uint8), mask)})
        chosen = dataclasses.replace(settings, crop_sides=(side,), tokens_per_step=4 * (side // 16) ** 2, **changes)
        return CropSampler([open_folder(folder)], CoordinateCache(*mask.shape), chosen)

    return make


def coordinates(batch):
    """Row and column that each pixel and each token of the crops holds: (B, 2, S, S) and (B, 2, S/16, S/16)."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))
    return (batch.image * std + mean).round().int()[:, :2].numpy(), batch.embedding.int().numpy()


def corners(batch):
    return batch.embedding[:, :, 0, 0]


def wide_object(height=100, width=LONGEST):
    mask = np.zeros((height, width), dtype=bool)
    mask[10:90, 15:120] = True
    return mask


def test_a_batch_is_its_step_and_nothing_else(sampler):
    draw = sampler(wide_object())
    first = draw.batch(3)
    draw.batch(9)
    for one, again in zip(first, draw.batch(3), strict=True):
        torch.testing.assert_close(one, again, rtol=0, atol=0)
    assert not torch.equal(corners(draw.batch(4)), corners(first))
    assert not torch.equal(corners(draw.batch(3, rank=1, processes=1)), corners(first))


def test_shapes(sampler):
    draw = sampler(wide_object())
    batch = draw.batch(0)
    assert (batch.image.dtype, batch.image.shape) == (torch.float32, (4, 3, 64, 64))
    assert (batch.embedding.dtype, batch.embedding.shape) == (torch.float32, (4, 2, 4, 4))
    assert (batch.target.dtype, batch.target.shape) == (torch.uint8, (4, 1, 64, 64))
    assert len(draw.batch(0, processes=2).image) == 2


def test_image_embedding_and_target_are_of_one_place(sampler):
    mask = wide_object()
    draw = sampler(mask)
    for step in range(10):
        batch = draw.batch(step)
        pixels, tokens = coordinates(batch)
        np.testing.assert_array_equal(pixels[:, :, ::16, ::16], 16 * tokens)
        for (rows, columns), target in zip(pixels, batch.target[:, 0].numpy(), strict=True):
            inside = target != IGNORE
            np.testing.assert_array_equal(target[inside] == 1, mask[rows, columns][inside])


# 100 rows are 6.25 tokens: the last rows lie in a token that is mostly padding.
@pytest.mark.parametrize(("rows", "columns"), [((0, 3), (0, 9)), ((97, 100), (120, 128)), ((50, 53), (60, 70))])
def test_a_small_object_is_in_its_crop_wherever_it_lies(sampler, rows, columns):
    mask = np.zeros((100, LONGEST), dtype=bool)
    mask[slice(*rows), slice(*columns)] = True
    draw = sampler(mask, min_object_pixels=1)
    for step in range(10):
        assert (draw.batch(step).target == 1).flatten(1).any(dim=1).all()


@pytest.mark.parametrize("side", [112, 160])
def test_what_lies_beyond_the_image_is_ignored_and_repeats_its_rim(sampler, side):
    batch = sampler(wide_object(), side=side).batch(0)
    pixels, tokens = coordinates(batch)
    for (rows, columns), (token_rows, token_columns), target in zip(
        pixels, tokens, batch.target[:, 0].numpy(), strict=True
    ):
        left = columns[0, 0]
        inside = np.zeros((side, side), dtype=bool)
        inside[: 100 - rows[0, 0], : LONGEST - left] = True
        np.testing.assert_array_equal(target == IGNORE, ~inside)
        assert rows[-1].max() == 99
        assert columns[:, -1].max() == min(left + side, LONGEST) - 1
        assert (token_rows[-1] == min(rows[0, 0] // 16 + side // 16, 7) - 1).all()
        assert (token_columns[:, -1] == min(left // 16 + side // 16, 8) - 1).all()


def test_undecided_pixels_are_ignored(sampler):
    mask = np.where(wide_object(), 255, 0).astype(np.uint8)
    mask[:, 70:80] = 128
    batch = sampler(mask, side=128).batch(0)
    assert (batch.target[..., :100, 70:80] == IGNORE).all()
    assert (batch.target[..., 50, 20:70] == 1).all()


def test_only_one_object_is_the_target(sampler):
    mask = np.zeros((100, LONGEST), dtype=np.uint8)
    mask[10:40, 10:40], mask[50:90, 60:120] = 1, 2
    draw = sampler(mask, side=128)
    for step in range(4):
        for target in draw.batch(step).target[:, 0].numpy():
            found = np.unique(mask[target[:100] == 1])
            assert len(found) == 1
            assert found[0] in (1, 2)


def test_the_draws_of_a_folder_stay_what_they_are(sampler):
    """The digest is of commit 15c2de5, before data sets could hold objects that overlap."""
    mask = np.zeros((100, LONGEST), dtype=np.uint8)
    mask[5:95, 5:60], mask[10:40, 70:100], mask[60:90, 64:120] = 3, 7, 200
    draw, digest = sampler(mask), hashlib.sha256()
    for step in range(6):
        batch = draw.batch(step)
        # Both hold whole numbers; the image's last bits depend on the machine.
        for part in (batch.embedding, batch.target):
            digest.update(part.contiguous().numpy().tobytes())
    assert digest.hexdigest()[:16] == "376803ea0804edb0"


@pytest.fixture
def coco(tmp_path, settings):
    """Makes a sampler of a COCO file with one photo: `coco(annotations)`."""

    def make(annotations):
        (tmp_path / "images").mkdir()
        Image.fromarray(np.zeros((100, LONGEST, 3), dtype=np.uint8)).save(tmp_path / "images" / "a.png")
        listed = [{"id": id, "image_id": 1, **entry} for id, entry in enumerate(annotations, 1)]
        images = [{"id": 1, "file_name": "a.png", "height": 100, "width": LONGEST}]
        path = tmp_path / "set.json"
        path.write_text(json.dumps({"images": images, "annotations": listed}))
        chosen = dataclasses.replace(settings, crop_sides=(128,), tokens_per_step=8 * 64)
        return CropSampler([open_dataset(path)], CoordinateCache(100, LONGEST), chosen)

    return make


def block(rows, columns):
    mask = np.zeros((100, LONGEST), dtype=bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def runs(mask):
    return {"size": list(mask.shape), "counts": encode_rle(mask)}


def test_objects_of_coco_that_overlap_are_drawn_whole_and_crowds_ignored(coco):
    pytest.importorskip("pycocotools", reason="polygons are drawn by pycocotools; install inter2former[datasets]")
    first, second, crowd = block((10, 60), (10, 60)), block((40, 90), (40, 90)), block((50, 95), (80, 120))
    polygon = [40, 40, 90, 40, 90, 90, 40, 90]
    draw = coco(
        [{"segmentation": runs(first)}, {"segmentation": [polygon]}, {"segmentation": runs(crowd), "iscrowd": 1}]
    )
    seen = set()
    for target in torch.cat([draw.batch(step).target for step in range(3)])[:, 0, :100].numpy():
        mask = next(mask for mask in (first, second) if (target[mask] == 1).all())
        seen.add(int(mask.argmax()))
        np.testing.assert_array_equal(target, np.where(mask, 1, np.where(crowd, IGNORE, 0)))
    assert len(seen) == 2


def test_objects_of_coco_are_drawn_by_the_root_of_their_area(coco):
    small, large = block((0, 10), (0, 10)), block((40, 60), (0, 80))
    draw = coco([{"segmentation": runs(small), "area": 100}, {"segmentation": runs(large), "area": 1600}])
    targets = torch.cat([draw.batch(step).target for step in range(16)])[:, 0, :100]
    share = (targets[:, 0, 0] == 1).float().mean()
    # 128 draws at 1/5: the standard deviation is 0.035.
    assert abs(share - 0.2) < 0.1


def test_an_object_that_cannot_be_decoded_is_named(coco):
    with pytest.raises(DataError, match=r"annotation 1 of .*a\.png in .*set\.json: .*hold 7 pixels, the mask 12800"):
        coco([{"segmentation": {"size": [100, 128], "counts": [3, 4]}}]).batch(0)


def test_too_small_objects_are_refused_by_name(sampler):
    mask = np.zeros((100, LONGEST), dtype=bool)
    mask[:3, :3] = True
    with pytest.raises(DataError, match="no object of 20 pixels in 20 draws from set"):
        sampler(mask).batch(0)


def test_a_mask_of_another_aspect_is_named(sampler):
    draw = sampler(wide_object())
    draw.cache = CoordinateCache(LONGEST, 100)
    with pytest.raises(DataError, match=r"the mask of .*a\.png is 128x100, but the upright image has another aspect"):
        draw.batch(0)
