"""Two runs, pair by pair, against figures worked out by hand; runs that do not belong together are refused."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from tests.unit.evaluation.made_runs import header, problem, session, write_photo, write_run

from inter2former.errors import RunError
from inter2former.evaluation.compare import compare_runs
from inter2former.evaluation.metrics import bootstrap_interval
from inter2former.evaluation.protocol import PROTOCOLS, protocol_hash
from inter2former.evaluation.reporting.comparison_page import comparison_page

A = [
    session("ducks/a", [0.5, 0.86, 0.91, 0.96], seconds=[0.4, 0.1, 0.1, 0.1]),
    session("ducks/b", [0.2, 0.3, 0.4, 0.5]),
    session("ducks/c", [0.9]),
    session("ducks/only-a", [0.1]),
    problem(),
]
B = [
    session("ducks/b", [0.6, 0.9, 0.9, 0.9], encode=0.75),
    session("ducks/a", [0.5, 0.6, 0.7, 0.86], seconds=[0.2, 0.2, 0.2, 0.2]),
    session("ducks/c", [0.9]),
    session("ducks/only-b", [0.1], seed=2),
]


@pytest.fixture
def folders(tmp_path):
    return write_run(tmp_path / "a", A), write_run(tmp_path / "b", B, segmenter="mobile-sam", weights_hash="77")


def test_paired_differences(folders):
    found = {measure.name: measure for measure in compare_runs(*folders).measures}
    first = found["IoU@1"]
    assert (first.pairs, first.mean_a, first.mean_b) == (3, pytest.approx(1.6 / 3), pytest.approx(2.0 / 3))
    assert first.difference == pytest.approx(0.4 / 3)
    assert (first.low, first.high) == pytest.approx(bootstrap_interval([0.0, 0.4, 0.0]))
    assert (first.better, first.worse, first.equal) == pytest.approx((1 / 3, 0, 2 / 3))
    assert found["IoU@3"].difference == pytest.approx((-0.21 + 0.5) / 3)
    assert found["boundary IoU@4"].difference == pytest.approx((-0.05 + 0.2) / 3)


def test_fewer_clicks_are_better(folders):
    found = {measure.name: measure for measure in compare_runs(*folders).measures}
    noc = found["NoC@85"]  # a: 2 -> 4, b: 4 (never) -> 2, c: 1 -> 1
    assert (noc.mean_a, noc.mean_b) == (pytest.approx(7 / 3), pytest.approx(7 / 3))
    assert (noc.better, noc.worse, noc.equal) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    nof = found["NoF@90"]  # a: no -> yes, b: yes -> no, c: no -> no
    assert (nof.better, nof.worse, nof.difference) == pytest.approx((1 / 3, 1 / 3, 0))
    click = found["later clicks"]  # a: 0.1 -> 0.2, b: 0.1 -> 0.1; c has none
    assert (click.pairs, click.better, click.worse, click.equal) == (2, 0, 0.5, 0.5)
    assert click.difference == pytest.approx(0.05)


def test_sessions_that_changed_most(folders):
    comparison = compare_runs(*folders)
    assert [(change.a.id, change.b.id) for change in comparison.improved] == [("ducks/b", "ducks/b")]
    assert comparison.improved[0].difference == pytest.approx(0.4)
    assert [change.a.id for change in comparison.worsened] == ["ducks/a"]
    assert comparison.worsened[0].difference == pytest.approx(-0.1)


def test_at_most_ten_each_way(tmp_path):
    a = write_run(tmp_path / "a", [session(f"{k:02}", [0.5]) for k in range(30)])
    b = write_run(tmp_path / "b", [session(f"{k:02}", [0.5 + (k - 14) / 100]) for k in range(30)])
    comparison = compare_runs(a, b)
    assert [change.a.id for change in comparison.improved] == [f"{k:02}" for k in range(29, 19, -1)]
    assert [change.a.id for change in comparison.worsened] == [f"{k:02}" for k in range(10)]


def test_unpaired_sessions_are_named_and_left_out(folders):
    comparison = compare_runs(*folders)
    assert [change.a.id for change in comparison.pairs] == ["ducks/a", "ducks/b", "ducks/c"]
    assert (comparison.only_a, comparison.only_b) == ((("ducks/only-a", 0),), (("ducks/only-b", 2),))


def test_seeds_are_paired_one_by_one_and_drawn_together(tmp_path):
    a = write_run(tmp_path / "a", [session("x", [0.5], seed=k) for k in (0, 1)] + [session("y", [0.5])])
    b = write_run(tmp_path / "b", [session("x", [0.7], seed=1), session("x", [0.5]), session("y", [0.9])])
    (measure, *_) = compare_runs(a, b).measures
    assert measure.pairs == 3
    assert measure.difference == pytest.approx((0.0 + 0.2 + 0.4) / 3)
    # Draws of the two objects: both sessions on x twice, each object once, y twice.
    assert (measure.low, measure.high) == pytest.approx((0.1, 0.4))
    assert "x, seed 1" in [row[0] for row in compare_runs(a, b).tables()[1].rows]


def test_a_run_against_itself(folders):
    comparison = compare_runs(folders[0], folders[0])
    assert {measure.difference for measure in comparison.measures} == {0}
    assert {measure.equal for measure in comparison.measures} == {1}
    assert not comparison.improved + comparison.worsened + comparison.only_a + comparison.only_b
    assert len(comparison.tables()) == 1


def test_table(folders):
    (table, rose, fell) = compare_runs(*folders).tables()
    rows = {row[0]: row[1:] for row in table.rows}
    low, high = bootstrap_interval([0.0, 0.4, 0.0])
    assert rows["IoU@1"] == ("0.533", "0.667", "+0.133", f"{low:.3f} to +{high:.3f}", "33 %", "0 %", "67 %")
    assert rows["NoC@85"][:3] == ("2.33", "2.33", "0.00")
    assert rows["later clicks, ms"][:3] == ("100.0", "150.0", "+50.0")
    assert rose.rows == (("ducks/b", "0.500", "0.900", "+0.400"),)
    assert fell.rows == (("ducks/a", "0.960", "0.860", "−0.100"),)


def test_dictionary_is_json(folders):
    comparison = compare_runs(*folders)
    values = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert (values["pairs"], values["a"]["segmenter"], values["b"]["segmenter"]) == (3, "inter2former-t", "mobile-sam")
    assert values["measures"]["IoU@1"]["difference"] == comparison.measures[0].difference
    assert values["improved"] == [
        {
            "id": "ducks/b",
            "seed": 0,
            "difference": comparison.improved[0].difference,
            "iou_a": [0.2, 0.3, 0.4, 0.5],
            "iou_b": [0.6, 0.9, 0.9, 0.9],
        }
    ]
    assert values["only_b"] == [{"id": "ducks/only-b", "seed": 2}]


def test_times_that_no_pair_has_are_null(tmp_path):
    a = write_run(tmp_path / "a", [session("x", [0.5], encode=0.0)])
    values = compare_runs(a, a).to_dict()["measures"]["encode"]
    assert (values["pairs"], values["mean_a"], values["low"]) == (0, None, None)
    row = next(row for row in compare_runs(a, a).tables()[0].rows if row[0] == "encode, ms")
    assert row == ("encode, ms", *["–"] * 7)


REFUSED = [
    ({"dataset_fingerprint": "ffff"}, r"dataset_fingerprint is d1f2 \(ducks\) in A and ffff \(ducks\) in B"),
    (
        {"protocol": "segnext", "protocol_hash": protocol_hash(PROTOCOLS["segnext"])},
        r"the protocol's impossible_click is end in A \(strict\) and corner in B \(segnext\)",
    ),
    ({"settings": {**header().settings, "clicks": 5}}, "the setting clicks is 4 in A and 5 in B"),
    ({"settings": {**header().settings, "clicker": "realistic"}}, "the setting clicker is deepest in A and realistic"),
]


@pytest.mark.parametrize(("changes", "reason"), REFUSED, ids=lambda value: next(iter(value)) if value is dict else "")
def test_runs_that_do_not_belong_together(tmp_path, changes, reason):
    a, b = write_run(tmp_path / "a", A), write_run(tmp_path / "b", B, **changes)
    with pytest.raises(RunError, match=f"the runs cannot be compared: {reason}"):
        compare_runs(a, b)


def test_what_is_compared_may_differ(tmp_path):
    a = write_run(tmp_path / "a", A)
    b = write_run(tmp_path / "b", B, settings={**header().settings, "size": 512}, cpu="another", threads=8)
    assert len(compare_runs(a, b).pairs) == 3


def test_no_pairs(tmp_path):
    a, b = write_run(tmp_path / "a", A[:1]), write_run(tmp_path / "b", B[:1])
    with pytest.raises(RunError, match="A has 1 session, B 1, and none of the same id and seed"):
        compare_runs(a, b)


def test_a_protocol_of_another_version(tmp_path):
    a, b = write_run(tmp_path / "a", A), write_run(tmp_path / "b", B, protocol_hash="beef")
    with pytest.raises(RunError, match=r"b was made under a protocol 'strict' that this version does not know"):
        compare_runs(a, b)


def test_no_run(tmp_path):
    with pytest.raises(RunError, match=r"holds no run \(run.json is missing\)"):
        compare_runs(tmp_path, tmp_path)


class Page(HTMLParser):
    """Sections, pictures and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.sections, self.pictures, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "section":
            self.sections.append(values["id"])
        if values.get("class") == "photo":
            self.pictures.append(values["aria-label"].partition(":")[0])

    def handle_data(self, data):
        self.text.append(data)


def test_page_has_the_changed_sessions_side_by_side(folders, tmp_path):
    page = Page(comparison_page(compare_runs(*folders), write_photo(tmp_path)))
    assert page.sections == ["difference", "runs", "rose", "fell"]
    assert page.pictures == ["ducks/b", "ducks/b", "ducks/a", "ducks/a"]
    text = "".join(page.text)
    assert "mobile-sam against inter2former-t" in text
    assert "IoU@4 +0.400; IoU 0.90 at: never in A, click 2 in B" in text
    assert "Only in A, and in no figure: 1 session: ducks/only-a (seed 0)" in text
    assert "segmenter ≠" in text
    assert "data set ≠" not in text


def test_page_of_a_run_against_itself(folders, tmp_path):
    page = Page(comparison_page(compare_runs(folders[0], folders[0]), tmp_path))
    assert not page.pictures
    assert page.text.count("In no pair of sessions.") == 2
    assert "Two runs of inter2former-t" in page.text
