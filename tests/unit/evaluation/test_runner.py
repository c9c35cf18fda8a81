"""One process, two, or one that is killed and called again: the same records in the same order."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
from tests.unit.evaluation.fakes import PainterFactory, timeless, write_dataset

from inter2former.clicks.realistic import RealisticClicker
from inter2former.evaluation import runner
from inter2former.evaluation.header import run_header
from inter2former.evaluation.job import Job, Task
from inter2former.evaluation.records import Problem
from inter2former.evaluation.run_folder import RunWriter, read_records
from inter2former.evaluation.runner import (
    _few_at_a_time,
    evaluate_here,
    evaluate_in_processes,
    tasks_of,
)

ROOT = Path(__file__).resolve().parents[3]


def test_tasks_and_shards():
    assert [task.index for task in tasks_of(5)] == [0, 1, 2, 3, 4]
    shards = [[task.index for task in tasks_of(8, shard=(i, 3))] for i in (1, 2, 3)]
    assert shards == [[0, 3, 6], [1, 4, 7], [2, 5]]
    begun = Task(4, frozenset({("a", 0)}))
    assert tasks_of(8, shard=(2, 3), after=begun) == [begun, Task(7)]
    for shard in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match=f"shard is {shard[0]}/3"):
            tasks_of(8, shard=shard)


def test_only_a_few_are_begun_ahead():
    begun = []
    things = _few_at_a_time((begun.append(n) or n for n in range(100)), 4)
    assert next(things) == 0
    assert len(begun) == 5
    assert list(things) == list(range(1, 100))


def test_memory_does_not_grow_with_the_data_set(tmp_path):
    job = Job(write_dataset(tmp_path / "set", 2), PainterFactory(), clicks=1)
    endless = (Task(0) for _ in itertools.count())
    records = evaluate_here(job, endless, 1, 1)
    assert len(list(itertools.islice(records, 5))) == 5


def test_two_processes_give_the_same_records(tmp_path):
    dataset = write_dataset(tmp_path / "set", 40)
    for number in (3, 27):
        (tmp_path / f"set/masks/{number:04}.png").write_bytes(b"damaged")
    job = Job(dataset, PainterFactory(), clicks=3, clicker=RealisticClicker())
    alone = [timeless(record) for record in evaluate_here(job, tasks_of(40), 1, 1)]
    together = [timeless(record) for record in evaluate_in_processes(job, tasks_of(40), 2, 1)]
    assert len(alone) == 40
    assert [record.index for record in alone if isinstance(record, Problem)] == [3, 27]
    assert together == alone


def test_what_goes_wrong_in_a_process_is_said(tmp_path, monkeypatch, torch_threads):
    monkeypatch.setattr(runner, "_evaluator", None)
    monkeypatch.setattr(runner.signal, "signal", lambda *arguments: None)
    dataset = write_dataset(tmp_path / "set", 2)
    runner._start(Job(dataset, PainterFactory(radius=-1)), cv2.getNumThreads())
    with pytest.raises(ValueError, match="radius is -1; it must be >= 0"):
        runner._evaluate(Task(0))


SCRIPT = """
import sys
from pathlib import Path
from tests.unit.evaluation.fakes import PainterFactory
from tests.unit.evaluation.test_runner import go_on
go_on(Path(sys.argv[1]), PainterFactory(delay=0.02, log=sys.argv[1] + "/log"))
"""


def go_on(root: Path, segmenter) -> None:
    """Begin the run of `root`, or go on with it."""
    from inter2former.data.layouts import open_dataset

    job = Job(open_dataset(root / "set"), segmenter, clicks=3, clicker=RealisticClicker(), seeds=2)
    header = run_header(job, "strict", images=len(job.dataset), threads=1, workers=1)
    with RunWriter(root / "run", header) as writer:
        finished = writer.finished
        after = Task(finished.index, finished.sessions, finished.problems) if finished.index >= 0 else None
        for record in evaluate_here(job, tasks_of(len(job.dataset), after=after), 1, 1):
            writer.write(record)


def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(tmp_path):
    killed, calm = tmp_path / "killed", tmp_path / "calm"
    for root in (killed, calm):
        write_dataset(root / "set", 12, objects=2)
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(killed)], cwd=ROOT)
    records = killed / "run" / "records.jsonl"
    deadline = time.monotonic() + 120
    while not (records.exists() and records.read_bytes().count(b'"kind": "session"') >= 7):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    finished = len(list(read_records(killed / "run")))
    with records.open("ab") as file:  # as if it had died while writing
        file.write(b'{"kind": "click", "session": "set/00')
    begun = (killed / "log").read_text().count("session")
    assert finished <= begun <= finished + 1 < 48
    for root in (killed, calm):
        go_on(root, PainterFactory(log=f"{root}/log"))
    assert [timeless(r) for r in read_records(killed / "run")] == [timeless(r) for r in read_records(calm / "run")]
    again = (killed / "log").read_text().count("session") - begun
    assert again == (calm / "log").read_text().count("session") - finished


MANY = """
import sys
from pathlib import Path
from inter2former.data.layouts import open_dataset
from inter2former.evaluation.job import Job
from inter2former.evaluation.runner import evaluate_in_processes, tasks_of
from tests.unit.evaluation.fakes import PainterFactory
if __name__ == "__main__":
    root = Path(sys.argv[1])
    job = Job(open_dataset(root / "set"), PainterFactory(delay=0.2, log=str(root / "log")), clicks=50)
    for record in evaluate_in_processes(job, tasks_of(4), 2, 1):
        pass
"""


@pytest.mark.slow
def test_processes_of_a_killed_run_end_too(tmp_path):
    write_dataset(tmp_path / "set", 4)
    (tmp_path / "many.py").write_text(MANY)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, str(tmp_path / "many.py"), str(tmp_path)], env=environment)
    deadline = time.monotonic() + 120
    while not ((tmp_path / "log").exists() and (tmp_path / "log").read_text().count("session") == 2):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    process.kill()
    process.wait()
    while any(Path(f"/proc/{child}/exe").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_ray_cluster_gives_the_same_records(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'inter2former[ray]'")
    from inter2former.evaluation.ray_engine import evaluate_on_ray

    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # where the actors find the fakes
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    dataset = write_dataset(tmp_path / "set", 30, objects=2)
    (tmp_path / "set/masks/0007.png").write_bytes(b"damaged")
    job = Job(dataset, PainterFactory(), clicks=4, clicker=RealisticClicker(), seeds=2)
    alone = [timeless(record) for record in evaluate_here(job, tasks_of(30), 1, 1)]
    assert [timeless(record) for record in evaluate_on_ray(job, tasks_of(30), 2, 1)] == alone
    with pytest.raises(ValueError, match=r"^radius is -1; it must be >= 0$"):
        list(evaluate_on_ray(Job(dataset, PainterFactory(radius=-1)), tasks_of(2), 1, 1))
