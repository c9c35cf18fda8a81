"""The times of a session are there, all of them, and no stage takes longer than the whole."""

from __future__ import annotations

import pytest
import torch

from inter2former.benchmark.session import measure_session, random_engine


def test_times(torch_threads):
    times = measure_session(random_engine("inter2former-t", size=96), "inter2former-t", repeats=1, shares=(0.25, 0.5))
    assert (times.preset, times.size, times.threads) == ("inter2former-t", 96, torch.get_num_threads())
    assert set(times.encode) == {"resize and normalise", "image encoder", "edge encoder", "edge terms", "total"}
    assert list(times.clicks) == ["25%", "50%"]
    for stages in times.clicks.values():
        assert {"reference map", "attention", "upsampling", "total", "boundary share"} < set(stages)
        assert all(value > 0 for value in stages.values())
    assert times.first_click > 0
    assert times.peak_memory_gib > 0.05
    assert times.to_dict()["clicks"] == times.clicks


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="unknown preset 'inter2former-x'"):
        random_engine("inter2former-x", size=96)
