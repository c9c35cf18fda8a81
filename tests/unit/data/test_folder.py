"""A folder of images and masks: which kinds of masks there are, and what is wrong with the others."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from inter2former.data.folder import FolderDataset
from inter2former.errors import DataError

IMAGE = np.zeros((6, 8, 3), dtype=np.uint8)


@pytest.fixture
def annotation(make_folder):
    """Reads one mask through a folder."""

    def read(mask):
        return FolderDataset(make_folder("set", {"a": (IMAGE, mask)})).annotation(0)

    return read


def blocks(*values, dtype=np.uint8):
    """(6, 8) with two columns per value, zeros after them."""
    mask = np.zeros((6, 8), dtype=dtype)
    for index, value in enumerate(values):
        mask[:, 2 * index : 2 * index + 2] = value
    return mask


def test_a_binary_mask_is_one_object(annotation):
    found = annotation(blocks(255))
    (sample,) = found.samples()
    assert (sample.id, sample.source, sample.ignore) == ("set/a", "set", None)
    assert sample.image_path.name == "a.png"
    np.testing.assert_array_equal(sample.mask, blocks(255) == 255)


def test_a_one_bit_mask_is_one_object(annotation, make_folder):
    folder = make_folder("bits", {"a": (IMAGE, blocks(255))})
    Image.fromarray(blocks(255)).convert("1").save(folder / "masks" / "a.png")
    (sample,) = FolderDataset(folder).samples()
    np.testing.assert_array_equal(sample.mask, blocks(255) == 255)


def test_a_trimap_has_undecided_pixels(annotation):
    (sample,) = annotation(blocks(255, 128)).samples()
    np.testing.assert_array_equal(sample.mask, blocks(255) == 255)
    np.testing.assert_array_equal(sample.ignore, blocks(0, 128) == 128)


@pytest.mark.parametrize(("values", "dtype"), [((1, 2, 255), np.uint8), ((3, 300, 65535), np.uint16)])
def test_labels_are_one_object_each(annotation, values, dtype):
    found = annotation(blocks(*values, dtype=dtype))
    assert found.objects() == list(values)
    samples = list(found.samples())
    assert [sample.id for sample in samples] == [f"set/a#{value}" for value in values]
    for sample, value in zip(samples, values, strict=True):
        np.testing.assert_array_equal(sample.mask, blocks(*values, dtype=dtype) == value)


def test_a_palette_mask_counts_by_its_indices(make_folder):
    folder = make_folder("palette", {"a": (IMAGE, blocks(1))})
    picture = Image.fromarray(blocks(1, 2))
    picture.putpalette([0, 0, 0, 250, 0, 0, 250, 0, 0])
    assert picture.mode == "P"
    picture.save(folder / "masks" / "a.png")
    assert FolderDataset(folder).annotation(0).objects() == [1, 2]


def test_an_empty_mask_has_no_objects(annotation):
    assert list(annotation(blocks()).samples()) == []


def test_images_come_in_the_order_of_their_names(make_folder):
    dataset = FolderDataset(make_folder("set", {stem: (IMAGE, blocks(255)) for stem in ("b", "c", "a")}))
    assert [path.stem for path, _ in dataset.pairs] == ["a", "b", "c"]
    assert [sample.id for sample in dataset.samples()] == ["set/a", "set/b", "set/c"]
    assert len(dataset) == 3


def test_hidden_files_and_spare_masks_are_passed_over(make_folder):
    folder = make_folder("set", {"a": (IMAGE, blocks(255))})
    (folder / "images" / ".DS_Store").write_text("of a file manager")
    (folder / "masks" / "spare.png").write_text("never read")
    assert len(FolderDataset(folder)) == 1


def test_a_missing_mask_is_named(make_folder):
    folder = make_folder("set", {"a": (IMAGE, blocks(255)), "b": (IMAGE, blocks(255))})
    (folder / "masks" / "b.png").unlink()
    with pytest.raises(DataError, match=r"b\.png has no mask in .*masks \(1 images without one\)"):
        FolderDataset(folder)


def test_an_unreadable_mask_is_named(make_folder):
    folder = make_folder("set", {"a": (IMAGE, blocks(255))})
    path = folder / "masks" / "a.png"
    whole = path.read_bytes()
    for content in (whole[:40], b"no picture", b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"cannot read the mask .*a\.png"):
            FolderDataset(folder).annotation(0)


def test_masks_of_colours_or_fractions_are_refused(annotation, make_folder):
    with pytest.raises(DataError, match=r"a\.png has 3 dimensions; it must have one channel"):
        annotation(IMAGE)
    folder = make_folder("fractions", {"a": (IMAGE, blocks(255))})
    (folder / "masks" / "a.png").unlink()
    Image.fromarray(blocks(0.5, dtype=np.float32)).save(folder / "masks" / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif holds float32; it must hold whole numbers"):
        FolderDataset(folder).annotation(0)


@pytest.mark.parametrize("missing", ["images", "masks"])
def test_empty_and_missing_folders_are_named(tmp_path, missing):
    for part in {"images", "masks"} - {missing}:
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.png").write_bytes(b"any")
    with pytest.raises(DataError, match=rf"{missing} holds no files; a data set folder has images/ and masks/"):
        FolderDataset(tmp_path)
    (tmp_path / missing).mkdir()
    with pytest.raises(DataError, match=f"{missing} holds no files"):
        FolderDataset(tmp_path)
