"""Exports from the page: the archive, what is said about it, and how polygons would do."""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inter2former.interchange.exchange import ExportOptions
from inter2former.interchange.transfer import FORMATS, export_project
from inter2former.polygons import mask_parts, polygon_iou
from inter2former.project.store import Project


@pytest.fixture
def annotated(server):
    """A server whose first image has two objects, and one in work."""
    with server.page("a.png") as page:
        page.move("labels", labels=[{"name": "cup", "colour": "#1e90ff"}])
        for x in (30, 90):
            page.click(x, 45)
            page.settle()
            page.move("commit")
        page.click(60, 20)
    return server


def make(server, **values):
    return server.client.post("/api/v1/exports", params=values)


def unpacked(server, key):
    answer = server.client.get(f"/api/v1/exports/{key}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    return zipfile.ZipFile(io.BytesIO(answer.content))


@pytest.mark.parametrize("name", list(FORMATS))
def test_archive_holds_what_the_command_writes(annotated, photos, tmp_path, name):
    made = make(annotated, format=name, with_images=True).json()
    with Project(photos / "inter2former", write=False) as project:
        report = export_project(project, name, tmp_path / "out", ExportOptions(with_images=True))
    assert made["name"] == f"photos-{name}.zip"
    assert (made["images"], made["objects"]) == (report.images, report.objects) == (1, 2)
    assert made["notes"] == report.summary()["notes"]
    assert made["notes"]["object still in work, not exported"] == 1
    archive = unpacked(annotated, made["key"])
    assert archive.testzip() is None
    wanted = {path.relative_to(tmp_path / "out").as_posix(): path for path in (tmp_path / "out").rglob("*.*")}
    assert {entry.removeprefix(f"photos-{name}/") for entry in archive.namelist()} == set(wanted)
    for entry, path in wanted.items():
        if path.suffix not in (".json", ".jsonl", ".xml"):  # those may hold the time of the export
            assert archive.read(f"photos-{name}/{entry}") == path.read_bytes()


def test_options_reach_the_export(annotated):
    made = make(annotated, format="coco", polygons=True, tolerance=4).json()
    assert 0 < made["polygons"]["least"] <= made["polygons"]["mean"] <= 1
    assert made["polygons"]["worst"].startswith("a.png, object ")
    [written] = json.loads(unpacked(annotated, made["key"]).read("photos-coco/annotations.json"))["images"]
    assert written["file_name"] == "a.png"
    assert make(annotated, format="coco").json()["polygons"] is None
    made = make(annotated, format="png", label_map=True).json()
    picture = Image.open(io.BytesIO(unpacked(annotated, made["key"]).read("photos-png/a.png")))
    assert picture.size == (130, 90)


def test_outlines_are_those_of_the_export(annotated):
    found = annotated.client.get("/api/v1/outlines", params={"path": "a.png", "tolerance": 2}).json()
    objects = annotated.project.record("a.png").objects
    assert [item["object"] for item in found] == [item.id for item in objects]
    for item, stored in zip(found, objects, strict=True):
        rings = [ring for part in mask_parts(stored.mask.mask, 2.0) for ring in part.rings]
        assert item["corners"] == sum(map(len, rings))
        assert item["iou"] == pytest.approx(polygon_iou(stored.mask.mask, rings), abs=1e-12)
    exact = annotated.client.get("/api/v1/outlines", params={"path": "a.png", "tolerance": 0}).json()
    assert [item["iou"] for item in exact] == [1, 1]
    assert annotated.client.get("/api/v1/outlines", params={"path": "b.png"}).json() == []


def test_large_objects_are_measured_where_they_lie(make_server, photos, photo):
    Image.fromarray(photo(700, 900, 3)).save(photos / "large.png")
    server = make_server()
    with server.page("large.png") as page:
        page.prompt("stroke", points=[[880, 690], [899, 699]], radius=9, erase=False)
        page.settle()
        page.move("commit")
    [found] = server.client.get("/api/v1/outlines", params={"path": "large.png", "tolerance": 1}).json()
    mask = server.project.record("large.png").objects[0].mask.mask
    rings = [ring for part in mask_parts(mask, 1.0) for ring in part.rings]
    assert found["iou"] == pytest.approx(polygon_iou(mask, rings), abs=1e-12)


@pytest.mark.parametrize(
    ("values", "status", "why"),
    [
        ({"format": "masks"}, 422, "there is no format 'masks'"),
        ({"format": "coco", "tolerance": -1}, 422, "greater than or equal"),
        ({"format": "coco", "tolerance": "nan"}, 422, "tolerance"),
        ({}, 422, "format"),
    ],
)
def test_what_cannot_be_asked_for(annotated, values, status, why):
    answer = make(annotated, **values)
    assert answer.status_code == status
    assert why in answer.text


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "inter2former/project.json"])
def test_outlines_of_nothing_outside(annotated, path):
    answer = annotated.client.get("/api/v1/outlines", params={"path": path})
    assert answer.status_code == 404 or answer.json() == []


def test_old_archives_leave_and_all_go_with_the_server(annotated):
    keys = [make(annotated, format="png").json()["key"] for _ in range(3)]
    assert [annotated.client.get(f"/api/v1/exports/{key}").status_code for key in keys] == [404, 200, 200]
    assert annotated.client.get("/api/v1/exports/..%2f..%2fproject.json").status_code == 404
    folder = annotated.workspace.exports.get(keys[2]).path.parent
    assert len(list(folder.iterdir())) == 2
    annotated.close()
    assert not folder.exists()


def test_one_export_at_a_time(annotated, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def slow(*arguments):
        begun.set()
        assert go_on.wait(30)
        return export_project(*arguments)

    monkeypatch.setattr("inter2former.web.exports.export_project", slow)
    answers = []
    first = threading.Thread(target=lambda: answers.append(make(annotated, format="png")))
    first.start()
    assert begun.wait(30)
    answer = make(annotated, format="png")
    assert answer.status_code == 409
    assert "another export is being written" in answer.json()["detail"]
    # Meanwhile the person goes on.
    with annotated.page("b.png") as page:
        page.click(20, 20)
        assert page.settle().any()
        assert page.move("commit")
    go_on.set()
    first.join(30)
    assert answers[0].status_code == 200


def test_full_disk_is_told(annotated, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("inter2former.web.exports._pack", full)
    answer = make(annotated, format="png")
    assert answer.status_code == 404
    assert "No space left on device" in answer.json()["detail"]
    monkeypatch.undo()
    assert make(annotated, format="png").status_code == 200


def test_the_page_offers_every_format():
    page = Path(str(files("inter2former.web"))) / "page" / "index.html"
    dialog = page.read_text(encoding="utf-8").split('<dialog id="export"')[1]
    assert re.findall(r'<option value="([a-z-]+)"', dialog) == list(FORMATS)


def test_masks_of_the_archive_are_those_of_the_project(annotated):
    archive = unpacked(annotated, make(annotated, format="png").json()["key"])
    for item in annotated.project.record("a.png").objects:
        picture = Image.open(io.BytesIO(archive.read(f"photos-png/a/{item.id}.png")))
        np.testing.assert_array_equal(np.asarray(picture) > 0, item.mask.mask)
