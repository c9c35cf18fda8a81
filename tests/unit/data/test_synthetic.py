"""Made-up pictures: the same for the same index, masks by the rule, and nothing held out in training."""

from __future__ import annotations

import dataclasses
import json
import pickle

import cv2
import numpy as np
import pytest
from PIL import Image

from inter2former.data.folder import open_folder
from inter2former.data.synthetic import SyntheticConfig, SyntheticSource
from inter2former.data.synthetic_cutouts import (
    HALF,
    Split,
    check_cut_out,
    list_images,
    procedural,
    read_cut_out,
    split_of,
    thickness,
)
from inter2former.data.synthetic_folder import Material, combined_terms, open_cut_outs, open_material, write_pictures
from inter2former.data.synthetic_layers import (
    Layer,
    blurred,
    disc_kernel,
    lay_over,
    line_kernel,
    lit_like,
    premultiplied,
    visible_region,
)
from inter2former.data.synthetic_shapes import KINDS
from inter2former.data.synthetic_strokes import Fill, Stroke, draw, smooth_curve
from inter2former.data.transforms import Blur, Jpeg, Noise
from inter2former.errors import DataError

CLEAN = SyntheticConfig(
    size=128,
    objects=(1, 1),
    shadow_probability=0,
    defocus_probability=0,
    movement_probability=0,
    noise=Noise(0),
    softness=Blur(0),
    jpeg=Jpeg(0),
)


@pytest.fixture
def backgrounds(tmp_path, photo):
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(2):
        Image.fromarray(photo(90, 130, index)).save(folder / f"{index}.png")
    return list_images(folder)


def square_cut_out(side=60, alpha=255, colour=(200, 30, 30)):
    rgba = np.zeros((side, side, 4), dtype=np.uint8)
    rgba[8:-8, 8:-8] = (*colour, alpha)
    return rgba


@pytest.fixture
def foregrounds(tmp_path):
    folder = tmp_path / "cut-outs"
    folder.mkdir()
    for index in range(12):
        Image.fromarray(square_cut_out(colour=(200, 20 * index, 30))).save(folder / f"thing{index}.png")
    return folder


def test_a_picture_is_its_index_and_nothing_else(backgrounds, foregrounds):
    config = SyntheticConfig(size=160, procedural_share=0.5)
    source = SyntheticSource(backgrounds, list_images(foregrounds), config, seed=4)
    again = pickle.loads(pickle.dumps(source))
    first = source.picture(7)
    source.picture(8)
    for one, other in zip(first, again.picture(7), strict=True):
        np.testing.assert_array_equal(one, other)
    others = [source.picture(8), dataclasses.replace(source, seed=5).picture(7)]
    others.append(dataclasses.replace(source, split=Split.HELD_OUT).picture(7))
    assert not any(np.array_equal(first.image, other.image) for other in others)


def test_sizes_and_labels(backgrounds):
    source = SyntheticSource(backgrounds, config=SyntheticConfig(size=160))
    for index in range(6):
        picture = source.picture(index)
        assert (picture.image.dtype, picture.labels.dtype, picture.ignore) == (np.uint8, np.uint8, None)
        assert max(picture.labels.shape) == 160
        assert picture.image.shape == (*picture.labels.shape, 3)
        present, counts = np.unique(picture.labels, return_counts=True)
        assert set(present) - {0} == set(range(1, picture.labels.max() + 1))
        assert counts.min() >= 64


def test_the_mask_is_where_the_picture_differs_from_its_background(backgrounds, foregrounds):
    config = dataclasses.replace(CLEAN, procedural_share=0.0, object_sides=(0.4, 0.4))
    for index in range(8):
        source = SyntheticSource(backgrounds, list_images(foregrounds), config)
        picture = source.picture(index)
        rng = np.random.default_rng((0, 0, index))
        background, _ = source._background(rng)
        difference = np.abs(picture.image.astype(int) - background).sum(axis=2)
        mask = (picture.labels > 0).astype(np.uint8)
        # Cut-outs fade over a pixel or two; beyond that nothing may have changed, and well inside everything has.
        far = cv2.dilate(mask, np.ones((7, 7), np.uint8)) == 0
        assert not difference[far].any()
        inner = cv2.erode(mask, np.ones((7, 7), np.uint8)) > 0
        assert (difference[inner] > 0).mean() > 0.97


def test_a_thin_wire_out_of_focus_is_still_the_wire():
    coverage = draw([Stroke(np.array([[0.0, 0.0], [1.0, 0.3]]), 1.5, 0.5)], 100).coverage
    pixels = np.repeat(coverage[..., None], 4, axis=2)
    soft = blurred(Layer(pixels, 0, 0), disc_kernel(3.0))
    assert soft.pixels[..., 3].max() < HALF  # by the blurred coverage it would be gone
    assert (coverage >= HALF).any(axis=0)[6:-6].all()  # by the rule it is there in every column


def test_what_lies_in_front_hides_what_is_behind():
    from inter2former.data.synthetic import _Owner

    owner = _Owner(20, 20)
    back, front = (np.zeros((20, 20, 4), dtype=np.uint8) for _ in range(2))
    back[2:18, 2:18] = 255
    front[10:20, 10:20] = 255
    front[5:8, 5:8] = 120  # covers less than half of these pixels, and leaves more than half
    front[8:10, 8:10] = 128  # covers half, so that these are its own
    owner.cover(Layer(back, 0, 0), 1)
    owner.cover(Layer(front, 0, 0), 2)
    expected = np.zeros((20, 20), dtype=np.uint8)
    expected[2:18, 2:18] = 1
    expected[10:20, 10:20] = 2
    expected[8:10, 8:10] = 2
    np.testing.assert_array_equal(owner.owner, expected)
    # 0.53 twice in a row leaves a quarter of the square: it is nobody's.
    owner.cover(Layer(front // 2, 0, 0), 3)
    owner.cover(Layer(front // 2, 0, 0), 4)
    assert (owner.owner[5:8, 5:8] == 0).all()
    labels = owner.labels(least=90)
    assert set(np.unique(labels)) == {0, 1}


def test_coverage_of_a_square_is_exact():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float)
    drawing = draw([Fill(square, 1.0)], 32)
    area = drawing.coverage.astype(float).sum() / 255
    assert area == pytest.approx(32 * 32, rel=0.02)
    assert (drawing.tone <= drawing.coverage).all()


@pytest.mark.parametrize("width", [1.5, 3.0, 8.0])
def test_a_stroke_is_as_wide_as_asked(width):
    coverage = draw([Stroke(np.array([[0.0, 0.0], [1.0, 0.0]]), width, 0.5)], 200).coverage
    middle = coverage[:, 60:140].astype(float).sum(axis=0) / 255
    np.testing.assert_allclose(middle, width, atol=0.3)


def test_a_taper_ends_as_wide_as_asked():
    line = smooth_curve(np.array([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0]]), 40)
    columns = draw([Stroke(line, 12.0, 0.5, 2.0)], 200).coverage.astype(float).sum(axis=0) / 255
    assert columns[25] == pytest.approx(12, abs=0.6)
    assert columns[-25] == pytest.approx(2, abs=0.6)
    np.testing.assert_allclose([line[0], line[-1]], [[0, 0], [1, 0]], atol=1e-12)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_visible_and_thin(kind):
    for seed in range(3):
        cut_out = procedural(np.random.default_rng(seed), side=200, kinds=[kind])
        coverage = cut_out.pixels[..., 3]
        assert max(coverage.shape) >= 200
        assert np.count_nonzero(coverage >= HALF) > 150
        assert thickness(coverage) < 30
        assert (cut_out.pixels[..., :3] <= coverage[..., None]).all()
        assert cut_out.grounded == kind.grounded


def test_a_rim_takes_the_colour_of_the_inside():
    rgba = square_cut_out()
    rgba[7:-7, 7:-7, 3] = np.maximum(rgba[7:-7, 7:-7, 3], 128)
    rgba[7, 8:-8, :3] = (0, 255, 0)  # what lay behind the object when it was cut out
    pixels = premultiplied(rgba)
    np.testing.assert_allclose(pixels[7, 20:40], [[100, 15, 15, 128]] * 20, atol=1)
    np.testing.assert_array_equal(pixels[20, 20], [200, 30, 30, 255])
    assert not pixels[0].any()


def test_laying_over_blends_by_coverage():
    canvas = np.full((10, 10, 3), 100, dtype=np.uint8)
    pixels = np.zeros((6, 6, 4), dtype=np.uint8)
    pixels[...] = (64, 0, 128, 128)
    lay_over(canvas, Layer(pixels, 7, -3))
    np.testing.assert_allclose(canvas[:3, 7:], np.broadcast_to([114, 50, 178], (3, 3, 3)), atol=1)
    canvas[:3, 7:] = 100
    assert (canvas == 100).all()
    assert visible_region((10, 10), Layer(pixels, 30, 30))[0] == (slice(10, 10), slice(10, 10))


def test_light_comes_closer_to_that_of_the_surroundings():
    rgba = square_cut_out(colour=(250, 240, 230))
    dark = np.full((16, 3), (20, 30, 60), dtype=np.uint8)
    lit = lit_like(premultiplied(rgba), dark, np.random.default_rng(0), least_contrast=0.05)
    inside = lit[20:40, 20:40, :3].reshape(-1, 3).mean(axis=0)
    assert inside.mean() < 225
    assert inside[2] > inside[0]
    np.testing.assert_array_equal(lit[..., 3], rgba[..., 3])
    assert (lit[..., :3] <= lit[..., 3:]).all()


def test_a_thin_thing_keeps_its_contrast():
    rgba = square_cut_out(colour=(100, 100, 100))
    same = np.full((16, 3), 100, dtype=np.uint8)
    for seed in range(10):
        lit = lit_like(premultiplied(rgba), same, np.random.default_rng(seed), least_contrast=0.25)
        assert abs(lit[20:40, 20:40, :3].mean() - 100) > 0.2 * 255


@pytest.mark.parametrize("kernel", [disc_kernel(0.0), disc_kernel(3.3), line_kernel(9.0, 0.7)])
def test_kernels_are_centred_and_add_up_to_one(kernel):
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=0.02)


def test_translucent_things_are_left_out(tmp_path):
    Image.fromarray(square_cut_out(alpha=120)).save(tmp_path / "glass.png")
    Image.fromarray(square_cut_out()).save(tmp_path / "box.png")
    rng = np.random.default_rng(0)
    assert read_cut_out(tmp_path / "glass.png", rng, side=60) is None
    assert read_cut_out(tmp_path / "box.png", rng, side=30).shape == (34, 34, 4)
    assert read_cut_out(tmp_path / "box.png", rng, side=600).shape == (79, 79, 4)  # at most a quarter larger


def test_a_large_cut_out_passes_without_a_warning_and_a_huge_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow would warn from 101, and refuse from 201
    path = tmp_path / "thing.png"
    Image.fromarray(square_cut_out()).save(path)
    assert read_cut_out(path, np.random.default_rng(0), side=20) is not None
    monkeypatch.setattr("inter2former.data.synthetic_cutouts.MAX_SIDE", 59)
    with pytest.raises(DataError, match=r"thing\.png is 60x60; a cut-out has at most 59 px a side"):
        check_cut_out(path)


def test_every_fifth_name_is_held_out(foregrounds):
    paths = [foregrounds / f"{number}.png" for number in range(2000)]
    held_out = [path for path in paths if split_of(path) is Split.HELD_OUT]
    assert 340 < len(held_out) < 460
    # The hash of the render script, worked out by hand for two models.
    assert split_of(foregrounds / "bowl.webp") is Split.HELD_OUT
    assert split_of(foregrounds / "acacia.png") is Split.TRAIN
    train, rest = list_images(foregrounds, Split.TRAIN), list_images(foregrounds, Split.HELD_OUT)
    assert not set(train) & set(rest)
    assert sorted({*train, *rest}) == list(list_images(foregrounds))


def test_thin_only_leaves_thick_cut_outs_out(backgrounds, foregrounds):
    config = dataclasses.replace(CLEAN, thin_only=True, procedural_share=0.0, object_sides=(0.5, 0.5), thin_share=0.05)
    source = SyntheticSource(backgrounds, list_images(foregrounds), config)
    cut_out = source._cut_out(np.random.default_rng(0), 64)
    assert thickness(cut_out.pixels[..., 3]) < 20
    assert thickness(read_cut_out(list_images(foregrounds)[0], np.random.default_rng(0), side=64)[..., 3]) > 20


def test_a_folder_is_written_once_and_can_be_read(backgrounds, tmp_path):
    source, out = SyntheticSource(backgrounds, config=SyntheticConfig(size=96)), tmp_path / "made-up"
    done = []
    write_pictures(out, source, range(2), terms="CC0", commercial_use=True, report=done.append)
    first = (out / "images" / "000001.jpg").stat().st_mtime_ns
    write_pictures(out, source, range(3), terms="CC0", commercial_use=True)
    assert done == [1, 2]
    assert (out / "images" / "000001.jpg").stat().st_mtime_ns == first
    dataset = open_folder(out)
    assert (len(dataset), dataset.name, dataset.terms, dataset.commercial_use) == (3, "made-up", "CC0", True)
    for index in range(3):
        picture, annotation = source.picture(index), dataset.annotation(index)
        for position, label in enumerate(annotation.object_ids):
            np.testing.assert_array_equal(annotation.mask(position), picture.labels == label)
        # JPEG of quality 95: close, not equal.
        assert np.abs(dataset.image(index).astype(int) - picture.image).mean() < 6
    with pytest.raises(ValueError, match=r"dataset\.json describes other pictures than these"):
        write_pictures(out, source, range(3), terms="all rights reserved", commercial_use=False)
    with pytest.raises(ValueError, match=r"made_by\.json describes other pictures than these"):
        write_pictures(out, dataclasses.replace(source, seed=9), range(3), terms="CC0", commercial_use=True)
    with pytest.raises(ValueError, match="no pictures are asked for"):
        write_pictures(out, source, range(0), terms="CC0", commercial_use=True)


def test_terms_are_those_of_all_materials(make_folder):
    folder = make_folder("free")
    assert open_material(folder) == open_material(folder / "images")
    assert (open_material(folder).name, open_material(folder).commercial_use) == ("free", None)
    (folder / "dataset.json").write_text(json.dumps({"terms": "CC0", "commercial_use": True}))
    free = open_material(folder)
    assert (free.terms, free.commercial_use, len(free.files)) == ("CC0", True, 2)
    assert combined_terms([free]) == ("made of free: CC0", True)
    assert combined_terms([]) == ("made of ", True)
    text, allowed = combined_terms([free, Material("other", "", None, ())])
    assert (text, allowed) == ("made of free: CC0; other: no terms stated", False)


def test_refusals(tmp_path, backgrounds, foregrounds, photo):
    with pytest.raises(ValueError, match="size is 63; it must be at least 64"):
        SyntheticConfig(size=63)
    with pytest.raises(ValueError, match=r"objects are \(3, 2\)"):
        SyntheticConfig(objects=(3, 2))
    with pytest.raises(ValueError, match=r"object_sides are \(0, 1\)"):
        SyntheticConfig(object_sides=(0, 1))
    with pytest.raises(ValueError, match="there are no backgrounds"):
        SyntheticSource(())
    with pytest.raises(ValueError, match="got 0 marks and side 5"):
        draw([], 5)
    with pytest.raises(DataError, match=r"absent holds no images; give a folder"):
        list_images(tmp_path / "absent")
    Image.fromarray(photo()).save(tmp_path / "opaque.png")
    (tmp_path / "broken.png").write_text("no image")
    with pytest.raises(DataError, match=r"opaque\.png has no transparency"):
        read_cut_out(tmp_path / "opaque.png", np.random.default_rng(0), side=20)
    with pytest.raises(DataError, match=r"cannot read the cut-out .*broken\.png"):
        read_cut_out(tmp_path / "broken.png", np.random.default_rng(0), side=20)
    with pytest.raises(DataError, match=r"cannot read the cut-out .*broken\.png"):
        open_cut_outs(tmp_path, Split.ALL)
    with pytest.raises(DataError, match="holds no images of the split held-out"):
        list_images(backgrounds[0].parent, Split.HELD_OUT)
