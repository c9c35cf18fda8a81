"""`evaluate --report` and `--compare` read runs; nothing is evaluated."""

from __future__ import annotations

import json

import pytest
from tests.unit.evaluation.made_runs import problem, session, write_run


@pytest.fixture
def a(tmp_path):
    return write_run(tmp_path / "a", [session("ducks/a", [0.5, 0.9]), session("ducks/b", [0.7]), problem()])


@pytest.fixture
def b(tmp_path):
    return write_run(tmp_path / "b", [session("ducks/a", [0.6, 0.8]), session("ducks/b", [0.7])], segmenter="other")


def test_report_says_where_it_is(run, a):
    result = run("evaluate", "--report", a)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [str(a / "report.html"), str(a / "report.md")]
    assert (a / "report.html").stat().st_size > 10_000
    assert "ducks/gone" in (a / "report.md").read_text(encoding="utf-8")


def test_report_as_json(run, a):
    result = run("evaluate", "--report", a, "--json")
    assert json.loads(result.out) == {"html": str(a / "report.html"), "markdown": str(a / "report.md")}


def test_comparison_as_table(run, a, b):
    result = run("evaluate", "--compare", a, b)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "Run B against run A over 2 pairs of sessions."
    (row,) = [line.split() for line in lines if line.startswith("IoU@1")]
    assert row[1:4] == ["0.600", "0.650", "+0.050"]
    assert "Where the IoU after click 4 fell most." in lines


def test_comparison_as_json_and_page(run, a, b, tmp_path):
    page = tmp_path / "c.html"
    result = run("evaluate", "--compare", a, b, "--json", "--out", page)
    assert json.loads(result.out)["pairs"] == 2
    assert "other against inter2former-t" in page.read_text(encoding="utf-8")


def test_mistakes_in_one_sentence(refused, a, b, tmp_path):
    assert f"{tmp_path} holds no run (run.json is missing)" in refused("evaluate", "--report", tmp_path)
    assert f"{tmp_path} holds no run" in refused("evaluate", "--compare", a, tmp_path)
    assert "--out is c.txt; a comparison is written as one page" in refused(
        "evaluate", "--compare", a, b, "--out", "c.txt"
    )
    absent = tmp_path / "absent"
    assert f"--images is {absent}, which is no folder" in refused("evaluate", "--report", a, "--images", absent)
    assert f"{absent / 'c.html'}: No such file" in refused("evaluate", "--compare", a, b, "--out", absent / "c.html")
    other = write_run(tmp_path / "c", [session("ducks/a", [0.5])], dataset_fingerprint="0")
    assert "cannot be compared: dataset_fingerprint is d1f2" in refused("evaluate", "--compare", a, other)
