"""Runs on disk: what is read is what was written, whatever a kill left behind; other runs are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.unit.evaluation.made_runs import header, session

from inter2former.errors import RunError
from inter2former.evaluation.records import Problem, SessionRecord
from inter2former.evaluation.run_folder import (
    Finished,
    RunWriter,
    differing_field,
    is_run,
    read_header,
    read_records,
    write_header,
)

RECORDS = [
    session("ducks/a", [0.1, 1 / 3, 0.9000000000000001], seconds=[0.123456, 1e-6, 12.5], encode=0.654321),
    Problem("ducks/b", "the mask b.png is gone", 1),
    replace(session("ducks/c#1", [0.5]), index=2, read_seconds=0.25, peak_bytes=1 << 33),
    replace(session("ducks/c#2", [], seconds=[]), index=2, mask=""),
    replace(session("ducks/c#2", [0.25]), index=2, seed=1),
]


def write(folder, records=RECORDS, **changes):
    with RunWriter(folder, header(**changes)) as writer:
        for record in records:
            writer.write(record)
    return folder / "records.jsonl"


def test_what_is_read_is_what_was_written(tmp_path):
    write(tmp_path / "run")
    assert list(read_records(tmp_path / "run")) == RECORDS
    assert read_header(tmp_path / "run") == header()
    assert is_run(tmp_path / "run")
    assert not is_run(tmp_path)


def test_the_lines(tmp_path):
    lines = [json.loads(line) for line in write(tmp_path).read_text().splitlines()]
    kinds = [line["kind"] for line in lines]
    assert kinds == ["click"] * 3 + ["session", "problem", "click", "session", "session", "click", "session"]
    assert lines[1] == {
        "kind": "click",
        "session": "ducks/a",
        "seed": 0,
        "number": 2,
        "x": 15,
        "y": 11,
        "positive": False,
        "iou": 1 / 3,
        "boundary_iou": 1 / 6,
        "ms": 0.001,
        "contradicted": 0,
        "contradicts_last": False,
    }
    assert (lines[3]["id"], lines[3]["clicks"], lines[3]["encode_ms"], lines[3]["size"]) == (
        "ducks/a",
        3,
        654.321,
        [48, 32],
    )
    assert lines[4] == {"kind": "problem", "id": "ducks/b", "reason": "the mask b.png is gone", "index": 1}


def test_names_that_are_no_text(tmp_path):
    odd = replace(session("d\udcff\n\u2028", [0.5]), image="\udc80.png")
    write(tmp_path, [odd])
    assert list(read_records(tmp_path)) == [odd]


def test_every_possible_cut_is_recovered_from(tmp_path):
    records = [session("a", [0.5, 0.75]), Problem("b", "gone", 1), replace(session("c", [], seconds=[]), index=2)]
    path = write(tmp_path / "run", records)
    whole = path.read_bytes()
    ends = [len(b"".join(whole.splitlines(keepends=True)[:n])) for n in (0, 3, 4, 5)]
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        finished = sum(end <= length for end in ends) - 1
        assert list(read_records(tmp_path / "run")) == records[:finished]
        if length % 97 == 0 or length in ends or length + 1 in ends:
            with RunWriter(tmp_path / "run", header()) as writer:
                assert writer.finished.count == finished
                for record in records[finished:]:
                    writer.write(record)
            assert path.read_bytes() == whole


def test_what_is_finished_of_the_last_image(tmp_path):
    write(tmp_path)
    with RunWriter(tmp_path, header()) as writer:
        assert writer.finished == Finished(
            2, frozenset({("ducks/c#1", 0), ("ducks/c#2", 0), ("ducks/c#2", 1)}), frozenset(), 5
        )
    write(tmp_path / "other", RECORDS[:2])
    with RunWriter(tmp_path / "other", header()) as writer:
        assert writer.finished == Finished(1, frozenset(), frozenset({"ducks/b"}), 2)
    with RunWriter(tmp_path / "new", header()) as writer:
        assert writer.finished == Finished()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dataset_fingerprint": "0000"}, "dataset_fingerprint"),
        ({"objects": 4}, "objects is 3 there and 4 here"),
        ({"protocol_hash": "0"}, "protocol_hash"),
        ({"weights_hash": "ffff"}, "weights_hash"),
        ({"segmenter": "sam"}, "segmenter"),
        ({"threads": 1}, "threads is 2 there and 1 here"),
        ({"settings": {"clicks": 5, "clicker": "deepest", "size": 1024}}, "settings.clicks is 4 there and 5 here"),
        ({"settings": {"clicks": 4, "clicker": "deepest"}}, "settings.size is 1024 there and null here"),
        ({"versions": {"python": "3.11.2", "torch": "2.14.0"}}, "versions.torch"),
    ],
)
def test_another_run_is_refused_by_the_field(tmp_path, changes, named):
    before = write(tmp_path).read_bytes()
    with pytest.raises(RunError, match=f"holds another run: .*{named}"):
        RunWriter(tmp_path, header(**changes))
    assert (tmp_path / "records.jsonl").read_bytes() == before


def test_what_shapes_only_times_may_change(tmp_path):
    write(tmp_path)
    settings = {**header().settings, "embeddings": True, "folder": "elsewhere"}
    with RunWriter(tmp_path, header(cpu="another", workers=4, settings=settings)) as writer:
        assert writer.finished.count == 5


def test_tuples_and_lists_are_one():
    assert differing_field(header(settings={"a": (1, 2)}), header(settings={"a": [1, 2]})) is None
    assert differing_field(header(settings={"a": 1}), header(settings={}), but=frozenset({"a"})) is None


def test_two_processes_do_not_write_at_once(tmp_path):
    with RunWriter(tmp_path, header()), pytest.raises(RunError, match="another process writes to"):
        RunWriter(tmp_path, header())
    RunWriter(tmp_path, header()).close()


def test_of_two_processes_that_begin_a_run_one_writes_the_header(tmp_path, monkeypatch):
    def overtaken(folder, own):
        with pytest.raises(RunError, match="another process writes to"):
            RunWriter(folder, header(cpu="of the other"))
        write_header(folder, own)

    monkeypatch.setattr("inter2former.evaluation.run_folder.write_header", overtaken)
    RunWriter(tmp_path, header()).close()
    assert read_header(tmp_path) == header()


def test_a_run_that_was_killed_before_its_header_was_written_begins_anew(tmp_path):
    (tmp_path / "records.jsonl").touch()
    RunWriter(tmp_path, header()).close()
    assert read_header(tmp_path) == header()


def test_folders_that_hold_no_run(tmp_path):
    with pytest.raises(RunError, match=r"holds no run \(run.json is missing\)"):
        list(read_records(tmp_path))
    (tmp_path / "records.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match=r"holds records.jsonl but no run.json"):
        RunWriter(tmp_path, header())
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run.json is damaged"):
        read_header(tmp_path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nonsense", "Expecting value"),
        ("[1]", "it is no object"),
        ('{"kind": "verdict"}', "unknown kind 'verdict'"),
        ('{"kind": "problem", "id": "a"}', "'reason'"),
        ('{"kind": "session", "id": "a", "clicks": 2}', "has 2 clicks, but 0 stand before it"),
    ],
)
def test_damage_in_the_middle_is_named(tmp_path, line, reason):
    path = write(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:4], line, *lines[4:]]) + "\n")
    with pytest.raises(RunError, match=f"line 5 is damaged: .*{reason}"):
        list(read_records(tmp_path))
    with pytest.raises(RunError, match="line 5 is damaged"):
        RunWriter(tmp_path, header())


def test_short_sessions_keep_their_last_value():
    record = session("a", [0.25, 0.75])
    assert record.ious(4).tolist() == [0.25, 0.75, 0.75, 0.75]
    assert record.boundary_ious(1).tolist() == [0.125]
    assert isinstance(record, SessionRecord)
    assert session("a", [], seconds=[]).ious(2).tolist() == [0, 0]
