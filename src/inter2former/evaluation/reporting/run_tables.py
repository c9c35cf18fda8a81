"""The tables of a run's report; their figures are those of its `Summary`."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inter2former.evaluation.metrics import CONVERGENCE, clicks_to_reach
from inter2former.evaluation.protocol import Protocol, protocol_fields
from inter2former.evaluation.records import Problem, RunHeader, SessionRecord
from inter2former.evaluation.reporting.measures import estimates, ious_of, timings_of
from inter2former.evaluation.reporting.tables import Table
from inter2former.evaluation.reporting.text import NOTHING, count, interval, milliseconds, number
from inter2former.evaluation.summary import Summary

__all__ = [
    "click_table",
    "failure_rows",
    "problem_table",
    "protocol_table",
    "robustness_table",
    "run_table",
    "summary_table",
    "time_table",
]

WORDS = frozenset({1, 2})


def run_table(header: RunHeader) -> Table:
    """What was run, on what, and where."""
    rows = [
        ("data set", header.dataset),
        ("data-set fingerprint", header.dataset_fingerprint or "none"),
        ("images", str(header.objects)),
        ("segmenter", header.segmenter),
        ("weights hash", header.weights_hash or "none"),
        ("protocol", header.protocol),
        ("protocol hash", header.protocol_hash),
        # A report is passed on; where the data lay is nobody else's business and shapes no figure.
        *((f"setting: {name}", _value(value)) for name, value in header.settings.items() if name != "folder"),
        *((f"version of {name}", version) for name, version in header.versions.items()),
        ("processor", header.cpu),
        ("threads per process", str(header.threads or "differed")),
        ("processes", str(header.workers or "differed")),
    ]
    return Table("What was run, on what, and where.", ("", "value"), tuple(rows), WORDS)


def protocol_table(name: str, protocol: Protocol) -> Table:
    """The fields of the protocol: name, value, and what it means."""
    caption = f"Protocol {name}: its answer to each point on which implementations disagree."
    return Table(caption, ("field", "value", "meaning"), protocol_fields(protocol), WORDS)


def summary_table(summary: Summary, sessions: Sequence[SessionRecord], clicks: int) -> Table:
    """How good the masks are, with intervals on every mean."""

    def row(label: str, value: float, name: str, digits: int = 3) -> tuple[str, str, str]:
        return label, number(value, digits), _interval(summary, name, digits)

    rows = [row(f"IoU@{k}", value, f"iou_{k}") for k, value in summary.iou.items()]
    rows.append(row("IoU area", summary.iou_area, "iou_area"))
    rows += [row(f"boundary IoU@{k}", value, f"boundary_iou_{k}") for k, value in summary.boundary_iou.items()]
    nocs = {85: summary.noc85, 90: summary.noc90, 95: summary.noc95}
    rows += [row(f"NoC@{q}", value, f"noc{q}", 2) for q, value in nocs.items() if not math.isnan(value)]
    rows += failure_rows(sessions, clicks, list(summary.failures))
    rows.append(row("clicks to convergence", summary.convergence, "convergence", 2))
    for label, name in (("the last click", "contradicted_last"), ("any click", "contradicted_any")):
        if value := getattr(summary, name):
            rows.append((f"answers against {label}", f"{100 * value:.1f} %", _interval(summary, name, 1, 100, " %")))
    return Table("Quality of the masks.", ("measure", "mean", "95 % interval"), tuple(rows), frozenset(), _note(clicks))


def failure_rows(sessions: Sequence[SessionRecord], clicks: int, quotas: Sequence[int]) -> list[tuple[str, str, str]]:
    """Sessions that never reached an IoU, then as RITM counts them: label, count and share, interval of the share."""
    ious = ious_of(sessions, clicks)[0]
    reached = [clicks_to_reach(ious, quota / 100) for quota in quotas]
    counts = [("NoF@{}", [c > clicks for c in reached]), ("NoF@{}, RITM's count", [c >= clicks for c in reached])]
    rows = []
    for label, columns in counts:
        found = estimates([session.id for session in sessions], np.stack(columns, axis=1).astype(np.float64))
        for quota, column, low, high in zip(quotas, columns, 100 * found.low, 100 * found.high, strict=True):
            share = f"{column.sum()} of {len(column)} ({100 * column.mean():.1f} %)"
            # Where all sessions are alike, drawing among them knows nothing of others.
            rows.append((label.format(quota), share, f"{interval(low, high, 1)} %" if low < high else NOTHING))
    return rows


def click_table(summary: Summary, sessions: Sequence[SessionRecord]) -> Table:
    """Mean IoU and boundary IoU after each click with intervals, as far as the protocol's curve goes."""
    length = len(summary.iou_per_click)
    boundary = ious_of(sessions, length)[1].mean(axis=0)
    rows = tuple(
        (
            str(k),
            number(summary.iou_per_click[k - 1]),
            _interval(summary, f"iou_{k}"),
            number(float(boundary[k - 1])),
            _interval(summary, f"boundary_iou_{k}"),
        )
        for k in range(1, length + 1)
    )
    columns = ("after click", "IoU", "95 % interval", "boundary IoU", "95 % interval")
    return Table("Mean IoU after each click.", columns, rows)


def time_table(summary: Summary, sessions: Sequence[SessionRecord]) -> Table:
    """Percentiles and means of the times in milliseconds, and what they cost beside the network."""
    timings = timings_of(sessions)
    every = np.concatenate([timing.seconds for timing in timings[:2]])
    rows: list[tuple[str, ...]] = []
    rows.append(("spc_decode", *_percentiles(every), *_summary_mean(summary, "spc_decode_ms")))
    for timing in timings:
        found = estimates(timing.ids, timing.seconds[:, None])
        mean, low, high = (float(1000 * ends[0]) for ends in (found.means, found.low, found.high))
        rows.append((timing.name, *_percentiles(timing.seconds), *_mean_ms(mean, low, high)))
    rows.append(("spc_total", *[NOTHING] * 4, *_summary_mean(summary, "spc_total_ms")))
    words = [
        "spc_decode: any click, from the call to the mask at the image's size, with the image encoded before.",
        "spc_total: the same with the protocol's other time spread over the clicks.",
    ]
    if not math.isnan(summary.overhead_share):
        words.append(f"Simulated clicks and metrics took {100 * summary.overhead_share:.1f} % of the time.")
    if summary.peak_memory_mb:
        words.append(f"Greatest memory of a process: {summary.peak_memory_mb:.0f} MiB.")
    columns = ("", "n", "median", "p95", "max", "mean", "95 % interval")
    return Table("How long the answers took, in milliseconds.", columns, tuple(rows), frozenset(), " ".join(words))


def robustness_table(summary: Summary, sessions: Sequence[SessionRecord], clicks: int) -> Table:
    """How much NoC depends on who clicks: mean, spread and worst over the seeds, and the worst user of each object."""
    seeds = sorted({session.seed for session in sessions})
    rows = []
    for quota, spread in summary.noc_over_seeds.items():
        worst: dict[str, float] = {}
        for session in sessions:
            needed = float(min(clicks_to_reach(session.ious(clicks)[None], quota / 100)[0], clicks))
            worst[session.id] = max(worst.get(session.id, 0.0), needed)
        unlucky = estimates(list(worst), np.array(list(worst.values()))[:, None])
        ends = interval(float(unlucky.low[0]), float(unlucky.high[0]), 2)
        figures = [number(spread[name], 2) for name in ("mean", "spread", "worst")]
        rows.append((f"NoC@{quota}", *figures, number(float(unlucky.means[0]), 2), ends))
    columns = ("measure", "mean", "spread", "worst seed", "worst user of each object", "95 % interval")
    note = (
        f"{len(seeds)} seeds: {', '.join(map(str, seeds))}. Spread: standard deviation of the seeds' means. Worst user "
        "of each object: the mean over the objects of the greatest number of clicks that any seed needed."
    )
    caption = "How much the number of clicks depends on the user."
    return Table(caption, columns, tuple(rows), frozenset(), note)


def problem_table(problems: Sequence[Problem], folder: Path) -> Table:
    """Every object that could not be evaluated, and why; without the path of the data set's folder."""
    reasons = [problem.reason.replace(f"{folder}{os.sep}", "") for problem in problems]
    rows = tuple((str(k), problem.id, why) for k, (problem, why) in enumerate(zip(problems, reasons, strict=True), 1))
    caption = f"{count(len(problems), 'problem')}: not evaluated, and not part of any figure here."
    return Table(caption, ("", "object or image", "reason"), rows, WORDS)


def _note(clicks: int) -> str:
    return (
        "IoU@k: after k clicks. IoU area: under the curve over clicks, divided by its width. NoC@q: clicks to an IoU "
        f"of q %, {clicks} where it was never reached. NoF@q: sessions that never reached it; RITM's count adds those "
        f"that reached it on the last click. Convergence: no later IoU is more than {CONVERGENCE} higher. Answers "
        "against a click: the network's own mask had the other sign there and was mended. Intervals: percentile "
        "bootstrap over the objects; none where all sessions are alike."
    )


def _interval(summary: Summary, name: str, digits: int = 3, scale: float = 1, unit: str = "") -> str:
    low, high = summary.intervals.get(name, (math.nan, math.nan))
    ends = interval(scale * low, scale * high, digits)
    return ends if ends == NOTHING else f"{ends}{unit}"


def _percentiles(seconds: NDArray[np.float64]) -> tuple[str, str, str, str]:
    """Count, median, 95th percentile and greatest."""
    if not seconds.size:
        return "0", NOTHING, NOTHING, NOTHING
    half, most = np.percentile(seconds, [50, 95])
    return str(seconds.size), milliseconds(half), milliseconds(most), milliseconds(float(seconds.max()))


def _summary_mean(summary: Summary, name: str) -> tuple[str, str]:
    return _mean_ms(getattr(summary, name), *summary.intervals.get(name, (math.nan, math.nan)))


def _mean_ms(mean: float, low: float, high: float) -> tuple[str, str]:
    digits = 1 if mean < 10 else 0
    return number(mean, digits), interval(low, high, digits)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
