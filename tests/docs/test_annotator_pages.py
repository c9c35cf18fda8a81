"""The annotator's pages against the code: every message, every field and every key is in them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import get_args

import pytest

messages = pytest.importorskip("inter2former.web.messages")
moves = pytest.importorskip("inter2former.web.moves")

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL = (ROOT / "docs" / "annotator-protocol.md").read_text(encoding="utf-8")
PAGE = ROOT / "src" / "inter2former" / "web" / "page"


def row(kind):
    """The line of a table that describes a type; `undo` and `redo` share one."""
    found = [line for line in PROTOCOL.splitlines() if re.match(r"\| *`", line) and f"`{kind}`" in line.split("|")[1]]
    assert found, f"docs/annotator-protocol.md does not describe {kind}"
    return " ".join(found)


@pytest.mark.parametrize("message", get_args(messages.Message), ids=lambda message: message.type)
def test_every_message_and_its_fields_are_described(message):
    described = set(re.findall(r"`(\w+)`", row(message.type)))
    assert {field.name for field in dataclasses.fields(message)} <= described


def test_every_move_is_described():
    for kind in moves._READ:
        assert row(kind)


def test_both_sides_speak_the_version_of_the_page():
    assert f"Version {messages.PROTOCOL}." in PROTOCOL
    assert f"const PROTOCOL = {messages.PROTOCOL};" in (PAGE / "socket.js").read_text(encoding="utf-8")


def test_fields_of_masks_are_described():
    for field in dataclasses.fields(messages.WireMask):
        assert f"`{field.name}`" in PROTOCOL


def test_keys_in_the_text_are_those_of_the_page():
    commands = (PAGE / "commands.js").read_text(encoding="utf-8")
    text = (ROOT / "docs" / "annotator.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Z]|Esc|Delete|Ctrl\+(?:Shift\+)?Z|PageUp|PageDown|[,.\[\]?])`", text))
    given = {key for keys in re.findall(r"keys: \[(.*?)\], text", commands) for key in re.findall(r"'([^']+)'", keys)}
    given = {"Esc" if key == "Escape" else key for key in given}
    assert named <= given


def test_page_loads_nothing_from_elsewhere():
    for path in PAGE.iterdir():
        content = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]+\.[a-z]", content.replace("${scheme}://", "")), path.name
