"""A folder of images and masks: which kinds of masks there are, and what is wrong with the others."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from inter2former.data.folder import open_folder
from inter2former.errors import DataError

IMAGE = np.zeros((6, 8, 3), dtype=np.uint8)


@pytest.fixture
def annotation(make_folder):
    """Reads one mask through a folder."""

    def read(mask):
        return open_folder(make_folder("set", {"a": (IMAGE, mask)})).annotation(0)

    return read


def test_a_binary_mask_is_one_object(annotation, blocks):
    found = annotation(blocks(255))
    assert (found.id, found.source, found.shape, len(found)) == ("set/a", "set", (6, 8), 1)
    assert found.areas().tolist() == [12]
    (sample,) = found.samples()
    assert (sample.id, sample.source, sample.ignore) == ("set/a", "set", None)
    assert sample.image_path.name == "a.png"
    np.testing.assert_array_equal(sample.mask, blocks(255) == 255)


def test_a_one_bit_mask_is_one_object(make_folder, blocks):
    folder = make_folder("bits", {"a": (IMAGE, blocks(255))})
    Image.fromarray(blocks(255)).convert("1").save(folder / "masks" / "a.png")
    (sample,) = open_folder(folder).samples()
    np.testing.assert_array_equal(sample.mask, blocks(255) == 255)


def test_a_trimap_has_undecided_pixels(annotation, blocks):
    (sample,) = annotation(blocks(255, 128)).samples()
    np.testing.assert_array_equal(sample.mask, blocks(255) == 255)
    np.testing.assert_array_equal(sample.ignore, blocks(0, 128) == 128)


@pytest.mark.parametrize(("values", "dtype"), [((1, 2, 255), np.uint8), ((3, 300, 65535), np.uint16)])
def test_labels_are_one_object_each(annotation, blocks, values, dtype):
    found = annotation(blocks(*values, dtype=dtype))
    assert found.object_ids == values
    assert found.areas().tolist() == [12] * len(values)
    samples = list(found.samples())
    assert [sample.id for sample in samples] == [f"set/a#{value}" for value in values]
    for sample, value in zip(samples, values, strict=True):
        np.testing.assert_array_equal(sample.mask, blocks(*values, dtype=dtype) == value)


def test_labels_of_32_bits(make_folder, blocks):
    folder = make_folder("deep", {"a": (IMAGE, blocks(1))})
    (folder / "masks" / "a.png").unlink()
    Image.fromarray(blocks(7, 2**30, dtype=np.int32)).save(folder / "masks" / "a.tif")
    found = open_folder(folder).annotation(0)
    assert found.object_ids == (7, 2**30)
    assert found.areas().tolist() == [12, 12]


def test_a_palette_mask_counts_by_its_indices(make_folder, blocks):
    folder = make_folder("palette", {"a": (IMAGE, blocks(1))})
    picture = Image.fromarray(blocks(1, 2))
    picture.putpalette([0, 0, 0, 250, 0, 0, 250, 0, 0])
    assert picture.mode == "P"
    picture.save(folder / "masks" / "a.png")
    assert open_folder(folder).annotation(0).object_ids == (1, 2)


def test_images_come_in_the_order_of_their_names(make_folder, blocks):
    dataset = open_folder(make_folder("set", {stem: (IMAGE, blocks(255)) for stem in ("b", "c", "a")}))
    assert [dataset.image_path(index).stem for index in range(3)] == ["a", "b", "c"]
    assert [sample.id for sample in dataset.samples()] == ["set/a", "set/b", "set/c"]
    assert len(dataset) == 3


def test_leftovers_are_passed_over(make_folder, blocks):
    folder = make_folder("set", {"a": (IMAGE, blocks(255))})
    for name in (".DS_Store", "Thumbs.db"):
        for part in ("images", "masks"):
            (folder / part / name).write_text("of a file manager")
    assert len(open_folder(folder)) == 1


def test_a_mask_without_an_image_is_named(make_folder, blocks):
    folder = make_folder("set", {stem: (IMAGE, blocks(255)) for stem in "ab"})
    (folder / "images" / "a.png").unlink()
    dataset = open_folder(folder)
    assert [dataset.identity(index) for index in range(len(dataset))] == ["set/b", "set/a"]
    assert dataset.files(1) == (folder / "masks" / "a.png",)
    with pytest.raises(DataError, match=r"the mask .*masks/a\.png has no image: there is no .*images/a of any type"):
        dataset.annotation(1)


def test_a_bad_image_is_named_and_the_others_stay(make_folder, blocks):
    folder = make_folder("set", {stem: (IMAGE, blocks(255)) for stem in "abcdef"})
    (folder / "masks" / "a.png").unlink()
    Image.fromarray(blocks(255)[:, :4]).save(folder / "masks" / "b.png")
    (folder / "images" / "c.png").write_text("no image")
    (folder / "images" / "d.jpg").write_bytes((folder / "images" / "d.png").read_bytes())
    (folder / "masks" / "e.bmp").write_bytes((folder / "masks" / "e.png").read_bytes())
    dataset = open_folder(folder)
    wanted = [
        r"a\.png has no mask: there is no .*masks/a\.png; add it",
        r"the mask .*masks/b\.png is 4x6, but the upright image .*images/b\.png is 8x6; give both one size",
        r"images/c\.png: no image that can be read",
        r"images has 2 images called d \(d\.jpg, d\.png\); keep one",
        r"masks has 2 masks called e \(e\.bmp, e\.png\); keep one",
    ]
    for index, message in enumerate(wanted):
        assert dataset.identity(index) == f"set/{'abcde'[index]}"
        with pytest.raises(DataError, match=message):
            dataset.annotation(index)
    assert len(list(dataset.annotation(5).samples())) == 1
    assert [path.name for path in dataset.files(3)] == ["d.jpg", "d.png", "d.png"]


def test_an_unreadable_mask_is_named(make_folder, blocks):
    folder = make_folder("set", {"a": (IMAGE, blocks(255))})
    path = folder / "masks" / "a.png"
    whole = path.read_bytes()
    for content in (whole[:40], b"no picture", b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"cannot read the mask .*a\.png"):
            open_folder(folder).annotation(0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((6, 8), 0.5, dtype=np.float32), r"a\.tif holds float32; it must hold whole numbers"),
        (np.full((6, 8), -3, dtype=np.int32), r"a\.tif holds -3; labels must not be negative"),
        (IMAGE, r"a\.tif has 3 channels; save it in grey"),
    ],
)
def test_masks_of_other_numbers_are_refused(make_folder, blocks, values, message):
    folder = make_folder("set", {"a": (IMAGE, blocks(255))})
    (folder / "masks" / "a.png").unlink()
    Image.fromarray(values).save(folder / "masks" / "a.tif")
    with pytest.raises(DataError, match=message):
        open_folder(folder).annotation(0)


def test_a_mask_without_object_is_refused_when_the_object_is_asked_for(annotation, make_folder, blocks):
    empty = annotation(blocks())
    assert len(empty) == 0
    with pytest.raises(DataError, match=r"a\.png has no object \(nothing is marked\)"):
        list(empty.samples())
    folder = make_folder("ignored", {"b": (IMAGE, np.full((6, 8), 128, dtype=np.uint8))})
    with pytest.raises(DataError, match=r"b\.png has no object \(every pixel is ignored\)"):
        list(open_folder(folder).samples())


def test_a_rotated_photo_has_the_size_that_it_is_shown_in(make_folder, blocks):
    folder = make_folder("set", {"a": (IMAGE, blocks(255))})
    (folder / "images" / "a.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned by 90 degrees
    Image.fromarray(IMAGE).transpose(Image.Transpose.ROTATE_90).save(folder / "images" / "a.jpg", exif=exif)
    assert len(open_folder(folder).annotation(0)) == 1
    exif[0x0112] = 1
    Image.fromarray(IMAGE).transpose(Image.Transpose.ROTATE_90).save(folder / "images" / "a.jpg", exif=exif)
    with pytest.raises(DataError, match=r"masks/a\.png is 8x6, but the upright image .*a\.jpg is 6x8"):
        open_folder(folder).annotation(0)


@pytest.mark.parametrize("missing", ["images", "masks"])
def test_empty_and_missing_folders_are_named(tmp_path, missing):
    for part in {"images", "masks"} - {missing}:
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.png").write_bytes(b"any")
    with pytest.raises(DataError, match=rf"{tmp_path} has no files in images/ or none in masks/"):
        open_folder(tmp_path)
    (tmp_path / missing).mkdir()
    with pytest.raises(DataError, match=rf"{tmp_path} has no files in images/ or none in masks/"):
        open_folder(tmp_path)
