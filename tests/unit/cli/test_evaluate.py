"""`evaluate` on a folder of two photos; the weights are random, so only the bookkeeping is tested."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from tests.unit.evaluation.fakes import timeless

from inter2former.evaluation.records import SessionRecord
from inter2former.evaluation.run_folder import read_header, read_records


def strict_json(text):
    def refuse(name):
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def records_of(folder):
    return [timeless(record) for record in read_records(folder)]


def test_summary_and_records(run, make_folder, small, tmp_path):
    out = tmp_path / "run"
    result = run("evaluate", make_folder(), "--clicks", 3, "--json", "--out", out, *small)
    assert result.code == 0
    summary = strict_json(result.out)
    assert (summary["dataset"], summary["objects"], summary["problems"]) == ("tiny", 2, 0)
    assert set(summary["iou"]) == {"1", "3"}
    records = list(read_records(out))
    assert [record.id for record in records] == ["tiny/0", "tiny/1"]
    assert all(1 <= len(record.clicks) <= 3 for record in records)
    assert summary["iou"]["3"] == np.mean([record.ious(3)[2] for record in records])
    header = read_header(out)
    assert (header.protocol, header.segmenter, header.objects) == ("strict", "inter2former-t", 2)
    assert header.settings["size"] == 128
    assert {path.name for path in out.iterdir()} == {"run.json", "records.jsonl", "report.html", "report.md"}
    assert f"report: {out / 'report.html'}" in result.err


def test_without_a_folder_the_figures_are_the_same(run, make_folder, small, tmp_path):
    folder = make_folder()
    kept, fleeting = (
        strict_json(run("evaluate", folder, "--clicks", 2, "--json", *extra, *small).out)
        for extra in (("--out", tmp_path / "run"), ())
    )
    assert kept["iou_per_click"] == fleeting["iou_per_click"]
    assert kept["intervals"]["noc90"] == fleeting["intervals"]["noc90"]


def test_an_interrupted_run_goes_on(run, make_folder, small, tmp_path):
    folder, out = make_folder(), tmp_path / "run"
    first = run("evaluate", folder, "--clicks", 2, "--json", "--out", out, *small)
    whole = (out / "records.jsonl").read_bytes()
    expected = records_of(out)
    (out / "records.jsonl").write_bytes(whole[: int(len(whole) * 0.7)])
    again = run("evaluate", folder, "--clicks", 2, "--json", "--out", out, *small)
    assert records_of(out) == expected
    assert (out / "records.jsonl").read_bytes().startswith(whole[: len(whole) // 2])
    assert strict_json(again.out)["iou"] == strict_json(first.out)["iou"]


def test_shards_are_merged(run, refused, make_folder, small, tmp_path):
    folder = make_folder()
    whole, one, two, merged = (tmp_path / name for name in ("whole", "one", "two", "merged"))
    expected = strict_json(run("evaluate", folder, "--clicks", 2, "--json", "--out", whole, *small).out)
    for number, out in ((1, one), (2, two)):
        run("evaluate", folder, "--clicks", 2, "--shard", f"{number}/2", "--out", out, *small)
    result = run("evaluate", "--merge", merged, two, one, "--json")
    assert records_of(merged) == records_of(whole)
    assert strict_json(result.out)["iou"] == expected["iou"]
    assert "shard 2/2 is missing" in refused("evaluate", "--merge", tmp_path / "m", one)
    assert "name the runs to join after it" in refused("evaluate", "--merge", tmp_path / "m")


def test_the_first_click_is_the_middle_of_the_object(run, make_folder, small, tmp_path):
    run("evaluate", make_folder(), "--clicks", 1, "--limit", 1, "--out", tmp_path / "run", *small)
    (record,) = read_records(tmp_path / "run")
    click = record.clicks[0].click
    assert abs(click.x - 65) <= 1
    assert abs(click.y - 45) <= 1
    assert click.positive


def test_realistic_users(run, make_folder, small, tmp_path):
    out = tmp_path / "run"
    options = ("--clicks", 2, "--clicker", "realistic", "--seeds", 3, "--limit", 1, "--json", "--out", out)
    summary = strict_json(run("evaluate", make_folder(), *options, *small).out)
    assert (summary["objects"], summary["sessions"]) == (1, 3)
    assert set(summary["noc_over_seeds"]["90"]) == {"mean", "spread", "worst"}
    records = list(read_records(out))
    assert [record.seed for record in records] == [0, 1, 2]
    assert len({record.clicks for record in records}) == 3


def test_kept_embeddings(run, make_folder, small, tmp_path):
    folder, kept = make_folder(), tmp_path / "kept"
    for out in (tmp_path / "one", tmp_path / "two"):
        run("evaluate", folder, "--clicks", 1, "--embeddings", kept, "--out", out, *small)
    assert records_of(tmp_path / "one") == records_of(tmp_path / "two")
    assert len(list(kept.glob("*/*.safetensors"))) == 2


def test_a_device_that_is_not_there_leaves_no_run(refused, make_folder, tmp_path):
    given = "evaluate", make_folder(), "--device", "tpu", "--out", tmp_path / "out"
    assert "cannot compute on the device 'tpu'" in refused(*given)
    assert not (tmp_path / "out").exists()


def test_a_table_for_people(run, make_folder, small):
    result = run("evaluate", make_folder(), "--clicks", 1, "--every", 2, *small)
    rows = dict(line.split(maxsplit=1) for line in result.out.splitlines())
    assert (rows["dataset"], rows["objects"]) == ("tiny", "1")
    assert "[" in rows["noc90"]


def test_one_click_is_a_first_click(run, make_folder, small):
    summary = strict_json(run("evaluate", make_folder(), "--clicks", 1, "--json", *small).out)
    assert summary["first_click_p50_ms"] == summary["spc_decode_p50_ms"] > 0


def test_protocols_are_explained_without_a_data_set(run):
    result = run("evaluate", "--explain", "ritm")
    assert result.code == 0
    rows = dict(line.split(maxsplit=1) for line in result.out.splitlines()[:-1])
    assert rows["threshold"].startswith("0.49 ")
    assert rows["flip"].startswith("on ")


def test_bad_data_is_counted_unless_it_must_not_be(run, refused, make_folder, small, disc, photo, tmp_path):
    pairs = {"a": (photo(), disc()), "b": (photo(), disc().T), "c": (photo(), np.zeros((90, 130), bool))}
    folder = make_folder("mixed", pairs)
    result = run("evaluate", folder, "--clicks", 1, "--json", "--out", tmp_path / "run", *small)
    assert result.code == 0
    assert (strict_json(result.out)["objects"], strict_json(result.out)["problems"]) == (1, 2)
    problems = [record for record in read_records(tmp_path / "run") if not isinstance(record, SessionRecord)]
    assert [problem.id for problem in problems] == ["mixed/b", "mixed/c"]
    assert "b.png" in refused("evaluate", folder, "--clicks", 1, "--strict-data", *small)


def test_one_split_of_several(run, refused, tmp_path, photo, disc, small):
    for part in ("DIS-TR", "DIS-VD"):
        for inner, pixels, name in (("im", photo(), "a.jpg"), ("gt", 255 * disc().astype(np.uint8), "a.png")):
            folder = tmp_path / "DIS5K" / part / inner
            folder.mkdir(parents=True)
            Image.fromarray(pixels).save(folder / name)
    options = ("--clicks", 1, "--json", *small)
    assert "name the split" in refused("evaluate", tmp_path, *options)
    assert strict_json(run("evaluate", tmp_path, "--split", "val", *options).out)["dataset"] == "DIS5K-VD"
    assert "of split 'test'; its splits are train and val" in refused("evaluate", tmp_path, "--split", "test", *options)
    inner = tmp_path / "DIS5K" / "DIS-VD"
    assert "is of the split 'val'; leave --split out" in refused("evaluate", inner, "--split", "train", *options)
    assert "there is no kind of data set 'voc'" in refused("evaluate", inner, "--kind", "voc", *options)


def test_options_that_a_plain_folder_cannot_honour(refused, make_folder, small, tmp_path):
    sentence = refused("evaluate", make_folder(), "--split", "val", *small)
    assert "does not say of which split it is; leave --split out" in sentence
    assert f"images is {tmp_path}, but" in refused("evaluate", make_folder("b"), "--images", tmp_path, *small)


def test_mistakes_in_one_sentence(refused, make_folder, small, tmp_path, disc, photo):
    folder = make_folder()
    assert "there is no data set; name a folder" in refused("evaluate")
    assert "no weights at" in refused("evaluate", folder, "--weights", tmp_path / "absent")
    assert "unknown preset 'q'" in refused("evaluate", folder, *small, "--preset", "q")
    assert "unknown protocol 'q'" in refused("evaluate", folder, *small, "--protocol", "q")
    assert "unknown protocol 'q'" in refused("evaluate", "--explain", "q")
    assert "unknown model 'q'" in refused("evaluate", folder, "--model", "q")
    assert "seeds is 2, but this user draws nothing" in refused("evaluate", folder, "--seeds", 2, *small)
    for name in ("clicks", "every", "limit", "workers", "seeds", "threads"):
        assert f"--{name} is 0; it must be at least 1" in refused("evaluate", folder, *small, f"--{name}", 0)
    (tmp_path / "file").write_text("")
    assert f"{tmp_path / 'file'}: File exists" in refused("evaluate", folder, "--out", tmp_path / "file", *small)
    empty = make_folder("empty", {"a": (photo(), np.zeros((90, 130), dtype=bool))})
    assert "empty holds no objects to evaluate" in refused("evaluate", empty, *small)
    turned = make_folder("turned", {"a": (photo(), disc().T)})
    assert "a.png is 130x90; give both one size" in refused("evaluate", turned, *small)


def test_another_run_is_not_gone_on_with(run, refused, make_folder, small, tmp_path):
    folder, out = make_folder(), tmp_path / "run"
    run("evaluate", folder, "--clicks", 1, "--out", out, *small)
    sentence = refused("evaluate", folder, "--clicks", 2, "--out", out, *small)
    assert f"{out} holds another run: settings.clicks is 1 there and 2 here" in sentence


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "a/b", "1/0"])
def test_shards_are_checked(run, shard):
    result = run("evaluate", "folder", "--shard", shard)
    assert result.code == 2
    assert f"'{shard}' is no shard; write I/N" in result.err


@pytest.mark.slow  # two processes that load torch; tests/unit/evaluation/test_runner.py has a quick one
def test_two_workers_give_the_same_records(run, make_folder, small, tmp_path):
    folder = make_folder()
    for workers in (1, 2):
        out = tmp_path / f"{workers}"
        assert run("evaluate", folder, "--clicks", 2, "--workers", workers, "--out", out, *small).code == 0
    assert records_of(tmp_path / "1") == records_of(tmp_path / "2")
