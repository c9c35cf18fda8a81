"""The tables of results say what the stored summaries say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "src/inter2former/weights/MODEL_CARD.md")


@pytest.fixture(scope="module")
def rows():
    specification = importlib.util.spec_from_file_location("quality_table", ROOT / "bench" / "quality_table.py")
    table = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(table)
    return table.rows()


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_up_to_date(page, rows):
    assert len(rows) == 2
    text = (ROOT / page).read_text(encoding="utf-8")
    for row in rows:
        assert row in text, f"{page} lacks a row; python bench/quality_table.py prints it"
