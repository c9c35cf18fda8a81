"""Every choice of the method is a row, and the counted operations order as the method promises."""

from __future__ import annotations

import dataclasses

import pytest

from inter2former.benchmark import ablation
from inter2former.benchmark.ablation import ablation_rows, measure_ablation
from inter2former.config import ClickConfig, preset


def test_rows_differ_in_one_choice():
    config = preset("inter2former-t")
    rows = ablation_rows(config)
    assert rows.pop("as configured") == config
    assert {"attention full", "attention bsq", "attention vq", "prompt dense", "upsampling full"} < rows.keys()
    assert {"feed_forward shared", "boundary release", "code_bits 4"} < rows.keys()
    for name, changed in rows.items():
        field, value = name.split()
        assert str(getattr(changed.decoder, field)) == value
        assert changed.encoder == config.encoder
        assert sum(getattr(changed.decoder, f) != getattr(config.decoder, f) for f in config.decoder.__slots__) == 1
    assert "boundary exact" in ablation_rows(preset("inter2former-b"))


@pytest.fixture(scope="module")
def measured():
    kept = (
        "as configured",
        "attention full",
        "attention bsq",
        "prompt dense",
        "upsampling full",
        "feed_forward shared",
    )
    patch = pytest.MonkeyPatch()
    patch.setattr(ablation, "ablation_rows", lambda config: {name: ablation_rows(config)[name] for name in kept})
    # An image this small would be unknown as a whole within the outer radius, and has fewer tokens than codes.
    compact = preset("inter2former-t")
    decoder = dataclasses.replace(compact.decoder, code_bits=4)
    config = dataclasses.replace(compact, decoder=decoder, clicks=ClickConfig(initial_state=1))
    rows = {row.name: row for row in measure_ablation(config, size=256, share=0.2, repeats=1)}
    patch.undo()
    return rows


def test_operations(measured):
    own = measured["as configured"].operations
    assert own["boundary tokens"] == 0
    assert measured["attention full"].operations["attention"] > own["attention"]
    assert measured["attention bsq"].operations["attention"] < own["attention"]
    assert measured["prompt dense"].operations["prompt embedding"] > own["prompt embedding"]
    assert measured["upsampling full"].operations["upsampling"] > own["upsampling"]
    assert measured["feed_forward shared"].operations["feed-forward"] < own["feed-forward"]
    # The shared expert alone: three products of 256 x 64 for each of 256 tokens in two blocks.
    assert measured["feed_forward shared"].operations["feed-forward"] == 2 * 2 * 3 * 256 * 64 * 256


def test_parameters_and_times(measured):
    own = measured["as configured"]
    assert own.parameters == 1_530_477
    assert measured["feed_forward shared"].parameters < measured["attention full"].parameters < own.parameters
    assert all(time > 0 for row in measured.values() for time in row.milliseconds.values())
    assert 0 < own.boundary_share < 1
    assert own.to_dict()["operations"] == own.operations
