"""Every object of an image becomes sessions or a problem that names the file."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests.unit.evaluation.fakes import PainterFactory, timeless, write_dataset

from inter2former.clicks.realistic import RealisticClicker
from inter2former.data.layouts import open_dataset
from inter2former.errors import DataError
from inter2former.evaluation.job import ImageEvaluator, Job, Task
from inter2former.evaluation.protocol import INTER2FORMER
from inter2former.evaluation.records import Problem, SessionRecord


def evaluated(dataset, indices=None, task=Task, **options):
    evaluator = ImageEvaluator(Job(dataset, PainterFactory(), **{"clicks": 3, **options}))
    return [record for index in indices or range(len(dataset)) for record in evaluator.evaluate(task(index))]


def test_a_session_per_object_and_seed(tmp_path):
    dataset = write_dataset(tmp_path / "set", 3, objects=2)
    records = evaluated(dataset, clicker=RealisticClicker(), seeds=2)
    assert [(r.id, r.seed) for r in records] == [(sample.id, seed) for sample in dataset.samples() for seed in range(2)]
    assert [r.index for r in records] == [int(r.id.split("/")[1][:4]) for r in records]
    assert {r.image for r in records} == {f"images/{index:04}.png" for index in range(3)}
    assert {r.size for r in records if r.index == 1} == {(21, 24)}
    for index in range(3):
        first, *others = [r for r in records if r.index == index]
        assert first.encode_seconds > 0 < first.read_seconds
        assert {r.encode_seconds for r in others} == {0.0}
        assert {r.read_seconds for r in others} == {0.0}
    assert all(r.peak_bytes > 1 << 20 for r in records)


def test_what_an_earlier_run_finished_is_not_done_again(tmp_path):
    dataset = write_dataset(tmp_path / "set", 1, objects=2)
    log = tmp_path / "log"
    job = Job(dataset, PainterFactory(log=str(log)), clicks=2, clicker=RealisticClicker(), seeds=2)
    whole = list(ImageEvaluator(job).evaluate(Task(0)))
    log.unlink()
    done = frozenset({(whole[0].id, 0), (whole[0].id, 1), (whole[2].id, 0)})
    (rest,) = ImageEvaluator(job).evaluate(Task(0, done))
    assert timeless(rest) == timeless(whole[3])
    assert rest.encode_seconds > 0
    assert log.read_text().count("session") == 1
    assert not list(ImageEvaluator(job).evaluate(Task(0, done | {(whole[2].id, 1)})))


def spoil(folder, name):
    """Make one kind of bad image of a data set, and say what the problem must say."""
    image, mask = folder / "images/0001.png", folder / "masks/0001.png"
    if name == "missing mask":
        mask.unlink()
        return "0001"
    if name == "missing image":
        image.unlink()
        return "0001"
    if name == "corrupt mask":
        mask.write_bytes(mask.read_bytes()[:40])
        return "0001.png"
    if name == "corrupt image":
        image.write_bytes(b"no image")
        return "0001.png"
    if name == "another size":
        Image.new("L", (9, 8), 255).save(mask)
        return "is 21x24; give both one size"
    grey = {"empty": 0, "all ignored": 128}[name]
    Image.new("L", (21, 24), grey).save(mask)
    return "nothing is marked" if name == "empty" else "every pixel is ignored"


@pytest.mark.parametrize(
    "name", ["missing mask", "corrupt mask", "corrupt image", "another size", "empty", "all ignored"]
)
def test_bad_data_is_named_and_counted(tmp_path, name):
    write_dataset(tmp_path / "set", 3)
    reason = spoil(tmp_path / "set", name)
    dataset = open_dataset(tmp_path / "set")
    records = evaluated(dataset)
    assert [type(record) for record in records] == [SessionRecord, Problem, SessionRecord]
    assert (records[1].id, records[1].index) == ("set/0001", 1)
    assert reason in records[1].reason
    assert "0001" in records[1].reason
    with pytest.raises(DataError, match="0001"):
        evaluated(dataset, strict_data=True)
    known = ImageEvaluator(Job(dataset, PainterFactory())).evaluate(Task(1, problems=frozenset({"set/0001"})))
    assert not list(known)


def test_one_bad_object_does_not_take_its_neighbours_along(tmp_path, monkeypatch):
    dataset = write_dataset(tmp_path / "set", 1, objects=3)
    annotation = type(dataset.annotation(0))
    real = annotation.mask
    monkeypatch.setattr(annotation, "mask", lambda self, position: real(self, position) & (position != 1))
    records = evaluated(dataset)
    assert [(type(r), r.id) for r in records] == [
        (SessionRecord, "set/0000#1"),
        (Problem, "set/0000#2"),
        (SessionRecord, "set/0000#3"),
    ]
    assert "has no pixel" in records[1].reason


def test_seeds_need_something_to_draw(tmp_path):
    dataset = write_dataset(tmp_path / "set", 1)
    with pytest.raises(ValueError, match="seeds is 3, but this user draws nothing"):
        Job(dataset, PainterFactory(), seeds=3)
    assert len(evaluated(dataset, seeds=3, protocol=INTER2FORMER)) == 3
    with pytest.raises(ValueError, match="clicks is 0"):
        Job(dataset, PainterFactory(), clicks=0)


def test_threads_are_checked(tmp_path):
    with pytest.raises(ValueError, match="threads is 0"):
        ImageEvaluator(Job(write_dataset(tmp_path / "set", 1), PainterFactory()), threads=0)


def test_images_elsewhere_are_named_in_full(tmp_path):
    dataset = write_dataset(tmp_path / "set", 1)
    moved = tmp_path / "moved.png"
    (tmp_path / "set/images/0000.png").rename(moved)
    (tmp_path / "set/images/0000.png").symlink_to(moved)
    (record,) = evaluated(dataset)
    assert record.image == "images/0000.png"
    assert np.asarray(Image.open(tmp_path / "set" / record.image)).shape[2] == 3
