"""A run is read without its masks, which fill the memory; those to be drawn are fetched."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.evaluation.made_runs import problem, session, write_run

from inter2former.evaluation.protocol import STRICT
from inter2former.evaluation.reporting.loading import load_run, with_masks

RECORDS = [session("ducks/a", [0.5]), problem(), session("ducks/b", [0.7], seed=0), session("ducks/b", [0.6], seed=1)]


def test_masks_stay_on_disk_until_they_are_wanted(tmp_path):
    folder = write_run(tmp_path, RECORDS)
    run = load_run(folder)
    whole = [replace(record, index=index) for index, record in enumerate(RECORDS)]
    assert (run.protocol, run.clicks, run.seeds) == (STRICT, 4, [0, 1])
    assert run.problems == (whole[1],)
    assert run.sessions == tuple(replace(whole[index], mask="", target="") for index in (0, 2, 3))
    assert with_masks(folder, [run.sessions[2], run.sessions[0], run.sessions[2]]) == [whole[3], whole[0], whole[3]]
    assert with_masks(folder, []) == []
