"""From a run's folder to the two files of its report."""

from __future__ import annotations

import pytest
from tests.unit.evaluation.made_runs import header, problem, session, write_photo, write_run

from inter2former.errors import RunError
from inter2former.evaluation.report import write_report


def made_run(tmp_path, records=None, **changes):
    settings = {**header().settings, "folder": str(tmp_path / "data")}
    records = [session("ducks/a", [0.5, 0.9]), problem()] if records is None else records
    return write_run(tmp_path / "run", records, settings=settings, **changes)


def test_files_lie_in_the_runs_folder(tmp_path):
    write_photo(tmp_path / "data")
    run = made_run(tmp_path)
    page, text = write_report(run)
    assert (page, text) == (run / "report.html", run / "report.md")
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert text.read_text(encoding="utf-8").startswith("# inter2former-t on ducks\n")
    assert sorted(path.name for path in run.iterdir()) == ["records.jsonl", "report.html", "report.md", "run.json"]
    assert "Drawn on grey" not in page.read_text(encoding="utf-8")


def test_the_same_run_gives_the_same_report(tmp_path):
    run = made_run(tmp_path)
    first = [path.read_bytes() for path in write_report(run)]
    assert [path.read_bytes() for path in write_report(run)] == first


def test_photos_may_have_moved(tmp_path):
    write_photo(tmp_path / "elsewhere")
    run = made_run(tmp_path)
    assert "Drawn on grey" in write_report(run)[0].read_text(encoding="utf-8")
    assert "Drawn on grey" not in write_report(run, images=tmp_path / "elsewhere")[0].read_text(encoding="utf-8")


def test_a_report_does_not_say_where_the_data_lay(tmp_path):
    lost = problem(reason=f"{tmp_path / 'data' / 'masks' / 'gone.png'}: the object is empty")
    for path in write_report(made_run(tmp_path, [session("ducks/a", [0.5]), lost])):
        assert "masks/gone.png: the object is empty" in path.read_text(encoding="utf-8")
        assert str(tmp_path) not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("records", [[], [problem()]])
def test_a_run_without_sessions(tmp_path, records):
    page, text = write_report(made_run(tmp_path, records))
    assert "No session was finished" in page.read_text(encoding="utf-8")
    assert ("masks/gone.png" in text.read_text(encoding="utf-8")) == bool(records)


def test_no_run(tmp_path):
    with pytest.raises(RunError, match=r"holds no run \(run.json is missing\)"):
        write_report(tmp_path)


def test_a_protocol_of_another_version(tmp_path):
    with pytest.raises(RunError, match=r"run was made under a protocol 'strict' that this version does not know"):
        write_report(made_run(tmp_path, protocol_hash="beef"))


def test_damaged_masks_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"the record of ducks/a cannot be drawn: the run lengths hold 0 pixels"):
        write_report(made_run(tmp_path, [session("ducks/a", [0.5], mask="0")]))
