"""The shipped JSON Schemas describe exactly what is written and read."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from inter2former.errors import ProjectError
from inter2former.project import changes
from inter2former.project.records import ObjectRecord
from inter2former.project.store import Project
from inter2former.prompt import Box, Click, Lasso, MaskPrompt, Scribble, Stroke

fastjsonschema = pytest.importorskip(
    "fastjsonschema", reason="fastjsonschema, which checks the schemas, is not installed"
)

MASK = MaskPrompt.of(np.random.default_rng(0).random((5, 6)) > 0.5)
PROMPTS = (
    Click(1, 2, False),
    Box(1, 2, 3, 4),
    Scribble([(1, 2), (-3, 4)], 2.5),
    Lasso([(1, 2), (3, 4), (0, 9)]),
    Stroke([(1, 2)], 3, True),
    MASK,
)


@lru_cache
def validator(name):
    text = files("inter2former").joinpath("project", "schema", f"{name}-1.schema.json").read_text("utf-8")
    return fastjsonschema.compile(json.loads(text))


@pytest.fixture
def folder(tmp_path):
    """A project in which everything has happened once."""
    Image.new("RGB", (6, 5)).save(tmp_path / "a.png")
    with Project.create(tmp_path / "p", tmp_path) as project:
        label = project.add_label("cup", "#ff0000")
        project.set_settings({"size": 512})
        project.identify("a.png")
        item = ObjectRecord(1, label.id, MASK, PROMPTS, True, False, "t", "t", {"area": 5})
        for change in (
            changes.begin_draft(None, label.id),
            *(changes.give_prompt(prompt) for prompt in PROMPTS),
            changes.undo_prompt(),
            changes.redo_prompt(),
            changes.commit_object(item),
            changes.put_object(item),
            changes.edit_object(1, {"visible": False, "label": None}),
            changes.order_objects([1]),
            changes.set_attributes({"x": [1]}),
            changes.set_status("done"),
            changes.begin_draft(1, None, PROMPTS, PROMPTS),
            changes.discard_draft(),
            changes.remove_object(1),
            changes.put_object(item),
            changes.begin_draft(1, None, PROMPTS[:2], PROMPTS[2:]),
        ):
            project.change("a.png", change)
    return tmp_path / "p"


def test_what_is_written_fits(folder):
    validator("project")(json.loads((folder / "project.json").read_text()))
    validator("image")(json.loads((folder / "images" / "a.png.json").read_text()))
    check = validator("journal")
    kinds = set()
    for line in (folder / "journal.jsonl").read_text().splitlines():
        check(json.loads(line))
        kinds.add(json.loads(line)["change"])
    assert kinds == {*changes._APPLY, "labels", "settings"}


def spoil(value, path, replacement):
    *way, last = path
    for step in way:
        value = value[step]
    if replacement is None:
        del value[last]
    else:
        value[last] = replacement


@pytest.mark.parametrize(
    ("path", "replacement"),
    [
        (["status"], "lost"),
        (["image", "width"], 0),
        (["image", "path"], None),
        (["objects", 0, "id"], 0),
        (["objects", 0, "visible"], 1),
        (["objects", 0, "colour"], "red"),
        (["objects", 0, "mask", "counts"], "~~"),
        (["objects", 0, "mask", "size"], [5]),
        (["objects", 0, "prompts", 0, "x"], 1.5),
        (["objects", 0, "prompts", 2, "radius"], 0.1),
        (["objects", 0, "prompts", 0, "type"], "poke"),
        (["draft", "prompts"], 5),
        (["extra"], 5),
    ],
)
def test_what_the_schema_refuses_the_program_refuses_too(folder, path, replacement):
    file = folder / "images" / "a.png.json"
    value = json.loads(file.read_text())
    spoil(value, path, replacement)
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        validator("image")(value)
    file.write_text(json.dumps(value))
    with pytest.raises(ProjectError, match=r"a\.png\.json: is damaged: "), Project(folder, write=False) as project:
        project.record("a.png")
