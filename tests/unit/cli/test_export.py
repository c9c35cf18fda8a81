"""`inter2former export` and `import` on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from inter2former.cli.__main__ import main
from inter2former.project import changes
from inter2former.project.records import ObjectRecord
from inter2former.project.store import Project
from inter2former.prompt import MaskPrompt


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (30, 20)).save(tmp_path / "photos" / "a.png")
    mask = np.zeros((20, 30), dtype=bool)
    mask[4:15, 5:25] = True
    mask[8:10, 10:12] = False
    with Project.create(tmp_path / "p", tmp_path / "photos") as project:
        label = project.add_label("cup", "#ff0000")
        project.identify("a.png")
        item = ObjectRecord(1, label.id, MaskPrompt.of(mask), (), True, False, "", "")
        project.change("a.png", changes.put_object(item))
    return tmp_path


def test_out_and_in_again(folder, capsys):
    assert main(["export", str(folder / "p"), "--format", "coco", "--out", str(folder / "coco"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"images": 1, "objects": 1, "notes": {}, "skipped": []}
    file = str(folder / "coco" / "annotations.json")
    arguments = ["import", str(folder / "q"), file, "--format", "coco", "--images", str(folder / "photos")]
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"{folder / 'q'}: from coco, 1 images, 1 objects\n"
    assert main(arguments) == 0
    assert "left out: a.png: has objects already; add to them with --add" in capsys.readouterr().out
    with Project(folder / "q", write=False) as project:
        assert project.record("a.png").objects[0].mask.area == 11 * 20 - 4


def test_the_images_of_another_project(folder, capsys):
    (folder / "others").mkdir()
    arguments = ["import", str(folder / "p"), "x.json", "--format", "coco", "--images", str(folder / "others")]
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert f"{folder / 'others'}: is not in the project's folder of images {folder / 'photos'}" in message
    Project(folder / "p").close()  # nobody holds it any more


def test_what_polygons_lose_is_shown(folder, capsys):
    out = str(folder / "yolo")
    assert main(["export", str(folder / "p"), "--format", "yolo", "--out", out, "--tolerance", "0"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{out}: yolo, 1 images, 1 objects",
        "polygons against masks: mean IoU 1.0000; the least, of all in polygons.jsonl:",
        "  1.0000  a.png, object 1",
        "note: 1 x object with holes or several parts, joined by cuts of no width",
        "note: 1 x images are not part of the export; put them into images/ or export with --with-images",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "{p}", "--format", "coco", "--out", "{p}"], "is there already and not empty; name a new folder"),
        (["export", "{p}/absent", "--format", "coco", "--out", "{o}"], "absent: is no project, it has no project.json"),
        (["export", "{p}", "--format", "yolo", "--out", "{o}", "--tolerance", "-1"], "the tolerance is -1.0 px"),
        (["export", "{p}", "--format", "voc", "--out", "{o}", "--polygons"], "the format voc holds masks only"),
        (["export", "{p}", "--format", "coco", "--out", "{o}", "--label-map"], "is for the format png, not coco"),
        (["import", "{p}", "{o}", "--format", "coco"], "o: cannot be read"),
        (["import", "{p}/new", "{o}", "--format", "coco"], "new: is no project"),
        (["import", "{p}/new", "{o}", "--format", "coco", "--images", "{o}"], "o: is no folder"),
    ],
)
def test_bad_input_is_one_sentence(folder, capsys, arguments, message):
    assert main([part.format(p=folder / "p", o=folder / "o") for part in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"inter2former {arguments[0]}: ")
    assert message in error
    assert error.count("\n") == 1


def test_an_export_does_not_disturb_the_writer(folder, capsys):
    with Project(folder / "p"):
        assert main(["export", str(folder / "p"), "--format", "coco", "--out", str(folder / "o")]) == 0
        assert main(["import", str(folder / "p"), "x", "--format", "coco"]) == 2
    assert "p: is in use by inter2former (process" in capsys.readouterr().err
