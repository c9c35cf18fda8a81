"""Which sessions are worst and median, and what stands beside their pictures."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from tests.unit.evaluation.made_runs import session, write_photo

from inter2former.evaluation.reporting.sessions import (
    cut_of,
    reached_text,
    session_card,
    session_name,
    session_table,
    worst_and_median,
)


def names(sessions):
    return [(each.id, each.seed) for each in sessions]


def test_order():
    """IoU after click 5 first, then more clicks to 0.90, then id, then seed."""
    quick, slow = [0.1, 0.95, 0.5, 0.5, 0.7, 0.7], [0.1, 0.2, 0.3, 0.4, 0.7, 0.95]
    sessions = [
        session("d", quick),
        session("c", quick, seed=1),
        session("c", quick),
        session("e", slow),
        session("f", [0.6] * 6),
    ]
    worst, median = worst_and_median(sessions, 6, amount=3)
    assert names(worst) == [("f", 0), ("e", 0), ("c", 0)]
    assert names(median) == [("e", 0), ("c", 0), ("c", 1)]


@pytest.mark.parametrize(("total", "first"), [(100, 40), (50, 15), (21, 0), (20, 0), (3, 0)])
def test_twenty_in_the_middle(total, first):
    sessions = [session(f"{k:03}", [k / 100]) for k in range(total)]
    worst, median = worst_and_median(list(reversed(sessions)), 1)
    assert names(worst) == [(f"{k:03}", 0) for k in range(min(20, total))]
    assert names(median) == [(f"{k:03}", 0) for k in range(first, min(first + 20, total))]


def test_reached():
    record = session("a", [0.5, 0.91])
    assert reached_text(record, 2) == "click 2"
    assert reached_text(record, 2, 0.95) == "never"


def test_names():
    assert session_name(session("a", [0.5], seed=3), [3]) == "a"
    assert session_name(session("a", [0.5], seed=3), [1, 3]) == "a, seed 3"


def test_table():
    table = session_table("T.", [session("a", [0.5, 0.91, 0.92], seed=2)], 3, [1, 2])
    assert table.columns == ("session", "IoU@1", "IoU@3", "boundary IoU@3", "IoU 0.90 at")
    assert table.rows == (("a, seed 2", "0.500", "0.920", "0.460", "click 2"),)


def test_card(tmp_path):
    root = ElementTree.fromstring(session_card(session("a", [0.5, 0.9124, 1.0, 0.0]), "<b>a", 4, write_photo(tmp_path)))
    assert root.findtext("figcaption/code") == "<b>a"
    (facts, *_) = root.findall("figcaption/p")
    assert "".join(facts.itertext()) == "IoU@4 0.000, boundary 0.000, 0.90 at: click 2"
    assert ["".join(item.itertext()) for item in root.find("figcaption/ol")] == ["1+.500", "2−.912", "3+1.00", "4−.000"]


def test_card_without_clicks(tmp_path):
    root = ElementTree.fromstring(session_card(session("a", [], mask=""), "a", 4, tmp_path))
    assert [p.text for p in root.findall("figcaption/p")[1:]] == [
        "No clicks.",
        "Drawn on grey: the photo was not found or cannot be read.",
    ]


def test_one_cut_for_two_sessions():
    size = (400, 300)
    empty = {"mask": "", "target": "", "size": size}
    near, far = session("a", [0.5] * 3, **empty), session("a", [0.5], **empty)
    far = replace(far, clicks=tuple(replace(e, click=replace(e.click, x=100, y=90)) for e in far.clicks))
    cut = cut_of((near, far))
    assert (cut.left, cut.top) == (1, 0)
    assert cut.left + cut.width > 100
    assert cut.top + cut.height > 90


def test_damaged_masks_are_named():
    with pytest.raises(ValueError, match=r"the record of ducks/one cannot be drawn: the run lengths hold"):
        cut_of((session("ducks/one", [0.5], mask="0"),))
