"""What a run over a data set comes to: every figure once, every mean with its interval."""

from __future__ import annotations

import dataclasses
import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inter2former.errors import RunError
from inter2former.evaluation.metrics import (
    bootstrap_ratios,
    clicks_to_converge,
    clicks_to_reach,
    curve_area,
    nof,
    nof_ritm,
    over_seeds,
    spc_decode,
    spc_total,
    typical,
)
from inter2former.evaluation.protocol import PROTOCOLS, STRICT, Protocol, protocol_hash
from inter2former.evaluation.records import Problem, Record, RunHeader
from inter2former.evaluation.run_folder import read_header, read_records

__all__ = ["Summary", "run_protocol", "summarise", "summarise_run"]

FloatArray = NDArray[np.float64]

AT_CLICKS = (1, 3, 5, 10, 20)
THRESHOLDS = (85, 90, 95)


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of one data set; IoUs are 0..1, NoC counts clicks, times are milliseconds. NaN: nothing was measured.

    Attributes:
        dataset: its name.
        objects: number of objects.
        sessions: objects times simulated users.
        problems: objects or images that could not be evaluated; they enter no other figure.
        noc85, noc90, noc95: mean clicks to reach that IoU, the last click where it was never reached; NaN where the
            protocol stops below it.
        nof85, nof90, nof95: sessions that never reached it; None likewise.
        nof_ritm85, nof_ritm90, nof_ritm95: the same as RITM counts: reaching it on the last click fails too.
        failures: by IoU in percent, the one of the two counts that is the protocol's.
        iou: mean IoU after 1, 3, 5, 10 and 20 clicks, as far as the protocol's curve goes.
        boundary_iou: mean boundary IoU after as many clicks.
        boundary_iou_5: the same after 5 clicks, or the last.
        iou_per_click: the whole curve, mean IoU after each click (k-mIoU).
        iou_area: area under that curve, see `metrics.curve_area`.
        convergence: mean of `metrics.clicks_to_converge`.
        noc_over_seeds: by IoU in percent, `metrics.over_seeds` of NoC; empty with one seed.
        contradicted_last: share of the answers in which the network's own mask went against the click just made.
        contradicted_any: share of the answers in which it went against any click so far.
        spc_decode_ms: mean time from a click to the mask at original size, first clicks too.
        spc_decode_p50_ms, spc_decode_p95_ms: percentiles of the same.
        spc_total_ms: the same with the encoding spread over the clicks; where the protocol divides the session's whole
            time, with reading, simulation and metrics too.
        first_click_p50_ms: median of the first clicks alone.
        encode_p50_ms: median of resizing and encoding an image.
        overhead_share: of the time of all sessions, what simulation of clicks and metrics took.
        peak_memory_mb: greatest resident memory of any one process, in MiB.
        intervals: 95 % bootstrap intervals over the objects of every mean above; `iou_5` is that of `iou` at 5.
    """

    dataset: str
    objects: int
    sessions: int
    problems: int
    noc85: float
    noc90: float
    noc95: float
    nof85: int | None
    nof90: int | None
    nof95: int | None
    nof_ritm85: int | None
    nof_ritm90: int | None
    nof_ritm95: int | None
    failures: dict[int, int]
    iou: dict[int, float]
    boundary_iou: dict[int, float]
    boundary_iou_5: float
    iou_per_click: tuple[float, ...]
    iou_area: float
    convergence: float
    noc_over_seeds: dict[int, dict[str, float]]
    contradicted_last: float
    contradicted_any: float
    spc_decode_ms: float
    spc_decode_p50_ms: float
    spc_decode_p95_ms: float
    spc_total_ms: float
    first_click_p50_ms: float
    encode_p50_ms: float
    overhead_share: float
    peak_memory_mb: float
    intervals: dict[str, tuple[float, float]]

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values that JSON has: what is NaN becomes None."""
        return {name: _without_nan(value) for name, value in dataclasses.asdict(self).items()}

    def to_text(self) -> str:
        """The figures as a table for people: name, value, interval."""
        rows: list[tuple[str, str]] = []
        for name, value in dataclasses.asdict(self).items():
            if name not in ("intervals", "iou_per_click", "boundary_iou_5") and value != {}:
                parts = {f"{name}_{key}": part for key, part in value.items()} if isinstance(value, dict) else None
                rows += [(label, self._with_interval(label, part)) for label, part in (parts or {name: value}).items()]
        width = max(len(label) for label, _ in rows)
        return "\n".join(f"{label:<{width}}  {text}" for label, text in rows)

    def _with_interval(self, name: str, value: object) -> str:
        low, high = self.intervals.get(name, (math.nan, math.nan))
        return _shown(value) if math.isnan(low) else f"{_shown(value):<8} [{_shown(low)}, {_shown(high)}]"


def summarise(dataset: str, records: Iterable[Record], clicks: int, protocol: Protocol = STRICT) -> Summary:
    """Reduce the records of a run, one at a time: only a few numbers of each are kept.

    Args:
        dataset: name of the data set.
        records: in the run's order: all sessions on one object follow each other.
        clicks: how many were allowed.
        protocol: how failures, curve and times are counted.
    Raises:
        ValueError: there are no sessions among the records.
    """
    sessions = _Sessions(clicks)
    for record in records:
        sessions.add(record)
    if not sessions.owners:
        raise ValueError(f"{dataset} holds no objects to evaluate; check its masks{sessions.complaint()}")
    return _summary(dataset, sessions, protocol)


def summarise_run(folder: Path) -> Summary:
    """Reduce a run on disk.

    Raises:
        RunError: the folder holds no run, a damaged one, or one under a protocol that this version does not know.
        ValueError: there are no sessions in it.
    """
    header = read_header(folder)
    protocol = run_protocol(folder, header)
    return summarise(header.dataset, read_records(folder), int(str(header.settings["clicks"])), protocol)


def run_protocol(folder: Path, header: RunHeader) -> Protocol:
    """The protocol that a run followed.

    Raises:
        RunError: this version does not know it, or knows another of that name.
    """
    protocol = PROTOCOLS.get(header.protocol)
    if protocol is None or protocol_hash(protocol) != header.protocol_hash:
        raise RunError(
            f"{folder} was made under a protocol {header.protocol!r} that this version does not know; "
            "read it with the version that its header names"
        )
    return protocol


class _Sessions:
    """The few numbers of each session that the figures need, in flat arrays."""

    def __init__(self, clicks: int) -> None:
        self.clicks = clicks
        self.problems = 0
        self.peak = 0
        self.owners = array("q")  # number of the object
        self.seeds = array("q")
        self.ious, self.boundary = array("d"), array("d")  # one value per click
        self.columns = {name: array("d") for name in ("length", "step", "encode", "read", "overhead", "first")}
        self.columns |= {name: array("d") for name in ("contradicted_last", "contradicted_any")}
        self.steps = array("d")  # of all clicks of all sessions
        self._object = self._problem = ""

    def add(self, record: Record) -> None:
        """Take the numbers of one record."""
        if isinstance(record, Problem):
            self._problem = self._problem or record.reason
            self.problems += 1
            return
        if not self.owners or record.id != self._object:
            self.owners.append(self.owners[-1] + 1 if self.owners else 0)
            self._object = record.id
        else:
            self.owners.append(self.owners[-1])
        self.seeds.append(record.seed)
        self.ious.extend(record.ious(self.clicks))
        self.boundary.extend(record.boundary_ious(self.clicks))
        self.steps.extend(entry.seconds for entry in record.clicks)
        numbers = {
            "length": len(record.clicks),
            "step": sum(entry.seconds for entry in record.clicks),
            "encode": record.encode_seconds,
            "read": record.read_seconds,
            "overhead": record.overhead_seconds,
            "first": record.clicks[0].seconds if record.clicks else 0.0,
            "contradicted_last": sum(entry.contradicts_last for entry in record.clicks),
            "contradicted_any": sum(entry.contradicted > 0 for entry in record.clicks),
        }
        for name, number in numbers.items():
            self.columns[name].append(number)
        self.peak = max(self.peak, record.peak_bytes)

    def complaint(self) -> str:
        """What was wrong with the first of the problems."""
        return f" ({self.problems} problems; the first: {self._problem})" if self.problems else ""

    def column(self, name: str) -> FloatArray:
        """(S,) one number per session."""
        return np.frombuffer(self.columns[name], dtype=np.float64)

    def table(self, values: array[float], length: int) -> FloatArray:
        """(S, length) one row per session, one column per click."""
        return np.frombuffer(values, dtype=np.float64).reshape(-1, self.clicks)[:, :length]


def _summary(dataset: str, sessions: _Sessions, protocol: Protocol) -> Summary:
    clicks = sessions.clicks
    shortest = max(1, int(sessions.column("length").min()))
    length = shortest if protocol.curve == "shortest" else clicks
    ious, boundary = sessions.table(sessions.ious, clicks), sessions.table(sessions.boundary, clicks)
    measured = [q for q in THRESHOLDS if protocol.stop_at_iou is None or q <= 100 * protocol.stop_at_iou]
    reached = {q: np.minimum(clicks_to_reach(ious, q / 100), clicks).astype(np.float64) for q in measured}
    other = sessions.column("encode")
    if protocol.time == "session":
        other = other + sessions.column("read") + sessions.column("overhead")
    means, intervals = _means(sessions, _ratios(sessions, ious, boundary, length, reached, other))
    failed = {q: (nof(ious, q / 100), nof_ritm(ious, q / 100)) for q in measured}
    at = [k for k in AT_CLICKS if k <= length]
    steps = np.frombuffer(sessions.steps, dtype=np.float64)
    spent = sum(float(sessions.column(name).sum()) for name in ("step", "encode", "read", "overhead"))
    return Summary(
        dataset=dataset,
        objects=sessions.owners[-1] + 1,
        sessions=len(sessions.owners),
        problems=sessions.problems,
        noc85=means.get("noc85", math.nan),
        noc90=means.get("noc90", math.nan),
        noc95=means.get("noc95", math.nan),
        nof85=failed[85][0] if 85 in failed else None,
        nof90=failed[90][0] if 90 in failed else None,
        nof95=failed[95][0] if 95 in failed else None,
        nof_ritm85=failed[85][1] if 85 in failed else None,
        nof_ritm90=failed[90][1] if 90 in failed else None,
        nof_ritm95=failed[95][1] if 95 in failed else None,
        failures={q: counts[protocol.failures != "never reached"] for q, counts in failed.items()},
        iou={k: means[f"iou_{k}"] for k in at},
        boundary_iou={k: means[f"boundary_iou_{k}"] for k in at},
        boundary_iou_5=means[f"boundary_iou_{min(5, length)}"],
        iou_per_click=tuple(means[f"iou_{k}"] for k in range(1, length + 1)),
        iou_area=means["iou_area"],
        convergence=means["convergence"],
        noc_over_seeds=_robustness(sessions, reached),
        contradicted_last=means["contradicted_last"],
        contradicted_any=means["contradicted_any"],
        spc_decode_ms=means["spc_decode_ms"],
        spc_decode_p50_ms=1000 * spc_decode(steps, 50),
        spc_decode_p95_ms=1000 * spc_decode(steps, 95),
        spc_total_ms=1000 * spc_total(steps, other),
        first_click_p50_ms=1000 * typical(sessions.column("first")),
        encode_p50_ms=1000 * typical(sessions.column("encode")),
        overhead_share=float(sessions.column("overhead").sum()) / spent if spent else math.nan,
        peak_memory_mb=sessions.peak / 2**20,
        intervals=intervals,
    )


def _ratios(
    sessions: _Sessions,
    ious: FloatArray,
    boundary: FloatArray,
    length: int,
    reached: Mapping[int, FloatArray],
    other: FloatArray,
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """By name, numerator and denominator of each mean, both (S,)."""
    one, answers = np.ones(len(ious)), sessions.column("length")
    ratios = {f"noc{q}": (clicks, one) for q, clicks in reached.items()}
    for k in range(length):
        ratios[f"iou_{k + 1}"] = ious[:, k], one
        ratios[f"boundary_iou_{k + 1}"] = boundary[:, k], one
    ratios["iou_area"] = curve_area(ious[:, :length]), one
    ratios["convergence"] = clicks_to_converge(ious[:, :length]).astype(np.float64), one
    for name in ("contradicted_last", "contradicted_any"):
        ratios[name] = sessions.column(name), answers
    ratios["spc_decode_ms"] = 1000 * sessions.column("step"), answers
    ratios["spc_total_ms"] = 1000 * (sessions.column("step") + other), answers
    return ratios


def _means(
    sessions: _Sessions, ratios: Mapping[str, tuple[FloatArray, FloatArray]]
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Each mean and its interval; the sessions on one object stay together when objects are drawn."""
    firsts = np.flatnonzero(np.diff(np.frombuffer(sessions.owners, dtype=np.int64), prepend=-1))
    above, below = (
        np.add.reduceat(np.stack([pair[part] for pair in ratios.values()], axis=1), firsts, axis=0) for part in (0, 1)
    )
    ends = bootstrap_ratios(above, below)
    totals = above.sum(axis=0), below.sum(axis=0)
    means, intervals = {}, {}
    for column, name in enumerate(ratios):
        divisor = float(totals[1][column])
        means[name] = float(totals[0][column]) / divisor if divisor else math.nan
        intervals[name] = float(ends[column, 0]), float(ends[column, 1])
    return means, intervals


def _robustness(sessions: _Sessions, reached: Mapping[int, FloatArray]) -> dict[int, dict[str, float]]:
    """Mean, spread and worst of NoC over the seeds."""
    seeds = np.frombuffer(sessions.seeds, dtype=np.int64)
    present = np.unique(seeds)
    if len(present) < 2:
        return {}
    return {
        q: over_seeds([float(clicks[seeds == seed].mean()) for seed in present])._asdict()
        for q, clicks in reached.items()
    }


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _shown(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(part)}" for name, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
