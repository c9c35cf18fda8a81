"""A run's report: the figures of its summary, the same tables in both formats, one file that needs nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from tests.unit.evaluation.made_runs import header, problem, session, write_photo

from inter2former.evaluation.protocol import RITM, STRICT, protocol_hash
from inter2former.evaluation.reporting.loading import LoadedRun
from inter2former.evaluation.reporting.run_page import Report, as_html, as_markdown
from inter2former.evaluation.reporting.run_tables import robustness_table, summary_table, time_table
from inter2former.evaluation.reporting.sessions import worst_and_median
from inter2former.evaluation.summary import summarise

SESSIONS = (
    session("ducks/a", [0.5, 0.86, 0.91, 0.96], seconds=[0.4, 0.1, 0.2, 0.3]),
    session("ducks/b", [0.9], seconds=[0.2], encode=0.25),
    session("ducks/c", [0.1, 0.2, 0.3, 0.4], seconds=[0.6, 0.1, 0.1, 0.1], encode=0.0),
)
SEEDS = (
    session("ducks/a", [0.5, 0.91, 0.92, 0.93]),
    session("ducks/a", [0.5, 0.6, 0.7, 0.92], seed=1, encode=0.0),
    session("ducks/b", [0.9, 0.91, 0.92, 0.93]),
    session("ducks/b", [0.5, 0.5, 0.5, 0.5], seed=1, encode=0.0),
)
HOSTILE = '<script>alert("x")</script>|`*'
VOID = {"meta", "image", "br", "img", "circle", "rect", "path", "link"}


class Page(HTMLParser):
    """Checks that tags are closed in order and collects what a test asks for."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.tags, self.words, self.labels = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "action", "data", "srcset", "poster", "formaction"):
                self.addresses.append(value)
            assert not name.startswith("on"), f"<{tag} {name}>"
            if name == "aria-label":
                self.labels.append(value)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return "".join(self.words)


def report(sessions=SESSIONS, problems=(), images=None, rules=STRICT, **changes):
    sessions = [replace(record, index=min(index, 2)) for index, record in enumerate(sessions)]
    run = LoadedRun(header(**changes), rules, tuple(sessions), tuple(problems))
    summary = summarise("ducks", sessions, run.clicks, rules) if sessions else None
    return Report(run, summary, images, *worst_and_median(sessions, run.clicks))


@pytest.fixture
def images(tmp_path):
    return write_photo(tmp_path)


def assert_needs_nothing(text):
    page = Page(text)
    assert page.addresses
    for address in page.addresses:
        assert re.match(r"#[a-z]+$|data:image/jpeg;base64,", address), address[:80]
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert not re.search(r"https?:|file:|url\(|@import|//", re.sub(r"base64,[\w+/=]+", "", text))
    assert "default-src &#x27;none&#x27;" in text
    return page


def test_page_needs_nothing_else(images):
    page = assert_needs_nothing(as_html(report(problems=[problem()], images=images)))
    assert page.tags.count("h1") == 1
    assert [tag for tag in page.tags if tag == "section"] == ["section"] * 6
    assert len(re.findall("svg", " ".join(page.tags))) == 3 + 3


def test_summary_is_the_one_of_the_run():
    run = report().run
    rows = {row[0]: row[1:] for row in summary_table(report().summary, run.sessions, run.clicks).rows}
    low, high = report().summary.intervals["noc90"]
    assert rows["IoU@1"][0] == "0.500"
    assert rows["IoU@3"][0] == f"{(0.91 + 0.9 + 0.3) / 3:.3f}"
    assert rows["NoC@90"] == (f"{8 / 3:.2f}", f"{low:.2f} to {high:.2f}")
    assert rows["NoF@90"][0] == "1 of 3 (33.3 %)"
    assert rows["NoF@95"][0] == "2 of 3 (66.7 %)"
    assert rows["NoF@95, RITM's count"][0] == "3 of 3 (100.0 %)"
    assert rows["NoF@95, RITM's count"][1] == "–"  # all alike: "100 to 100 %" would feign certainty
    assert "answers against any click" not in rows


def test_contradicted_answers_are_shown_where_there_are_any():
    (first, *rest) = SESSIONS[0].clicks
    sessions = [replace(SESSIONS[0], clicks=(replace(first, contradicted=1, contradicts_last=True), *rest))]
    rows = {row[0]: row[1] for row in summary_table(report(sessions).summary, sessions, 4).rows}
    assert rows["answers against the last click"] == rows["answers against any click"] == "25.0 %"


def test_times():
    rows = {row[0]: row[1:] for row in time_table(report().summary, SESSIONS).rows}
    assert rows["first click"][:5] == ("3", "400", "580", "600", "400")
    assert rows["later clicks"][:5] == ("6", "100", "275", "300", "150")
    assert rows["encode"][:5] == ("2", "375", "488", "500", "375")
    assert rows["spc_decode"][0] == "9"
    assert rows["spc_decode"][4] == f"{(1.2 + 0.9) / 9 * 1000:.0f}"
    assert rows["spc_total"][4] == f"{(1.2 + 0.9 + 0.75) / 9 * 1000:.0f}"
    note = time_table(report().summary, SESSIONS).note
    assert f"took {100 * 0.03 / (0.03 + 2.1 + 0.75):.1f} % of the time" in note
    assert "memory of a process: 3 MiB" in note


def test_robustness_over_seeds():
    table = robustness_table(report(SEEDS).summary, SEEDS, 4)
    # NoC@90 by seed: (2 + 1) / 2 and (4 + 4) / 2; the worst user of each object needs 4 clicks on both.
    assert table.rows[1] == ("NoC@90", "2.75", "1.77", "4.00", "4.00", "4.00 to 4.00")
    assert table.note.startswith("2 seeds: 0, 1.")


def test_robustness_only_where_there_are_several_seeds(images):
    assert 'id="robustness"' in as_html(report(SEEDS, images=images))
    assert 'id="robustness"' not in as_html(report(images=images))
    page = Page(as_html(report(SEEDS, images=images)))
    assert "4 sessions on 2 objects by 2 simulated users" in page.text
    assert "ducks/b, seed 1" in page.text


@pytest.mark.parametrize("write", [as_html, as_markdown])
def test_both_formats_have_the_figures(write, images):
    text = write(report(problems=[problem()], images=images))
    shown = text.replace("\\", "").replace("&#x27;", "'")
    for words in ("3ab4", "d1f2", "a processor", "3.11.2", "tie_break", "first of the deepest", "ducks/gone", "2.67"):
        assert words in shown, words
    assert "masks/gone.png: the object is empty" in shown
    assert "NoF@95, RITM's count" in shown
    assert "1 problem: not evaluated" in shown


def test_first_figures(images):
    text = Page(as_html(report(images=images))).text
    low, high = report().summary.intervals["iou_3"]
    assert f"IoU@30.703{low:.3f} to {high:.3f}boundary IoU@30.352" in text
    assert "NoF@901 of 333.3 %, 0.0 to 100.0 %click, median200 msp95 520 ms" in text


def test_markdown_has_the_sessions_as_tables():
    text = as_markdown(report())
    assert r"| ducks/c | 0.100 | 0.300 | 0.200 | never |" in text
    assert text.count("\n## ") == 5


def test_worst_come_first_and_none_is_shown_twice(images):
    page = Page(as_html(report(images=images)))
    pictured = [label.partition(":")[0] for label in page.labels if "the mask in blue" in label]
    assert pictured == ["ducks/c", "ducks/b", "ducks/a"]
    assert "3 of these stand above already." in page.text
    assert "Sessions are ordered by the IoU after click 4, the lowest first" in page.text


@pytest.mark.parametrize("write", [as_html, as_markdown])
def test_nothing_in_a_run_is_markup(write, images):
    hostile = [replace(SESSIONS[0], id=HOSTILE, image=HOSTILE)]
    made = report(
        hostile,
        [problem(HOSTILE, HOSTILE)],
        images,
        dataset=HOSTILE,
        segmenter=HOSTILE,
        cpu=HOSTILE,
        settings={"clicks": 4, HOSTILE: [HOSTILE]},
        versions={HOSTILE: HOSTILE},
    )
    text = write(made)
    assert "<script" not in re.sub(r"\\(.)", r"", text)
    if write is as_html:
        page = assert_needs_nothing(text)
        assert page.text.count(HOSTILE) > 6
        assert "Drawn on grey" in page.text


def test_no_session(images):
    made = report((), [problem()], images)
    page = assert_needs_nothing(as_html(made))
    assert "No session was finished, so there is nothing to measure." in page.text
    assert "no sessions on no objects" in page.text
    assert "masks/gone.png: the object is empty" in page.text
    assert "No session was finished" in as_markdown(made)


def test_an_interrupted_run_says_so(images):
    assert "Unfinished" not in as_html(report(images=images))
    assert "Unfinished: 2 of 3 images." in as_html(report(SESSIONS[:2], images=images))


def test_kept_embeddings_are_said_beside_the_times():
    kept = as_markdown(report(settings={"clicks": 4, "embeddings": True}))
    assert "Image embeddings were kept from earlier runs" in kept
    assert "Image embeddings were kept" not in as_markdown(report(settings={"clicks": 4, "embeddings": False}))


def test_one_session_of_one_click(images):
    page = assert_needs_nothing(as_html(report(SESSIONS[1:2], images=images, settings={"clicks": 1})))
    assert "The worst session" in page.text
    assert "None: every object of the run was evaluated." in page.text


def test_one_session_without_a_click(images):
    page = assert_needs_nothing(as_html(report([session("ducks/a", [], encode=0.0, mask="")], images=images)))
    assert "No clicks." in page.text


def test_a_protocol_that_cuts_the_curve(images):
    made = report(SESSIONS, images=images, rules=RITM, protocol="ritm", protocol_hash=protocol_hash(RITM))
    page = Page(as_html(made))
    assert "The protocol's curve ends with the shortest session." in page.text
    assert "IoU@1" in page.text
    assert "IoU@3" not in page.text


def test_photos_that_are_gone(tmp_path):
    page = assert_needs_nothing(as_html(report(images=tmp_path)))
    assert page.text.count("Drawn on grey: the photo was not found or cannot be read.") == 3
