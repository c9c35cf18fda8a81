"""`evaluate` on a folder of two photos; the weights are random, so only the bookkeeping is tested."""

from __future__ import annotations

import json

import numpy as np
import pytest


def strict_json(text):
    def refuse(name):
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_summary_and_lines(run, make_folder, small, tmp_path):
    lines = tmp_path / "objects.jsonl"
    result = run("evaluate", make_folder(), "--clicks", 3, "--json", "--out", lines, *small)
    assert result.code == 0
    summary = strict_json(result.out)
    assert (summary["dataset"], summary["objects"]) == ("tiny", 2)
    assert set(summary["iou"]) == {"1", "3"}
    objects = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [entry["id"] for entry in objects] == ["tiny/0", "tiny/1"]
    assert all(len(entry["iou"]) == 3 and len(entry["clicks"]) <= 3 for entry in objects)
    assert summary["iou"]["3"] == pytest.approx(np.mean([entry["iou"][2] for entry in objects]), abs=1e-4)


def test_the_first_click_is_the_middle_of_the_object(run, make_folder, small, tmp_path):
    run("evaluate", make_folder(), "--clicks", 1, "--limit", 1, "--out", tmp_path / "o.jsonl", *small)
    (entry,) = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    ((x, y, positive),) = entry["clicks"]
    assert abs(x - 65) <= 1
    assert abs(y - 45) <= 1
    assert positive


def test_one_click_has_no_later_clicks_to_time(run, make_folder, small):
    summary = strict_json(run("evaluate", make_folder(), "--clicks", 1, "--json", *small).out)
    assert summary["click_p50_ms"] is None
    assert summary["first_click_p50_ms"] > 0


def test_a_table_for_people(run, make_folder, small):
    result = run("evaluate", make_folder(), "--clicks", 1, "--every", 2, *small)
    rows = dict(line.split(maxsplit=1) for line in result.out.splitlines())
    assert (rows["dataset"], rows["objects"]) == ("tiny", "1")


def test_mistakes_in_one_sentence(refused, make_folder, small, tmp_path, disc, photo):
    folder = make_folder()
    assert "holds no files; a data set folder has images/ and masks/" in refused("evaluate", tmp_path, *small)
    assert "no weights at" in refused("evaluate", folder, "--weights", tmp_path / "absent")
    assert "unknown preset 'q'" in refused("evaluate", folder, *small, "--preset", "q")
    for name in ("clicks", "every", "limit", "workers"):
        assert f"--{name} is 0; it must be at least 1" in refused("evaluate", folder, f"--{name}", 0, *small)
    out = tmp_path / "absent" / "o.jsonl"
    assert f"{out}: No such file or directory" in refused("evaluate", folder, "--out", out, *small)
    empty = make_folder("empty", {"a": (photo(), np.zeros((90, 130), dtype=bool))})
    assert "empty holds no objects to evaluate" in refused("evaluate", empty, *small)
    turned = make_folder("turned", {"a": (photo(), disc().T)})
    assert "a.png is 90x130, but the upright image is 130x90" in refused("evaluate", turned, *small)


def test_two_workers_give_the_same_records(run, make_folder, small, tmp_path):
    folder = make_folder()
    for workers in (1, 2):
        out = tmp_path / f"{workers}.jsonl"
        assert run("evaluate", folder, "--clicks", 2, "--workers", workers, "--out", out, *small).code == 0
    assert (tmp_path / "1.jsonl").read_text() == (tmp_path / "2.jsonl").read_text()
