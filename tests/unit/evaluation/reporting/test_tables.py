"""One table, three forms, the same cells."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from inter2former.evaluation.reporting.tables import Table

TABLE = Table(
    "What it is.", ("name", "value", "why"), (("a", "1.25", "so"), ("longer", "10", "")), frozenset({2}), "N."
)
HOSTILE = "</td><script>|`*_[a](b)\n# x"


def test_html_has_caption_heads_and_cells():
    root = ElementTree.fromstring(f"<x>{TABLE.to_html()}</x>")
    table = root.find("div/table")
    assert table.findtext("caption") == "What it is."
    assert [(cell.text, cell.get("scope"), cell.get("class")) for cell in table.findall("thead/tr/th")] == [
        ("name", "col", None),
        ("value", "col", "number"),
        ("why", "col", None),
    ]
    rows = table.findall("tbody/tr")
    assert [[cell.text or "" for cell in row] for row in rows] == [["a", "1.25", "so"], ["longer", "10", ""]]
    assert [row[0].get("scope") for row in rows] == ["row", "row"]
    assert root.findtext("p") == "N."


def test_markdown():
    assert TABLE.to_markdown().splitlines() == [
        "**What it is.**",
        "",
        "| name | value | why |",
        "| --- | ---: | --- |",
        "| a | 1.25 | so |",
        "| longer | 10 |  |",
        "",
        "N.",
    ]


def test_text():
    assert TABLE.to_text().splitlines() == [
        "What it is.",
        "name    value  why",
        "a        1.25  so",
        "longer     10",
        "N.",
    ]


def test_cells_are_no_markup():
    table = Table(HOSTILE, ("a",), ((HOSTILE,),))
    root = ElementTree.fromstring(table.to_html())
    assert root.findtext("table/tbody/tr/th") == HOSTILE.replace("\n", "�")
    row = table.to_markdown().splitlines()[4]
    assert row == r"| \</td\>\<script\>\|\`\*\_\[a\](b)�\# x |"


def test_rows_must_fit():
    with pytest.raises(ValueError, match=r"row \('a', 'b'\) of the table 'T' has 2 cells, not 1"):
        Table("T", ("one",), (("a", "b"),))
