"""`inter2former bench` prints tables and JSON and refuses in one sentence."""

from __future__ import annotations

import json

import pytest

from inter2former.benchmark import ablation
from inter2former.benchmark.clock import Milliseconds
from inter2former.benchmark.roofline import Rates
from inter2former.benchmark.session import SessionTimes, StageTimes
from inter2former.cli import bench
from inter2former.cli.__main__ import main
from inter2former.errors import MissingPackageError


def measured_once(monkeypatch, name):
    """Let `bench` measure once what it prints twice, as a table and as JSON."""
    measure, found = getattr(bench, name), []

    def call(*arguments, **options):
        if not found:
            times = measure(*arguments, **options)
            found.append(times if isinstance(times, SessionTimes) else list(times))
        return found[0]

    monkeypatch.setattr(bench, name, call)


def test_session(capsys, torch_threads, monkeypatch):
    measured_once(monkeypatch, "measure_session")
    monkeypatch.setattr("inter2former.benchmark.session.measured_rates", lambda device: Rates(1e9, 1e9))
    arguments = ["bench", "--random-weights", "--size", "64", "--repeats", "1", "--box", "0.5", "--threads", "1"]
    assert main(arguments) == 0
    table = capsys.readouterr().out
    for line in (
        "inter2former-t at 64 px, 1 threads",
        "first click",
        "later click, box of 50% of the side",
        "peak memory",
    ):
        assert line in table
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["clicks"]["50%"]["total"]["median"] > 0
    assert result["peers"] == {}
    assert set(result["kernels"].values()) <= {"native", "reference"}


def test_peers_that_are_not_installed_are_named(capsys, torch_threads, monkeypatch, tmp_path):
    def absent():
        raise MissingPackageError("needs a package that is not installed")

    monkeypatch.setattr(bench, "transformers_peers", lambda **options: {"sam": absent})
    monkeypatch.setattr(bench, "photo_like", lambda size: None)
    monkeypatch.setattr(bench, "measure_session", lambda engine, name, repeats, shares: made_times(name))
    plot = tmp_path / "bench.svg"
    assert main(["bench", "--random-weights", "--peers", "--repeats", "1", "--plot", str(plot)]) == 0
    assert "sam                             not measured: needs a package" in capsys.readouterr().out
    assert plot.read_text().startswith("<svg ")


def made_times(name):
    stage = StageTimes(Milliseconds(2.0, 1.0, 3.0))
    return SessionTimes("a CPU", name, 1024, 1, "torch float32", Rates(1e9, 1e9), {"total": stage}, stage, {}, {}, 0.5)


def test_ablation(capsys, monkeypatch, torch_threads):
    whole = ablation.ablation_rows
    measured_once(monkeypatch, "measure_ablation")
    monkeypatch.setattr(ablation, "ablation_rows", lambda config: dict(list(whole(config).items())[:2]))
    arguments = ["bench", "--ablation", "--size", "64", "--repeats", "1"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("inter2former-t at 64 px, object's box 50% of the side")
    assert [line.split("  ")[0] for line in lines[3:]] == ["as configured", "attention full"]
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in result["rows"]] == ["as configured", "attention full"]
    assert result["rows"][1]["operations"]["attention"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repeats", "0"], "--repeats is 0; it must be at least 1"),
        (["--box", "1.5"], "--box is 1.5; it must be a share of the side"),
        (["--ablation", "--weights", "x.safetensors"], "--weights has no use here"),
        (["--ablation", "--peers"], "leave out --peers and --plot"),
        (["--ablation", "--threads", "0"], "threads is 0; it must be at least 1"),
        (["--ablation", "--preset", "inter2former-x"], "unknown preset 'inter2former-x'"),
        (["--plot", "absent/a.svg"], "--plot is absent/a.svg, but there is no such folder"),
        (["--peers", "absent"], "--peers is absent, but there is no such file"),
        (["--preset", "inter2former-b"], "no weights for 'inter2former-b' come with this package"),
    ],
)
def test_bad_input_gives_one_sentence(capsys, arguments, message):
    assert main(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
