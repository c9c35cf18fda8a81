"""Every format there and back: what is exact comes back exactly, what is not is said."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from inter2former.errors import DataError, ProjectError
from inter2former.interchange.exchange import ExportOptions
from inter2former.interchange.transfer import FORMATS, export_project, import_into_project
from inter2former.project import changes
from inter2former.prompt import Click

from .conftest import CHECKS, HEIGHT, MASKS, WIDTH, objects_of, put

READ_FROM = {
    "coco": "annotations.json",
    "label-studio": "tasks.json",
    "cvat": "annotations.xml",
}
EXACT = [("coco", {}), ("labelme", {}), ("png", {}), ("label-studio", {}), ("cvat", {}), ("geojson", {"tolerance": 0})]
POLYGONS = [
    ("coco", {"polygons": True}),
    ("labelme", {"polygons": True}),
    ("yolo", {}),
    ("geojson", {}),
]


def there_and_back(project, other, out, name, options):
    report = export_project(project, name, out, ExportOptions(**options))
    imported = import_into_project(other, name, out / READ_FROM.get(name, ""))
    return report, imported


@pytest.mark.parametrize(("name", "options"), EXACT)
def test_masks_come_back_exactly(project, other, tmp_path, name, options):
    report, imported = there_and_back(project, other, tmp_path / "out", name, options)
    assert (report.images, report.objects) == (4, 6)
    assert (imported.images, imported.objects, imported.skipped) == (3, 6, [])
    found = objects_of(other)
    assert list(found) == list(MASKS)
    for path, objects in MASKS.items():
        assert [label for label, _ in found[path]] == [label for label, _ in objects]
        for (_, mask), (_, expected) in zip(found[path], objects, strict=True):
            np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("tolerance", [0, 1.0])
@pytest.mark.parametrize(("name", "options"), POLYGONS)
def test_polygons_come_back_as_well_as_the_report_says(project, other, tmp_path, name, options, tolerance):
    report, imported = there_and_back(project, other, tmp_path / "out", name, {**options, "tolerance": tolerance})
    assert imported.skipped == []
    lines = [json.loads(line) for line in (tmp_path / "out" / "polygons.jsonl").read_text().splitlines()]
    assert len(lines) == 6
    found = objects_of(other)
    told = {(line["image"], line["object"]): line["iou"] for line in lines}
    for path, objects in MASKS.items():
        for number, ((_, mask), (_, expected)) in enumerate(zip(found[path], objects, strict=True), 1):
            iou = (mask & expected).sum() / (mask | expected).sum()
            assert iou == pytest.approx(told[path, number], abs=1e-6)
            assert iou > (0.85 if tolerance and expected.sum() > 150 else 0.3 if tolerance else 0.999)
    summary = report.summary()["polygon_iou"]
    assert summary["mean"] == pytest.approx(np.mean(list(told.values())), abs=1e-5)
    assert summary["least"][0]["iou"] == min(told.values())
    if tolerance:
        assert sum(line["corners"] for line in lines if line["image"] == "a.png") < 120


@pytest.mark.parametrize("name", ["label-studio", "cvat"])
def test_parts_of_polygons_become_objects_where_the_format_knows_no_more(project, other, tmp_path, name):
    report, imported = there_and_back(project, other, tmp_path / "out", name, {"polygons": True, "tolerance": 0})
    assert any("several parts" in note for note in report.notes)
    assert any("cuts of no width" in note for note in report.notes)
    assert imported.objects > 6
    for path, objects in MASKS.items():
        expected = np.logical_or.reduce([mask for _, mask in objects])
        np.testing.assert_array_equal(np.logical_or.reduce([mask for _, mask in objects_of(other)[path]]), expected)


@pytest.mark.parametrize(("name", "options"), [("voc", {}), ("png", {"label_map": True})])
def test_label_maps_lose_what_is_covered_and_say_so(project, other, tmp_path, name, options):
    report, imported = there_and_back(project, other, tmp_path / "out", name, options)
    assert report.notes["object that covers another, whose covered pixels are lost"] == 2
    assert imported.objects == 6
    found = objects_of(other)
    for path, objects in MASKS.items():
        covered = np.zeros((HEIGHT, WIDTH), dtype=bool)
        for (label, mask), (wanted, expected) in reversed(list(zip(found[path], objects, strict=True))):
            assert label == wanted
            np.testing.assert_array_equal(mask, expected & ~covered)
            covered |= expected


def test_many_objects_need_sixteen_bits(photos, other, tmp_path):
    masks = [np.zeros((HEIGHT, WIDTH), dtype=bool) for _ in range(300)]
    for number, mask in enumerate(masks):
        mask.flat[3 * number : 3 * number + 2] = True
    put(other, "a.png", [(None, mask) for mask in masks])
    report = export_project(other, "png", tmp_path / "out", ExportOptions(label_map=True))
    with Image.open(tmp_path / "out" / "a.png") as picture:
        values = np.asarray(picture)
    assert values.dtype == np.uint16
    assert values.max() == 300
    report = export_project(other, "voc", tmp_path / "voc", ExportOptions())
    assert report.notes["object beyond the 254th of an image, not exported"] == 46
    assert report.objects == 254


@pytest.mark.parametrize("name", FORMATS)
def test_equal_stems_stay_apart(photos, project, other, tmp_path, name):
    Image.new("RGB", (WIDTH, HEIGHT)).save(photos / "a.jpg")
    put(project, "a.jpg", [("ring", CHECKS)])
    report = export_project(project, name, tmp_path / "out", ExportOptions(tolerance=0, with_images=True))
    assert report.images == 5
    if name in ("labelme", "yolo", "voc", "png"):
        assert report.notes["name changed to keep images with equal stems apart"] == 1
    pictures = [path for path in (tmp_path / "out").rglob("*") if path.suffix in (".jpg", ".png")]
    assert len({path.name for path in pictures}) >= 3


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_project_is_no_error(other, tmp_path, name):
    report = export_project(other, name, tmp_path / "out", ExportOptions())
    assert (report.images, report.objects) == (0, 0)
    assert (tmp_path / "out").is_dir()


def test_what_is_not_exported_is_said(project, photos, tmp_path):
    project.change("a.png", changes.begin_draft(None, None, [Click(1, 1)]))
    put(project, "sub/a.png", [("ring", np.zeros((HEIGHT, WIDTH), dtype=bool))])
    (photos / "empty.png").unlink()
    seen = []
    report = export_project(project, "coco", tmp_path / "out", ExportOptions(), lambda r: seen.append(r.images))
    assert report.notes == {
        "object still in work, not exported": 1,
        "object without a pixel, not exported": 1,
        "image file is missing; its objects are exported all the same": 1,
    }
    assert seen == [1, 2, 3, 4]


def test_a_folder_is_filled_completely_or_not_at_all(project, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    export_project(project, "coco", out, ExportOptions())
    with pytest.raises(ProjectError, match="out: is there already and not empty; name a new folder"):
        export_project(project, "coco", out, ExportOptions())
    with pytest.raises(ValueError, match="there is no format 'tfrecord'; the formats are coco, labelme"):
        export_project(project, "tfrecord", tmp_path / "x", ExportOptions())
    with pytest.raises(ValueError, match="the tolerance is -1 px"):
        ExportOptions(tolerance=-1)

    def full(self, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(ProjectError, match=r"cannot be written \(No space left on device\)"):
        export_project(project, "yolo", tmp_path / "y", ExportOptions())
    assert not (tmp_path / "y").exists()
    assert not list(tmp_path.glob(".*.part"))


def test_an_import_that_is_run_again_does_not_double_everything(project, other, tmp_path):
    export_project(project, "coco", tmp_path / "out", ExportOptions())
    file = tmp_path / "out" / "annotations.json"
    import_into_project(other, "coco", file)
    again = import_into_project(other, "coco", file)
    assert again.objects == 0
    assert again.skipped[0] == ("a.png", "has objects already; add to them with --add")
    assert import_into_project(other, "coco", file, add=True).objects == 6
    assert [item.id for item in other.record("a.png").objects] == [1, 2, 3, 4, 5, 6]


def test_imported_objects_can_be_taken_up_again(project, other, tmp_path):
    export_project(project, "coco", tmp_path / "out", ExportOptions())
    import_into_project(other, "coco", tmp_path / "out" / "annotations.json")
    item = other.record("a.png").object(1)
    assert item.prompts == ()
    assert item.start == (item.mask,)


def test_images_that_do_not_fit_are_left_out_and_named(other, photos, tmp_path):
    content = {
        "images": [
            {"id": 1, "file_name": "absent.png", "width": 5, "height": 5},
            {"id": 2, "file_name": "C:\\data\\empty.png", "width": WIDTH, "height": HEIGHT},
            {"id": 3, "file_name": "sub/a.png", "width": 5, "height": 5},
        ],
        "categories": [{"id": 9, "name": "cup"}],
        "annotations": [
            {"image_id": 1, "category_id": 9, "segmentation": [[0, 0, 5, 0, 5, 5]]},
            {"image_id": 2, "category_id": 9, "segmentation": {"size": [HEIGHT, WIDTH], "counts": [5, 10, 2385]}},
            {"image_id": 2, "category_id": 7, "segmentation": [], "bbox": [1, 2, 3, 4]},
            {"image_id": 3, "category_id": 9, "segmentation": [[0, 0, 5, 0, 5, 5]]},
        ],
    }
    file = tmp_path / "in.json"
    file.write_text(json.dumps(content))
    report = import_into_project(other, "coco", file)
    assert report.skipped == [
        ("absent.png", "there is no image of this name"),
        ("sub/a.png", "the file says 5x5, the upright image is 60x40"),
    ]
    assert report.notes == {"annotation without a mask (a box or keypoints only), left out": 1}
    assert [(label.name, label.colour) for label in other.labels] == [("cup", "#1e90ff")]
    assert other.record("empty.png").objects[0].mask.area == 10


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("coco", "x.json", "{", "x.json: is no JSON"),
        ("coco", "x.json", '{"images": []}', "x.json: has no list 'annotations'"),
        ("labelme", "x.json", '{"shapes": [{}], "imagePath": "a.png"}', "x.json: is damaged or of another format"),
        ("label-studio", "x.json", "{}", "x.json: holds no list of tasks"),
        ("label-studio", "x.json", '[{"annotations": [{"result": [{}]}]}]', "is damaged or of another format"),
        ("cvat", "x.xml", "<annotations>", "x.xml: is no XML"),
        ("cvat", "x.xml", "<other/>", "x.xml: has no annotations"),
        ("cvat", "x.xml", '<!DOCTYPE x [<!ENTITY a "b">]><annotations/>', "x.xml: has a document type"),
        ("geojson", "x.geojson", "[]", "x.geojson: has no list 'features'"),
        ("geojson", "a.png.geojson", '{"features": [{"geometry": 5}]}', "is damaged or of another format"),
        ("yolo", "x.txt", "", "data.yaml: cannot be read"),
        ("png", "x.png", "no picture", "x.png: is missing or damaged|there is no image"),
    ],
)
def test_damaged_files_are_named(other, tmp_path, name, file, content, message):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / file).write_text(content)
    Image.new("RGB", (WIDTH, HEIGHT)).save(other.library.folder / "x.jpg")
    with pytest.raises(DataError, match=message):
        import_into_project(other, name, folder if name in ("yolo", "png") else folder / file)
    with pytest.raises(DataError, match=r"cannot be read|is no file and holds none"):
        import_into_project(other, name, tmp_path / "absent")
