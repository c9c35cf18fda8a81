"""Layouts with a mask file per image, each in miniature: what is listed, what is object, what is ignored."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from inter2former.data import sbd
from inter2former.data.layouts import open_dataset
from inter2former.errors import DataError


def identities(dataset):
    return [dataset.identity(index) for index in range(len(dataset))]


def save_palette(path, indices, palette):
    """As DAVIS and VOC do: an index per pixel and a colour per index."""
    picture = Image.fromarray(indices)
    picture.putpalette([channel for colour in palette for channel in colour])
    picture.save(path)


@pytest.fixture
def davis(tmp_path, write_image, write_text, blocks):
    """Two sequences of two frames, of which `val` has one."""
    for sequence in ("bear", "swan"):
        for frame in ("00000", "00001"):
            write_image(f"DAVIS/JPEGImages/480p/{sequence}/{frame}.jpg")
            mask = write_image(f"DAVIS/Annotations/480p/{sequence}/{frame}.png", blocks(255, 255))
            # Index 2 as well: everything that is marked is the object.
            save_palette(mask, blocks(1, 2), [(0, 0, 0), (128, 0, 0), (0, 128, 0)])
    write_text("DAVIS/ImageSets/2016/train.txt", "swan\n")
    write_text("DAVIS/ImageSets/2016/val.txt", "bear\n\n")
    return tmp_path / "DAVIS"


def test_davis(davis, blocks):
    dataset = open_dataset(davis, split="val")
    assert dataset.split == "val"
    assert identities(dataset) == ["DAVIS-val/bear/00000", "DAVIS-val/bear/00001"]
    assert identities(open_dataset(davis / "ImageSets" / "2016" / "train.txt"))[0] == "DAVIS-train/swan/00000"
    assert dataset.commercial_use is False
    sample, _ = pickle.loads(pickle.dumps(dataset)).samples()
    np.testing.assert_array_equal(sample.mask, blocks(1, 1) == 1)
    assert sample.ignore is None


def test_davis_lists_of_files(davis, write_text):
    lines = "/JPEGImages/480p/swan/00001.jpg /Annotations/480p/swan/00001.png \n"
    path = write_text("DAVIS/ImageSets/480p/val.txt", lines)
    dataset = open_dataset(path)
    assert identities(dataset) == ["DAVIS-val/swan/00001"]
    assert dataset.annotation(0).areas().tolist() == [24]


def test_davis_without_lists_is_all_sequences(davis):
    for path in (davis / "ImageSets" / "2016").iterdir():
        path.unlink()
    (davis / "ImageSets" / "2016").rmdir()
    assert len(open_dataset(davis)) == 4


def test_davis_says_what_is_missing(davis, write_text):
    with pytest.raises(
        DataError, match=r"2016 has the lists train\.txt, val\.txt, and none is named; name the split, or give"
    ):
        open_dataset(davis)
    with pytest.raises(DataError, match=r"2016 has the lists train\.txt, val\.txt, and 'test' is wanted"):
        open_dataset(davis, split="test")
    chosen = write_text("DAVIS/ImageSets/2016/val.txt", "bear\nduck\nbear")
    dataset = open_dataset(chosen)
    assert identities(dataset) == ["DAVIS-val/bear/00000", "DAVIS-val/bear/00001", "DAVIS-val/duck"]
    with pytest.raises(DataError, match=r"bear/00000 is listed 2 times"):
        dataset.annotation(0)
    with pytest.raises(
        DataError, match=r"val\.txt names the sequence duck, but .*480p/duck or its folder of masks has"
    ):
        dataset.annotation(2)
    with pytest.raises(DataError, match=r"the list .*val\.txt is empty"):
        open_dataset(write_text("DAVIS/ImageSets/2016/val.txt", "\n"))


def test_frames_of_ritm(tmp_path, write_image, blocks):
    write_image("DAVIS345/img/bear_00000.jpg")
    write_image("DAVIS345/img/bear_00005.jpg")
    colours = np.stack((blocks(128, 0), blocks(0, 128), blocks()), axis=2)
    write_image("DAVIS345/gt/bear_00000.png", colours)
    write_image("DAVIS345/gt/bear_00005.png", blocks(255, 128))
    dataset = open_dataset(tmp_path / "DAVIS345")
    (sample,) = dataset.annotation(0).samples()
    assert sample.id == "DAVIS345/bear_00000"
    np.testing.assert_array_equal(sample.mask, blocks(1, 1) == 1)
    with pytest.raises(DataError, match=r"bear_00005\.png holds 0, 128 and 255 like a trimap.*kind grabcut"):
        dataset.annotation(1)
    (sample,) = open_dataset(tmp_path / "DAVIS345", "grabcut").annotation(1).samples()
    np.testing.assert_array_equal(sample.mask, blocks(1) == 1)


def test_grabcut(tmp_path, write_image, blocks):
    write_image("GrabCut/data_GT/banana1.bmp")
    write_image("GrabCut/boundary_GT/banana1.bmp", blocks(255, 128, 64))
    write_image("GrabCut/data_GT/bool.jpg")
    save_palette(write_image("GrabCut/boundary_GT/bool.png", blocks()), blocks(1), [(0, 0, 0), (255, 255, 255)])
    dataset = open_dataset(tmp_path / "GrabCut")
    banana, bool_ = dataset.samples()
    assert [banana.id, bool_.id] == ["GrabCut/banana1", "GrabCut/bool"]
    np.testing.assert_array_equal(banana.mask, blocks(1) == 1)
    np.testing.assert_array_equal(banana.ignore, blocks(0, 1) == 1)
    np.testing.assert_array_equal(bool_.mask, blocks(1) == 1)
    assert bool_.ignore is None
    assert dataset.commercial_use is False


def test_colours_in_a_grey_mask_are_refused(tmp_path, write_image, blocks):
    write_image("GrabCut/data_GT/a.bmp")
    write_image("GrabCut/boundary_GT/a.png", np.stack((blocks(255), blocks(), blocks()), axis=2))
    write_image("GrabCut/data_GT/b.bmp")
    write_image("GrabCut/boundary_GT/b.png", blocks(1000, dtype=np.uint16))
    dataset = open_dataset(tmp_path / "GrabCut")
    with pytest.raises(DataError, match=r"a\.png holds colours; it must be grey"):
        dataset.annotation(0)
    with pytest.raises(DataError, match=r"b\.png holds uint16; it must hold 8 bits per channel"):
        dataset.annotation(1)


def test_berkeley(tmp_path, write_image, blocks):
    write_image("Berkeley/images/100007.jpg")
    write_image("Berkeley/masks/100007.png", np.repeat(blocks(255)[..., None], 3, axis=2))
    dataset = open_dataset(tmp_path / "Berkeley")
    (sample,) = dataset.samples()
    assert sample.id == "Berkeley/100007"
    np.testing.assert_array_equal(sample.mask, blocks(1) == 1)
    assert "non-commercial" in dataset.terms
    assert dataset.commercial_use is False


@pytest.fixture
def hqseg(tmp_path, write_image, blocks):
    """One image in five of the sets; masks with soft edges."""
    for images, masks in (
        ("DIS5K/DIS-TR/im", "DIS5K/DIS-TR/gt"),
        ("DIS5K/DIS-VD/im", "DIS5K/DIS-VD/gt"),
        ("cascade_psp/ecssd", "cascade_psp/ecssd"),
        ("thin_object_detection/HRSOD/images", "thin_object_detection/HRSOD/masks_max255"),
        ("thin_object_detection/ThinObject5K/images_train", "thin_object_detection/ThinObject5K/masks_train"),
    ):
        write_image(f"hq/{images}/0001.jpg")
        write_image(f"hq/{masks}/0001.png", blocks(255, 129, 128))
    return tmp_path / "hq"


def test_hqseg(hqseg, blocks):
    train, val = (open_dataset(hqseg, split=split) for split in ("train", "val"))
    assert (train.split, val.split, open_dataset(hqseg / "DIS5K" / "DIS-VD").split) == ("train", "val", "val")
    assert identities(train) == [f"HQSeg-44K-train/{name}/0001" for name in ("DIS5K-TR", "ThinObject5K-TR", "ECSSD")]
    assert identities(val) == [f"HQSeg-44K-val/{name}/0001" for name in ("DIS5K-VD", "HRSOD")]
    for sample in (*train.samples(), *val.samples()):
        np.testing.assert_array_equal(sample.mask, blocks(1, 1) == 1)
    assert [path.suffix for path in train.files(2)] == [".jpg", ".png"]
    assert train.commercial_use is False


@pytest.mark.parametrize(
    ("inner", "name", "commercial_use"),
    [
        ("DIS5K/DIS-VD", "DIS5K-VD", False),
        ("DIS5K/DIS-VD/im", "DIS5K-VD", False),
        ("thin_object_detection/HRSOD", "HRSOD", None),
        ("cascade_psp/ecssd", "ECSSD", None),
        ("cascade_psp", "ECSSD", None),
    ],
)
def test_one_set_of_hqseg(hqseg, inner, name, commercial_use):
    dataset = open_dataset(hqseg / inner)
    assert identities(dataset) == [f"{name}/0001"]
    assert dataset.commercial_use is commercial_use


def test_hqseg_does_not_mix_training_and_measuring(hqseg):
    with pytest.raises(DataError, match=r"DIS5K holds sets to train on and to measure on \(DIS5K-TR, DIS5K-VD\)"):
        open_dataset(hqseg / "DIS5K")
    with pytest.raises(DataError, match="no set of HQSeg-44K of split 'test'"):
        open_dataset(hqseg, split="test")


@pytest.fixture
def voc(tmp_path, write_image, write_text, blocks):
    for name in ("2007_000032", "2007_000039"):
        write_image(f"VOCdevkit/VOC2012/JPEGImages/{name}.jpg")
        mask = write_image(f"VOCdevkit/VOC2012/SegmentationObject/{name}.png", blocks())
        save_palette(mask, blocks(1, 255, 2), [(index, 0, 0) for index in range(256)])
    write_text("VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt", "2007_000039\n2007_000032\n2007_000100\n")
    write_text("VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt", "2007_000032\n")
    return tmp_path / "VOCdevkit"


def test_pascal_voc(voc, blocks):
    dataset = open_dataset(voc, split="val")
    assert dataset.split == "val"
    assert identities(dataset) == [f"VOC2012-val/2007_{number}" for number in ("000039", "000032", "000100")]
    first, second = dataset.annotation(0).samples()
    assert [first.id, second.id] == ["VOC2012-val/2007_000039#1", "VOC2012-val/2007_000039#2"]
    np.testing.assert_array_equal(second.mask, blocks(0, 0, 1) == 1)
    for sample in (first, second):
        np.testing.assert_array_equal(sample.ignore, blocks(0, 1) == 1)
    with pytest.raises(DataError, match=r"2007_000100\.jpg has no mask: there is no .*2007_000100\.png"):
        dataset.annotation(2)
    assert len(open_dataset(voc / "VOC2012" / "ImageSets" / "Segmentation" / "train.txt")) == 1
    assert dataset.commercial_use is None


@pytest.fixture
def sbd_folder(tmp_path, write_image, write_text, blocks):
    for name in ("2008_000002", "2008_000003"):
        path = write_image(f"benchmark_RELEASE/dataset/img/{name}.jpg")
        (path.parents[1] / "inst").mkdir(exist_ok=True)
        instance = {"Segmentation": blocks(1, 2), "Categories": np.array([[7], [15]]), "Boundaries": np.zeros((2, 1))}
        savemat(path.parents[1] / "inst" / f"{name}.mat", {"GTinst": instance}, do_compression=True)
    write_text("benchmark_RELEASE/dataset/val.txt", "2008_000003\n")
    write_text("benchmark_RELEASE/dataset/train.txt", "2008_000002\n")
    return tmp_path / "benchmark_RELEASE" / "dataset"


@pytest.mark.parametrize("above", [0, 1, 2])
def test_sbd(sbd_folder, blocks, above):
    dataset = open_dataset((sbd_folder, *sbd_folder.parents)[above], split="val")
    assert identities(dataset) == ["SBD-val/2008_000003"]
    samples = list(pickle.loads(pickle.dumps(dataset)).samples())
    assert [sample.id for sample in samples] == ["SBD-val/2008_000003#1", "SBD-val/2008_000003#2"]
    np.testing.assert_array_equal(samples[1].mask, blocks(0, 1) == 1)


def test_damaged_files_of_sbd_are_named(sbd_folder):
    dataset = open_dataset(sbd_folder / "train.txt")
    path = sbd_folder / "inst" / "2008_000002.mat"
    whole = path.read_bytes()
    for content in (b"", b"no file of MATLAB", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"cannot read the mask .*2008_000002\.mat"):
            dataset.annotation(0)
    savemat(path, {"GTcls": {"Segmentation": np.zeros((6, 8))}})
    with pytest.raises(DataError, match=r"cannot read the mask .*2008_000002\.mat: KeyError"):
        dataset.annotation(0)
    savemat(path, {"GTinst": {"Segmentation": np.full((6, 8), 0.5)}})
    with pytest.raises(DataError, match=r"2008_000002\.mat holds float64 \(6, 8\); it must hold"):
        dataset.annotation(0)


def test_sbd_without_scipy_is_one_sentence(sbd_folder, monkeypatch):
    monkeypatch.setattr(sbd, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"reading SBD needs SciPy; install inter2former\[datasets\]"):
        open_dataset(sbd_folder, split="val")
