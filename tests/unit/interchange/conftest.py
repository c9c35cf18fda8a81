"""A project with objects that formats find hard: holes, parts, overlaps, no label, one pixel, the whole image."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from inter2former.project import changes
from inter2former.project.records import Label, ObjectRecord
from inter2former.project.store import Project
from inter2former.prompt import MaskPrompt

WIDTH, HEIGHT = 60, 40


def disc(x, y, radius):
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    return (column - x) ** 2 + (row - y) ** 2 <= radius**2


RING = disc(20, 18, 14) & ~disc(20, 18, 6)
PARTS = disc(8, 8, 6) | disc(45, 30, 7) | disc(50, 8, 4)
PIXEL = disc(59, 39, 0)
WHOLE = np.ones((HEIGHT, WIDTH), dtype=bool)
CHECKS = np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2 == 0
MASKS = {
    "a.png": [("ring", RING), ('two words, "quoted" & <ü>', PARTS), (None, PIXEL)],
    "sub/a.png": [("ring", WHOLE), ("ring", disc(30, 20, 10))],
    "sub/画像.jpg": [("ring", CHECKS & disc(30, 20, 8))],
}


def put(project, path, objects):
    """Give an image objects of (label name or None, mask)."""
    record = project.identify(path)
    ids = {label.name: label.id for label in project.labels}
    items = [
        ObjectRecord(number, ids.get(name), MaskPrompt.of(mask), (), True, False, "2026-01-01T00:00:00.000Z", "")
        for number, (name, mask) in enumerate(objects, record.next_object)
    ]
    return project.change(path, *(changes.put_object(item) for item in items)) if items else record


def objects_of(project):
    """Label names and masks of all images that have objects, in order."""
    names = {label.id: label.name for label in project.labels}
    return {
        record.path: [(names.get(item.label), item.mask.mask) for item in record.objects]
        for record in project.records()
        if record.objects
    }


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for path in (*MASKS, "empty.png"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / path)
    return folder


@pytest.fixture
def project(photos, tmp_path):
    labels = [Label(1, "ring", "#1e90ff"), Label(4, 'two words, "quoted" & <ü>', "#ff8c00")]
    with Project.create(tmp_path / "project", photos, labels=labels) as project:
        for path, objects in MASKS.items():
            put(project, path, objects)
        project.identify("empty.png")
        yield project


@pytest.fixture
def other(photos, tmp_path):
    """An empty project on the same photos."""
    with Project.create(tmp_path / "other", photos) as project:
        yield project
