"""Shards: what comes out is what went in, `webdataset` reads them too, and parts of an epoch are disjoint."""

from __future__ import annotations

import gc
import io
import itertools
import json
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from inter2former.data.folder import open_folder
from inter2former.data.layouts import open_dataset
from inter2former.data.shard_writer import write_shards
from inter2former.data.shards import is_shards, open_shards, picture_order
from inter2former.errors import DataError
from inter2former.masks import encode_rle


@pytest.fixture
def folder(make_folder, photo, disc):
    """Seven pictures: a disc each, one of them with undecided pixels, one with many labels, one without an object."""
    pairs = {f"{index}.a": (photo(40, 50, index), disc(40, 50)) for index in range(5)}
    trimap = np.where(disc(40, 50), 255, 0).astype(np.uint8)
    trimap[:6] = 128
    pairs["trimap"] = (photo(40, 50, 8), trimap)
    pairs["labels"] = (photo(40, 50, 9), np.arange(2000, dtype=np.uint16).reshape(40, 50) // 400 * 300)
    pairs["nothing"] = (photo(40, 50, 10), np.zeros((40, 50), dtype=bool))
    path = make_folder("things", pairs)
    (path / "dataset.json").write_text('{"terms": "CC0", "commercial_use": true}')
    return path


@pytest.fixture
def shards(folder, tmp_path):
    assert write_shards(tmp_path / "shards", open_folder(folder), pictures_per_shard=3) == 7
    return tmp_path / "shards"


def test_what_comes_out_is_what_went_in(folder, shards):
    before, after = open_folder(folder), open_shards(shards)
    assert [path.name for path in after.shards] == ["000000.tar", "000001.tar", "000002.tar"]
    assert (after.name, after.terms, after.commercial_use) == ("things", "CC0", True)
    after = pickle.loads(pickle.dumps(after))
    kept = [index for index in range(len(before)) if len(before.annotation(index))]
    assert len(after) == len(kept) == 7
    for index, number in enumerate(kept):
        np.testing.assert_array_equal(after.image(index), before.image(number))
        one, other = after.annotation(index), before.annotation(number)
        assert (one.id, one.shape, one.object_ids) == (other.id, other.shape, other.object_ids)
        np.testing.assert_array_equal(one.areas(), other.areas())
        for position in range(len(one)):
            np.testing.assert_array_equal(one.mask(position), other.mask(position))
        assert (one.ignored() is None) == (other.ignored() is None)
        if one.ignored() is not None:
            np.testing.assert_array_equal(one.ignored(), other.ignored())


def test_overlapping_objects_lie_on_different_layers(tmp_path, photo, disc):
    (tmp_path / "coco" / "images").mkdir(parents=True)
    Image.fromarray(photo()).save(tmp_path / "coco" / "images" / "a.png")
    masks = [np.roll(disc(), shift, axis=1) for shift in (0, 20, 60)]
    annotations = [
        {"id": number, "image_id": 1, "segmentation": {"size": [90, 130], "counts": encode_rle(mask)}}
        for number, mask in enumerate(masks, 5)
    ]
    images = [{"id": 1, "file_name": "a.png", "height": 90, "width": 130}]
    path = tmp_path / "coco" / "instances_train.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    write_shards(tmp_path / "shards", open_dataset(path))
    annotation = open_shards(tmp_path / "shards" / "000000.tar").annotation(0)
    assert annotation.object_ids == (5, 6, 7)
    for position, mask in enumerate(masks):
        np.testing.assert_array_equal(annotation.mask(position), mask)


def test_the_same_data_give_the_same_bytes(folder, shards, tmp_path):
    write_shards(tmp_path / "again", open_folder(folder), pictures_per_shard=3)
    for path in shards.glob("*.tar"):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert not list(shards.glob("*.part"))


@pytest.mark.filterwarnings("ignore:Exception ignored in")  # it leaves its files open
def test_webdataset_reads_them_too(shards):
    webdataset = pytest.importorskip("webdataset", reason="the library whose format this is; extra `dev`")
    dataset = open_shards(shards)
    urls = [str(path) for path in dataset.shards]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False).decode("rgb8"))
    gc.collect()
    assert len(samples) == len(dataset)
    for index, sample in enumerate(samples):
        np.testing.assert_array_equal(sample["image.png"], dataset.image(index))
        annotation = dataset.annotation(index)
        assert f"things/{sample['json']['id']}" == annotation.id
        found = sample["json"]["objects"][0]
        np.testing.assert_array_equal(sample["layer0.png"][..., 0] == found["value"] % 256, annotation.mask(0))


def test_parts_of_an_epoch_are_disjoint_and_complete(shards):
    dataset = open_shards(shards)
    order = [list(picture_order(dataset, seed=1, epoch=4, part=part, parts=3)) for part in range(3)]
    assert sorted(index for part in order for index in part) == list(range(len(dataset)))
    assert order[0] == list(picture_order(dataset, seed=1, epoch=4, part=0, parts=3))
    orders = {tuple(picture_order(dataset, seed=seed, epoch=epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) > 6
    for whole in orders:
        shard_of = [dataset.entries[index].shard for index in whole]
        assert sum(one != other for one, other in itertools.pairwise(shard_of)) == 2
    with pytest.raises(ValueError, match="there is no part 3 of 3"):
        next(picture_order(dataset, seed=1, epoch=0, part=3, parts=3))


def test_foreign_shards_in_folders_and_with_other_files(tmp_path):
    """As `tar` writes a folder: directories, dots only after the name, members that mean nothing here."""
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        add(archive, "part/a.image.png", png(np.zeros((4, 5, 3), dtype=np.uint8)))
        described = {"id": "a", "shape": [4, 5], "objects": [{"id": 1, "layer": 0, "value": 9, "area": 20}]}
        add(archive, "part/a.json", json.dumps(described).encode())
        add(archive, "part/a.layer0.png", png(np.full((4, 5), 9, dtype=np.uint8)))
        add(archive, "part/a.txt", b"a caption")
    assert is_shards(tmp_path)
    assert is_shards(tmp_path / "x.tar")
    assert not is_shards(tmp_path / "absent")
    dataset = open_shards(tmp_path / "x.tar")
    assert (dataset.name, len(dataset)) == ("x", 1)
    assert dataset.annotation(0).mask(0).all()


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def add(archive, name, content):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b'{"id": "a"}', r"cannot understand .*x\.tar:a\.json: 'shape'"),
        ("a.json", b"[", r"cannot understand .*x\.tar:a\.json"),
        ("a.json", b'{"id": "a", "shape": [4, 5], "objects": [{"id": 1}]}', "cannot understand"),
        ("a.image.png", b"no image", r"cannot read the image .*x\.tar:a\.image\.png"),
        ("a.layer0.png", b"no image", r"cannot read the mask .*x\.tar:a\.layer0\.png"),
        ("a.layer0.png", png(np.zeros((3, 3), dtype=np.uint8)), r"is \(3, 3\), its JSON says \(4, 5\)"),
        ("a.layer0.png", None, r"x\.tar:a has no layer0\.png"),
    ],
)
def test_what_is_damaged_is_named(tmp_path, name, content, message):
    described = {"id": "a", "shape": [4, 5], "objects": [{"id": 1, "layer": 0, "value": 9, "area": 20}]}
    files = {
        "a.image.png": png(np.zeros((4, 5, 3), dtype=np.uint8)),
        "a.layer0.png": png(np.full((4, 5), 9, dtype=np.uint8)),
        "a.json": json.dumps(described).encode(),
    }
    files[name] = content
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for key, value in files.items():
            if value is not None:
                add(archive, key, value)
    dataset = open_shards(tmp_path)
    with pytest.raises(DataError, match=message):
        dataset.image(0), dataset.annotation(0).mask(0)


def test_refusals(folder, shards, tmp_path):
    with pytest.raises(ValueError, match="holds shards already"):
        write_shards(shards, open_folder(folder))
    with pytest.raises(ValueError, match="0 pictures per shard"):
        write_shards(tmp_path / "new", open_folder(folder), pictures_per_shard=0)
    with pytest.raises(DataError, match="holds no shards"):
        open_shards(tmp_path / "absent")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.tar").write_bytes(b"x" * 2000)
    with pytest.raises(DataError, match=r"cannot read the shard .*a\.tar"):
        open_shards(tmp_path / "bad")
    with tarfile.open(tmp_path / "bad" / "a.tar", "w") as archive:
        add(archive, "7.image.png", b"")
    with pytest.raises(DataError, match=r"a\.tar:7 has image\.png; a picture has an image and a json"):
        open_shards(tmp_path / "bad")
    dataset = open_shards(shards)
    whole = dataset.shards[0].read_bytes()
    dataset.shards[0].write_bytes(whole[:600])
    with pytest.raises(DataError, match=r"000000\.tar.* is cut short"):
        dataset.image(0)
    empty = open_folder(folder).subset([6])
    assert not len(empty.annotation(0))
    with pytest.raises(DataError, match="no picture of things has an object"):
        write_shards(tmp_path / "empty", empty)
