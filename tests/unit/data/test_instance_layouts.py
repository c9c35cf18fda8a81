"""COCO and LVIS in miniature: polygons and run lengths, overlaps, crowds, and entries that cannot be used."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from pycocotools import mask as coco_masks

from inter2former.data import segmentations
from inter2former.data.instances import Instances
from inter2former.data.layouts import open_dataset
from inter2former.errors import DataError
from inter2former.masks import encode_rle, runs_from_mask

SQUARE = [1.0, 1.0, 5.0, 1.0, 5.0, 4.0, 1.0, 4.0]


def entry(id, segmentation, *, image_id=1, **more):
    return {"id": id, "image_id": image_id, "segmentation": segmentation, "area": 12.5, "iscrowd": 0, **more}


def image(id=1, file_name="000001.jpg", **more):
    return {"id": id, "file_name": file_name, "height": 6, "width": 8, **more}


def runs(mask, *, compressed):
    counts = encode_rle(mask) if compressed else runs_from_mask(mask).tolist()
    return {"size": list(mask.shape), "counts": counts}


@pytest.fixture
def coco(write_image, write_text):
    """Writes a COCO file with these entries and one photo, and opens it: `coco(annotations, images)`."""

    def make(annotations, images=None, **more):
        write_image("coco/val2017/000001.jpg")
        content = {"images": images or [image()], "annotations": annotations, **more}
        return open_dataset(write_text("coco/annotations/instances_val2017.json", content))

    return make


def test_three_ways_to_write_overlapping_masks(coco, blocks):
    left, middle = blocks(1, 1) == 1, blocks(0, 1, 1) == 1
    dataset = coco(
        [entry(30, runs(left, compressed=False)), entry(20, runs(middle, compressed=True)), entry(10, [SQUARE])]
    )
    assert (dataset.name, dataset.identity(0)) == ("instances_val2017", "instances_val2017/000001")
    found = pickle.loads(pickle.dumps(dataset)).annotation(0)
    assert (found.shape, found.object_ids) == ((6, 8), (10, 20, 30))
    assert found.areas().tolist() == [12.5] * 3
    polygon, second, third = found.samples()
    assert [sample.id for sample in (polygon, second, third)] == [
        f"instances_val2017/000001#{id}" for id in (10, 20, 30)
    ]
    expected = np.zeros((6, 8), dtype=bool)
    expected[1:4, 1:5] = True
    np.testing.assert_array_equal(polygon.mask, expected)
    np.testing.assert_array_equal(second.mask, middle)
    np.testing.assert_array_equal(third.mask, left)
    assert [sample.ignore for sample in (polygon, second, third)] == [None] * 3


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools' decoder
def test_several_polygons_are_one_object_as_pycocotools_draws_it(coco):
    rng = np.random.default_rng(0)
    for _ in range(10):
        polygons = [(rng.random(2 * corners) * np.tile((8, 6), corners)).tolist() for corners in (3, 4, 7)]
        drawn = coco_masks.decode(coco_masks.merge(coco_masks.frPyObjects(polygons, 6, 8)))
        mask = coco([entry(1, polygons)]).annotation(0).mask(0)
        assert mask.flags.c_contiguous
        np.testing.assert_array_equal(mask, drawn == 1)


def test_no_mask_is_decoded_before_it_is_asked_for(coco, monkeypatch):
    decoded = []
    monkeypatch.setattr(
        "inter2former.data.instances.decode", lambda *given: decoded.append(given) or np.ones((6, 8), bool)
    )
    found = coco([entry(1, [SQUARE]), entry(2, [SQUARE]), entry(3, [SQUARE], iscrowd=1)]).annotation(0)
    assert (len(found), found.areas().tolist(), decoded) == (2, [12.5, 12.5], [])
    found.mask(1)
    assert len(decoded) == 1
    list(found.samples())
    assert len(decoded) == 4  # the crowd once


def test_crowds_are_ignored_but_for_the_object_itself(coco, blocks):
    crowds = [
        entry(id, runs(blocks(*values) == 1, compressed=False), iscrowd=1)
        for id, values in ((7, (0, 1, 1)), (8, (0, 0, 0, 1)))
    ]
    (sample,) = coco([entry(1, runs(blocks(1, 1) == 1, compressed=True)), *crowds]).samples()
    assert sample.id == "instances_val2017/000001"
    np.testing.assert_array_equal(sample.mask, blocks(1, 1) == 1)
    np.testing.assert_array_equal(sample.ignore, blocks(0, 0, 1, 1) == 1)


def test_images_without_objects_are_no_part_of_it(coco):
    images = [image(2, "000002.jpg"), image(), image(3, "000003.jpg")]
    dataset = coco([entry(1, [SQUARE]), entry(2, [SQUARE], image_id=3, iscrowd=1)], images)
    assert [dataset.identity(index) for index in range(len(dataset))] == ["instances_val2017/000001"]


def test_areas_and_sizes_may_be_missing(coco, blocks):
    bare = {"id": 5, "image_id": 1, "segmentation": runs(blocks(1, 1) == 1, compressed=True)}
    found = coco([bare, entry(6, [SQUARE], area="large")], [{"id": 1, "file_name": "000001.jpg"}]).annotation(0)
    assert found.shape == (6, 8)
    assert found.areas().tolist() == [24, 12]


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "it has no segmentation; give polygons or run lengths"),
        ([], "it has no segmentation"),
        ([[1, 1, 5, 1, 5, "4"]], "a polygon is no list of x1, y1, x2, y2"),
        ([[1, 1, 5, 1, 5]], "a polygon is no list of x1, y1, x2, y2"),
        ([[1, 1, 5, 1, 5, float("nan")]], "a polygon is no list of x1, y1, x2, y2"),
        ([1, 1, 5, 1, 5, 4], "a polygon is no list of x1, y1, x2, y2"),
        ([[1, 1, 1e9, 1, 5, 4]], "a polygon lies far outside the 8x6 image"),
        ({"size": [8, 6], "counts": [48]}, r"run lengths are of size \[8, 6\]; wanted \[6, 8\]"),
        ({"size": [6, 8], "counts": [3, 4]}, "hold 7 pixels, the mask 48"),
        ({"size": [6, 8], "counts": [10**30]}, "neither a text nor a list of whole numbers up to 48"),
        ({"size": [6, 8], "counts": "zzzz"}, "run lengths are damaged"),
        ({"size": [6, 8]}, "neither a text nor a list of whole numbers up to 48"),
    ],
)
def test_a_bad_segmentation_is_named_and_the_others_stay(coco, segmentation, message):
    found = coco([entry(1, segmentation), entry(2, [SQUARE])]).annotation(0)
    with pytest.raises(DataError, match=rf"annotation 1 of .*000001\.jpg in .*instances_val2017\.json: .*{message}"):
        found.sample(0)
    assert found.sample(1).mask.sum() == 12


@pytest.mark.parametrize(
    "segmentation", [[[1, 1, 5, 4]], [[1.2, 1.2, 1.3, 1.2, 1.3, 1.3]], {"size": [6, 8], "counts": [48]}]
)
def test_an_object_without_pixels_is_named(coco, segmentation):
    found = coco([entry(1, segmentation), entry(2, [SQUARE])]).annotation(0)
    with pytest.raises(DataError, match="the object instances_val2017/000001#1 has no pixel"):
        found.sample(0)


def test_bad_entries_are_named_and_the_others_stay(coco, write_image):
    write_image("coco/val2017/small.jpg", np.zeros((3, 4, 3), dtype=np.uint8))
    write_image("coco/val2017/twins.jpg")
    names = {2: "absent.jpg", 3: "small.jpg", 4: "twice.jpg", 5: "twice.png", 6: "twins.jpg"}
    images = [image(), *(image(id, name) for id, name in names.items()), "no entry", image(1), {"id": 9}]
    annotations = [entry(10 * id, [SQUARE], image_id=id) for id in range(1, 7)]
    annotations += [entry(60, [SQUARE], image_id=6), 7, entry("8", [SQUARE]), entry(1, [SQUARE], image_id=77)]
    annotations += [entry(2, [SQUARE], image_id=77), entry(3, [SQUARE], image_id=[1])]
    dataset = coco(annotations, images)
    reasons = {}
    for index in range(len(dataset)):
        try:
            assert isinstance(dataset.annotation(index), Instances)
        except DataError as error:
            reasons[dataset.identity(index).removeprefix("instances_val2017/")] = str(error)
    assert len(reasons) == len(dataset) - 1
    file = dataset.root
    folder = file.parents[1] / "val2017"
    assert reasons == {
        "absent": f"{folder}/absent.jpg: there is no such file; give the path of an image file",
        "small": f"the entry of small in {file} is 8x6, but the upright image {folder}/small.jpg is 4x3; "
        "give both one size",
        "twice": f"twice is listed 2 times ({folder}/twice.jpg, {folder}/twice.png); keep one",
        "twins": f"two annotations of {folder}/twins.jpg in {file} share an id; make the ids unique",
        "images[6]": f"images[6] in {file} has no id or no file name; add them",
        "images[7]": f"images[7] in {file} has the id 1 of an entry before it; change it",
        "images[8]": f"images[8] in {file} has no id or no file name; add them",
        "annotations[7]": f"annotations[7] in {file} has no whole number as id; add it",
        "annotations[8]": f"annotations[8] in {file} has no whole number as id; add it",
        "annotations[9]": f"annotations[9] in {file} is of image 77, which is not listed; list it, or remove its "
        "annotations",
        "annotations[11]": f"annotations[11] in {file} is of image [1], which is not listed; list it, or remove its "
        "annotations",
    }


def test_files_that_are_no_data_set(coco, write_text, tmp_path):
    with pytest.raises(DataError, match=r"val2017\.json lists no objects of its 1 images"):
        coco([])
    with pytest.raises(DataError, match=r"cannot read .*broken\.json: .*; give a JSON file of COCO or LVIS"):
        open_dataset(write_text("broken.json", '{"images": ['))
    for content in ([], {"images": []}, {"images": {}, "annotations": []}):
        with pytest.raises(DataError, match=r'other\.json has no lists "images" and "annotations"'):
            open_dataset(write_text("other.json", content))


def test_images_are_looked_for_or_given(write_image, write_text, tmp_path):
    content = {"images": [image(file_name="a/b.jpg")], "annotations": [entry(1, [SQUARE])]}
    path = write_text("set/annotations.json", content)
    with pytest.raises(
        DataError, match=r"none of the 1 images of .*annotations\.json, such as a/b\.jpg, lies in .*set/"
    ):
        open_dataset(path)
    photo = write_image("elsewhere/a/b.jpg")
    with pytest.raises(DataError, match=r"lies in .*nowhere; put them"):
        open_dataset(path, images=tmp_path / "nowhere")
    assert open_dataset(path, images=tmp_path / "elsewhere").files(0) == (photo, path)
    nearer = write_image("set/images/a/b.jpg")
    dataset = open_dataset(tmp_path / "set")
    assert dataset.image_path(0) == nearer
    assert dataset.identity(0) == "annotations/a/b"


def test_polygons_without_pycocotools_are_one_sentence(coco, monkeypatch, blocks):
    monkeypatch.setattr(segmentations, "find_spec", lambda name: None)
    with pytest.raises(
        DataError, match=r"polygons of COCO or LVIS needs pycocotools; install inter2former\[datasets\]"
    ):
        coco([entry(1, [SQUARE])])
    assert len(coco([entry(1, runs(blocks(1) == 1, compressed=True))])) == 1


@pytest.mark.parametrize(
    ("licences", "commercial_use"),
    [
        ([{"id": 4, "name": "Attribution License", "url": "http://creativecommons.org/licenses/by/2.0/"}], None),
        ([{"id": 4, "name": "Attribution-NonCommercial License", "url": ""}], False),
        ([{"id": 4, "name": "three", "url": "http://creativecommons.org/licenses/by-nc-sa/2.0/"}], False),
        ([{"id": 3, "name": "NonCommercial, of no image"}], None),
        ("none", None),
    ],
)
def test_licences_of_the_photos(coco, licences, commercial_use):
    dataset = coco([entry(1, [SQUARE])], [image(license=4)], licenses=licences)
    assert dataset.commercial_use is commercial_use
    named = [licence["name"] for licence in licences if licence["id"] == 4] if isinstance(licences, list) else []
    assert dataset.terms == (f"photos: {named[0]}" if named else "")


def test_lvis_finds_photos_by_their_address(write_image, write_text, blocks):
    for split, name in (("train2017", "000000391895"), ("val2017", "000000397133")):
        write_image(f"lvis/{split}/{name}.jpg")
    images = [
        {
            "id": number,
            "coco_url": f"http://images.cocodataset.org/{split}/{number:012}.jpg",
            "height": 6,
            "width": 8,
            "neg_category_ids": [],
            "not_exhaustive_category_ids": [3],
        }
        for split, number in (("train2017", 391895), ("val2017", 397133))
    ]
    annotations = [{"id": 1, "image_id": 391895, "segmentation": [SQUARE], "area": 12.0}]
    annotations += [{"id": id, "image_id": 397133, "segmentation": [SQUARE], "area": 12.0} for id in (2, 3)]
    path = write_text("lvis/lvis_v1_val.json", {"images": images, "annotations": annotations})
    for dataset in (open_dataset(path), open_dataset(path.parent, split="val"), open_dataset(path, "lvis")):
        assert [dataset.identity(index) for index in range(2)] == [
            "lvis_v1_val/train2017/000000391895",
            "lvis_v1_val/val2017/000000397133",
        ]
        assert len(list(dataset.samples())) == 3
    with pytest.raises(DataError, match="lists no objects of its 0 images"):
        open_dataset(path, "coco")


def test_a_folder_with_several_files(coco, write_image, write_text):
    content = {"images": [image()], "annotations": [entry(1, [SQUARE])]}
    folder = coco([entry(1, [SQUARE])]).root.parents[1]
    for other in ("captions_val2017", "person_keypoints_val2017"):
        write_text(f"coco/annotations/{other}.json", {})
    assert (open_dataset(folder).name, open_dataset(folder).split) == ("instances_val2017", "val")
    with pytest.raises(DataError, match=r"coco has the files instances_val2017\.json, and 'train' is wanted"):
        open_dataset(folder, split="train")
    write_image("coco/train2017/000001.jpg")
    write_text("coco/annotations/instances_train2017.json", content)
    assert open_dataset(folder, split="train").image_path(0).parent.name == "train2017"
    with pytest.raises(DataError, match=r"instances_train2017\.json, instances_val2017\.json, and none is named"):
        open_dataset(folder)
