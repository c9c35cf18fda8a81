"""Figures per session that two runs are compared by, means over sessions with intervals over objects, and times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inter2former.evaluation.metrics import bootstrap_ratios, clicks_to_converge, clicks_to_reach, curve_area
from inter2former.evaluation.protocol import Protocol
from inter2former.evaluation.records import SessionRecord
from inter2former.evaluation.summary import AT_CLICKS, THRESHOLDS

__all__ = ["Estimates", "Measure", "Timing", "curve_length", "estimates", "ious_of", "measures", "timings_of"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """One figure per session.

    Attributes:
        name: short, as in tables of the field.
        values: (N,) one number per session, NaN where nothing was measured.
        unit: "": the plain value; "share": 0 or 1, shown in percent; "ms": seconds, shown in milliseconds.
        more_is_better: which way is good.
        digits: decimals of a plain value.
    """

    name: str
    values: FloatArray
    unit: str = ""
    more_is_better: bool = False
    digits: int = 3


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Means of M columns with their 95 % bootstrap intervals over the objects, each (M,); NaN: there were no values."""

    means: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """Measured times of one kind.

    Attributes:
        name: of the kind.
        ids: (n,) of the sessions that they belong to.
        seconds: (n,) > 0.
    """

    name: str
    ids: tuple[str, ...]
    seconds: FloatArray


def curve_length(sessions: Sequence[SessionRecord], clicks: int, protocol: Protocol) -> int:
    """To which click the mean IoU per click goes, by the protocol: all, or as far as the shortest session."""
    if protocol.curve == "shortest":
        return max(1, min(len(session.clicks) for session in sessions))
    return clicks


def measures(sessions: Sequence[SessionRecord], clicks: int, length: int, protocol: Protocol) -> list[Measure]:
    """Everything that two runs are compared by.

    Args:
        sessions: at least one.
        clicks: how many were allowed.
        length: to which click the mean IoU per click goes.
        protocol: which of the figures it has.

    Returns:
        measures whose values are in the order of the sessions.
    """
    ious, boundary = ious_of(sessions, clicks)
    at = [k for k in AT_CLICKS if k <= length]
    fifth = min(5, length)
    found = [Measure(f"IoU@{k}", ious[:, k - 1], "", True) for k in at]
    found.append(Measure("IoU area", curve_area(ious[:, :length]), "", True))
    found.append(Measure(f"boundary IoU@{fifth}", boundary[:, fifth - 1], "", True))
    quotas = [q for q in THRESHOLDS if protocol.stop_at_iou is None or q <= 100 * protocol.stop_at_iou]
    reached = {q: clicks_to_reach(ious, q / 100) for q in quotas}
    found += [
        Measure(f"NoC@{q}", np.minimum(counts, clicks).astype(np.float64), digits=2) for q, counts in reached.items()
    ]
    found += [Measure(f"NoF@{q}", (counts > clicks).astype(np.float64), "share") for q, counts in reached.items()]
    found.append(Measure("convergence", clicks_to_converge(ious[:, :length]).astype(np.float64), digits=2))
    return found + _times(sessions)


def estimates(ids: Sequence[str], table: FloatArray) -> Estimates:
    """Means over the sessions; for the intervals all sessions on one object are drawn together.

    Args:
        ids: (N,) of the sessions.
        table: (N, M) one row per session; NaN is left out.
    """
    numbers = {name: number for number, name in enumerate(sorted(set(ids)))}
    owners = [numbers[name] for name in ids]
    there = ~np.isnan(table)
    sums, counts = np.zeros((2, len(numbers), table.shape[1]))
    np.add.at(sums, owners, np.where(there, table, 0.0))
    np.add.at(counts, owners, there.astype(np.float64))
    low, high = bootstrap_ratios(sums, counts).T
    totals = counts.sum(axis=0)
    means = np.where(totals > 0, sums.sum(axis=0) / np.maximum(totals, 1), np.nan)
    return Estimates(means, low, high)


def ious_of(sessions: Sequence[SessionRecord], clicks: int) -> tuple[FloatArray, FloatArray]:
    """IoU and boundary IoU of each session after each click, two (N, clicks) tables."""
    return (
        np.stack([session.ious(clicks) for session in sessions]),
        np.stack([session.boundary_ious(clicks) for session in sessions]),
    )


def timings_of(sessions: Sequence[SessionRecord]) -> tuple[Timing, Timing, Timing]:
    """The times of first clicks, of all later clicks, and of encoding, as far as they were measured."""
    first = [(s.id, s.clicks[0].seconds) for s in sessions if s.clicks]
    later = [(s.id, entry.seconds) for s in sessions for entry in s.clicks[1:]]
    encode = [(s.id, s.encode_seconds) for s in sessions if s.encode_seconds]
    return _timing("first click", first), _timing("later clicks", later), _timing("encode", encode)


def _timing(name: str, pairs: Sequence[tuple[str, float]]) -> Timing:
    return Timing(name, tuple(owner for owner, _ in pairs), np.array([seconds for _, seconds in pairs], np.float64))


def _times(sessions: Sequence[SessionRecord]) -> list[Measure]:
    nothing = float("nan")
    first = [s.clicks[0].seconds if s.clicks else nothing for s in sessions]
    later = [float(np.mean([r.seconds for r in s.clicks[1:]])) if len(s.clicks) > 1 else nothing for s in sessions]
    decode = [float(np.mean([r.seconds for r in s.clicks])) if s.clicks else nothing for s in sessions]
    encode = [s.encode_seconds or nothing for s in sessions]
    return [
        Measure("spc_decode", np.array(decode), "ms"),
        Measure("first click", np.array(first), "ms"),
        Measure("later clicks", np.array(later), "ms"),
        Measure("encode", np.array(encode), "ms"),
    ]
