"""docs/datasets.md names every kind of data set, and what it shows of Python runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inter2former.data.layouts import KINDS, open_dataset

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")


def test_every_kind_has_a_heading_and_a_tree():
    sections = re.findall(r"^### .*?`([\w-]+)`(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert sorted(kind for kind, _ in sections) == sorted(KINDS)
    assert not [kind for kind, text in sections if "```text" not in text]


def test_the_description_can_be_read(make_folder):
    folder = make_folder()
    (folder / "dataset.json").write_text(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])
    dataset = open_dataset(folder)
    assert (dataset.name, dataset.terms, dataset.commercial_use) == ("workshop", "CC0", True)


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pycocotools", reason="polygons are drawn by pycocotools; install inter2former[datasets]")
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 6, "width": 8, "license": 3}],
        "annotations": [{"id": 5, "image_id": 1, "segmentation": [[1, 1, 5, 1, 5, 4, 1, 4]]}],
        "licenses": [{"id": 3, "name": "Attribution"}],
    }
    for part in ("annotations", "val2017"):
        (tmp_path / "coco" / part).mkdir(parents=True)
    (tmp_path / "coco" / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    Image.fromarray(np.zeros((6, 8, 3), dtype=np.uint8)).save(tmp_path / "coco" / "val2017" / "a.jpg")
    monkeypatch.chdir(tmp_path)
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0], {})
    assert capsys.readouterr().out == "instances_val2017/a 12 photos: Attribution\n"
