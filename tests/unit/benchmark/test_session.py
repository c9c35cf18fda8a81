"""The times of a session are there, all of them, and no stage takes longer than the whole."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
import torch

from inter2former.benchmark.clock import Milliseconds
from inter2former.benchmark.picture import session_picture
from inter2former.benchmark.roofline import Floor, Rates
from inter2former.benchmark.session import SessionTimes, StageTimes, measure_session, random_engine
from inter2former.evaluation.latency import Latency
from inter2former.evaluation.peers import PeerLatency

SVG = "{http://www.w3.org/2000/svg}"


def test_times(torch_threads):
    times = measure_session(random_engine("inter2former-t", size=96), "inter2former-t", repeats=1, shares=(0.25, 0.5))
    assert (times.preset, times.size, times.threads) == ("inter2former-t", 96, torch.get_num_threads())
    assert set(times.encode) == {"resize and normalise", "image encoder", "edge terms", "total"}
    assert list(times.clicks) == list(times.boundary_shares) == ["25%", "50%"]
    assert all(0 < share <= 1 for share in times.boundary_shares.values())
    for stages in (times.encode, *times.clicks.values()):
        assert all(stage.time.low <= stage.time.median <= stage.time.high for stage in stages.values())
        assert all(stage.time.low > 0 for stage in stages.values())
        assert stages["total"].floor is None
    for share, stages in times.clicks.items():
        assert {"reference map", "window", "attention", "upsampling", "mask", "next map", "total"} < set(stages)
        for name in ("attention", "feed-forward", "upsampling"):
            assert 0 < stages[name].floor.operations
            assert stages[name].share == stages[name].floor.milliseconds / stages[name].time.median
        parts = sum(stage.time.median for name, stage in stages.items() if name != "total")
        assert stages["total"].time.median == pytest.approx(parts * (1 + times.beyond_stages[share]))
    assert times.encode["image encoder"].floor.operations > 1e8
    assert times.encoder in ("torch float32", "openvino float32")
    assert times.rates.operations > 1e9
    assert times.peak_memory_gib > 0.05
    plain = json.loads(json.dumps(times.to_dict()))
    assert plain["clicks"]["25%"]["attention"]["floor"]["bytes"] > 0
    assert plain["first_click"]["median"] > 0


def test_picture():
    stage = StageTimes(Milliseconds(8.0, 7.0, 9.0), Floor(10, 20, 2.0))
    whole = StageTimes(Milliseconds(16.0, 15.0, 17.0))
    times = SessionTimes(
        "A <CPU>", "inter2former-t", 96, 2, "torch float32", Rates(1e9, 1e9),
        {"image encoder": stage, "total": whole}, whole,
        {"50%": {"attention": stage, "total": whole}}, {"50%": 0.1}, 0.5,
    )  # fmt: skip
    latency = Latency(0.004, 0.003, 0.003, 0.005, 3)
    root = ElementTree.fromstring(session_picture(times, {"a peer": PeerLatency(latency, latency, latency, latency)}))
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert texts[0].endswith("2 threads, A <CPU>: milliseconds; dark: the floor")
    assert {"attention, box 50%", "a peer", "once per image", "per click"} < set(texts)
    widths = [(bar.get("class"), float(bar.get("width"))) for bar in root.iter(f"{SVG}rect")]
    assert widths == [
        ("bar", 240.0), ("floor", 60.0), ("whole", 480.0), ("peer", 120.0),
        ("whole", 480.0), ("bar", 240.0), ("floor", 60.0), ("whole", 480.0), ("peer", 120.0),
    ]  # fmt: skip


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="unknown preset 'inter2former-x'"):
        random_engine("inter2former-x", size=96)
