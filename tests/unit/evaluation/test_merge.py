"""Shards joined are the whole run; runs that do not belong together, or not twice, are refused."""

from __future__ import annotations

import dataclasses

import pytest
from tests.unit.evaluation.fakes import PainterFactory, timeless, write_dataset

from inter2former.errors import RunError
from inter2former.evaluation.header import run_header
from inter2former.evaluation.job import Job
from inter2former.evaluation.merge import merge_runs
from inter2former.evaluation.run_folder import RunWriter, read_header, read_records, write_header
from inter2former.evaluation.runner import evaluate_here, tasks_of


@pytest.fixture
def evaluate(tmp_path):
    """Evaluates a part of one small data set into a folder of that name, and returns it."""
    dataset = write_dataset(tmp_path / "set", 7, objects=2)
    (tmp_path / "set/masks/0004.png").write_bytes(b"damaged")

    def make(name, shard=(1, 1), images=None, **options):
        job = Job(dataset, PainterFactory(), **{"clicks": 2, **options})
        tasks = tasks_of(len(dataset), shard=shard)
        header = run_header(job, "strict", images=len(tasks), threads=1, workers=1, shard=shard)
        with RunWriter(tmp_path / name, header) as writer:
            for record in evaluate_here(job, tasks[:images], 1, 1):
                writer.write(record)
        return tmp_path / name

    return make


def test_shards_joined_are_the_whole_run(evaluate, tmp_path):
    shards = [evaluate(f"part{number}", (number, 3)) for number in (2, 1, 3)]
    whole = evaluate("whole")
    header = merge_runs(shards, tmp_path / "joined")
    assert header == read_header(tmp_path / "joined") == read_header(whole)
    assert [timeless(r) for r in read_records(tmp_path / "joined")] == [timeless(r) for r in read_records(whole)]


def test_machines_may_differ(evaluate, tmp_path):
    one, two = evaluate("one", (1, 2)), evaluate("two", (2, 2))
    write_header(two, dataclasses.replace(read_header(two), cpu="another", workers=3))
    header = merge_runs([one, two], tmp_path / "joined")
    assert (header.threads, header.workers) == (1, 0)
    assert header.cpu == ", ".join(sorted([read_header(one).cpu, "another"]))


def test_refusals(evaluate, tmp_path):
    one, two, out = evaluate("one", (1, 2)), evaluate("two", (2, 2)), tmp_path / "joined"
    with pytest.raises(RunError, match="shard 2/2 is missing"):
        merge_runs([one], out)
    with pytest.raises(RunError, match=r"one and .*one are both shard 1/2; give each once"):
        merge_runs([one, one, two], out)
    with pytest.raises(RunError, match=r"are no shards of one run: settings.clicks is 2 there and 3 here"):
        merge_runs([one, evaluate("other", (2, 2), clicks=3)], out)
    with pytest.raises(RunError, match="whole is no shard"):
        merge_runs([evaluate("whole")], out)
    with pytest.raises(RunError, match=r"third is one of 3 shards, .*one one of 2"):
        merge_runs([one, evaluate("third", (3, 3))], out)
    with pytest.raises(RunError, match="half is not finished: 1 of 4 images"):
        merge_runs([evaluate("half", (1, 2), images=1), two], out)
    with pytest.raises(RunError, match="one holds a run already"):
        merge_runs([one, two], one)
    with pytest.raises(RunError, match="nowhere holds no run"):
        merge_runs([tmp_path / "nowhere"], out)
    assert not out.exists()


def test_overlapping_shards_are_refused(evaluate, tmp_path):
    one, two = evaluate("one", (1, 2)), evaluate("two", (2, 2))
    with (two / "records.jsonl").open("ab") as file:
        file.write((one / "records.jsonl").read_bytes())
    with pytest.raises(RunError, match="two holds set/0000#1 a second time; the shards overlap"):
        merge_runs([one, two], tmp_path / "joined")
