"""Two runs of one protocol on one data set, session by session."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inter2former.errors import RunError
from inter2former.evaluation.protocol import Protocol
from inter2former.evaluation.records import RunHeader, SessionRecord
from inter2former.evaluation.reporting.loading import LoadedRun, load_run, with_masks
from inter2former.evaluation.reporting.measures import curve_length, estimates, measures
from inter2former.evaluation.reporting.tables import Table
from inter2former.evaluation.reporting.text import count, interval, number, signed

__all__ = ["Change", "Comparison", "PairedMeasure", "compare_runs"]

FloatArray = NDArray[np.float64]

MOST_CHANGED = 10
# Settings that shape what the simulated user does; in the others, those of the segmenter, runs may differ.
SHARED_SETTINGS = ("clicks", "clicker")
# Differences of IoUs below this are rounding.
EQUAL = 1e-9


@dataclass(frozen=True, slots=True)
class PairedMeasure:
    """One measure over the pairs.

    Attributes:
        name: such as "NoC@90".
        unit, more_is_better, digits: as in `Measure`.
        pairs: how many pairs have it; of times some have none.
        mean_a, mean_b: over the pairs.
        difference: mean of B - A over the pairs.
        low, high: its 95 % bootstrap interval over the objects.
        better, worse, equal: share of the pairs in which B is better or worse than A or equal; they add up to 1.
    """

    name: str
    unit: str
    more_is_better: bool
    digits: int
    pairs: int
    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    better: float
    worse: float
    equal: float


@dataclass(frozen=True, slots=True)
class Change:
    """A session in both runs.

    Attributes:
        a: in run A; only those of the sessions that changed most have their masks.
        b: in run B, likewise.
        difference: IoU after click 5 (or the last, if fewer were allowed) of B - A.
    """

    a: SessionRecord
    b: SessionRecord
    difference: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from run A to run B.

    Attributes:
        header_a, header_b: of the runs.
        clicks: how many were allowed per session.
        pairs: sessions with the same id and seed in both runs, in the order of A.
        only_a, only_b: id and seed of the sessions that only one of the runs has; no figure counts them.
        measures: every measure, paired.
        improved: up to ten pairs whose IoU after click 5 rose most, the greatest rise first.
        worsened: up to ten pairs whose IoU after click 5 fell most, the greatest fall first.
    """

    header_a: RunHeader
    header_b: RunHeader
    clicks: int
    pairs: tuple[Change, ...]
    only_a: tuple[tuple[str, int], ...]
    only_b: tuple[tuple[str, int], ...]
    measures: tuple[PairedMeasure, ...]
    improved: tuple[Change, ...]
    worsened: tuple[Change, ...]

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values that JSON has; times are in seconds, what is NaN becomes None."""
        return {
            "a": dataclasses.asdict(self.header_a),
            "b": dataclasses.asdict(self.header_b),
            "clicks": self.clicks,
            "pairs": len(self.pairs),
            "only_a": [{"id": name, "seed": seed} for name, seed in self.only_a],
            "only_b": [{"id": name, "seed": seed} for name, seed in self.only_b],
            "measures": {measure.name: _plain(dataclasses.asdict(measure)) for measure in self.measures},
            "improved": [_change_dict(change) for change in self.improved],
            "worsened": [_change_dict(change) for change in self.worsened],
        }

    def tables(self) -> tuple[Table, ...]:
        """The figures as tables: the measures, then the sessions that changed most, as far as there are any."""
        several = len({change.a.seed for change in self.pairs}) > 1
        fifth = min(5, self.clicks)
        found = [_measure_table(self.measures, len(self.pairs))]
        for word, changes in (("rose", self.improved), ("fell", self.worsened)):
            if changes:
                found.append(_change_table(f"Where the IoU after click {fifth} {word} most.", changes, fifth, several))
        return tuple(found)


def compare_runs(a: Path, b: Path) -> Comparison:
    """Compare two runs, paired by the sessions' id and seed.

    Args:
        a: folder of the first run.
        b: folder of the second run, whose gain or loss is reported.

    Returns:
        the figures of B against A.

    Raises:
        RunError: a folder holds no run, the runs differ in data, protocol or clicker, or they share no session.
    """
    comparison = _compare(load_run(a), load_run(b))
    improved, worsened = (_with_masks(found, a, b) for found in (comparison.improved, comparison.worsened))
    return dataclasses.replace(comparison, improved=improved, worsened=worsened)


def _compare(a: LoadedRun, b: LoadedRun) -> Comparison:
    if reason := _why_not(a, b):
        raise RunError(f"the runs cannot be compared: {reason}")
    sessions_b = {(session.id, session.seed): session for session in b.sessions}
    keys_a = {(session.id, session.seed) for session in a.sessions}
    fifth = min(5, a.clicks) - 1
    pairs = tuple(
        Change(one, other, float(other.ious(a.clicks)[fifth] - one.ious(a.clicks)[fifth]))
        for one in a.sessions
        if (other := sessions_b.get((one.id, one.seed))) is not None
    )
    if not pairs:
        raise RunError(
            f"the runs cannot be compared: A has {count(len(a.sessions), 'session')}, B {len(b.sessions)}, and none of "
            "the same id and seed; evaluate the same images with both"
        )
    ranked = sorted(pairs, key=lambda change: (-change.difference, change.a.id, change.a.seed))
    return Comparison(
        header_a=a.header,
        header_b=b.header,
        clicks=a.clicks,
        pairs=pairs,
        only_a=tuple(sorted(keys_a - sessions_b.keys())),
        only_b=tuple(sorted(sessions_b.keys() - keys_a)),
        measures=_paired(pairs, a.clicks, a.protocol),
        improved=tuple(change for change in ranked[:MOST_CHANGED] if change.difference > EQUAL),
        worsened=tuple(change for change in ranked[: -MOST_CHANGED - 1 : -1] if change.difference < -EQUAL),
    )


def _with_masks(changes: Sequence[Change], a: Path, b: Path) -> tuple[Change, ...]:
    ones, others = (
        with_masks(folder, [getattr(change, side) for change in changes]) for folder, side in ((a, "a"), (b, "b"))
    )
    return tuple(Change(*three) for three in zip(ones, others, [change.difference for change in changes], strict=True))


def _why_not(a: LoadedRun, b: LoadedRun) -> str:
    """The first field that must be equal and is not, in words; "" where the runs can be compared."""
    one, other = a.header, b.header
    if one.dataset_fingerprint != other.dataset_fingerprint:
        return (
            f"dataset_fingerprint is {one.dataset_fingerprint} ({one.dataset}) in A and {other.dataset_fingerprint} "
            f"({other.dataset}) in B; both must be of the same images and masks"
        )
    for name in (field.name for field in dataclasses.fields(Protocol)):
        left, right = getattr(a.protocol, name), getattr(b.protocol, name)
        if left != right:
            return (
                f"the protocol's {name} is {left} in A ({one.protocol}) and {right} in B ({other.protocol}); "
                "both must follow one protocol"
            )
    for name in SHARED_SETTINGS:
        if one.settings.get(name) != other.settings.get(name):
            return (
                f"the setting {name} is {one.settings.get(name)} in A and {other.settings.get(name)} in B; "
                "evaluate with the same"
            )
    return ""


def _paired(pairs: Sequence[Change], clicks: int, protocol: Protocol) -> tuple[PairedMeasure, ...]:
    sides = [change.a for change in pairs], [change.b for change in pairs]
    length = min(curve_length(side, clicks, protocol) for side in sides)
    measured = [measures(side, clicks, length, protocol) for side in sides]
    # (N, M): pairs, measures; what one run did not measure is compared in no column.
    a, b = (np.stack([measure.values for measure in side], axis=1) for side in measured)
    a, b = np.where(np.isnan(b), b, a), np.where(np.isnan(a), a, b)
    ids = [change.a.id for change in pairs]
    means_a, means_b, differences = estimates(ids, a), estimates(ids, b), estimates(ids, b - a)
    found = []
    for column, measure in enumerate(measured[0]):
        difference = (b - a)[:, column]
        gain = difference[~np.isnan(difference)] * (1 if measure.more_is_better else -1)
        better, worse = int((gain > EQUAL).sum()), int((gain < -EQUAL).sum())
        total = max(gain.size, 1)
        found.append(
            PairedMeasure(
                name=measure.name,
                unit=measure.unit,
                more_is_better=measure.more_is_better,
                digits=measure.digits,
                pairs=int(gain.size),
                mean_a=float(means_a.means[column]),
                mean_b=float(means_b.means[column]),
                difference=float(differences.means[column]),
                low=float(differences.low[column]),
                high=float(differences.high[column]),
                better=better / total,
                worse=worse / total,
                equal=(gain.size - better - worse) / total,
            )
        )
    return tuple(found)


def _measure_table(found: Sequence[PairedMeasure], pairs: int) -> Table:
    rows = []
    for measure in found:
        scale, digits = {"ms": (1000.0, 1), "share": (100.0, 1)}.get(measure.unit, (1.0, measure.digits))
        unit = {"ms": ", ms", "share": ", %"}.get(measure.unit, "")
        shares = [f"{100 * share:.0f} %" for share in (measure.better, measure.worse, measure.equal)]
        rows.append(
            (
                f"{measure.name}{unit}",
                number(scale * measure.mean_a, digits),
                number(scale * measure.mean_b, digits),
                signed(scale * measure.difference, digits),
                interval(scale * measure.low, scale * measure.high, digits, sign=True),
                *(shares if measure.pairs else ["–"] * 3),
            )
        )
    columns = ("measure", "A", "B", "B − A", "95 % interval", "better", "worse", "equal")
    note = (
        "Better, worse, equal: share of the pairs in which B is so. Intervals: percentile bootstrap over the objects. "
        "An interval that holds 0 leaves open which run is better."
    )
    return Table(
        f"Run B against run A over {count(pairs, 'pair')} of sessions.", columns, tuple(rows), frozenset(), note
    )


def _change_table(caption: str, changes: Sequence[Change], fifth: int, several: bool) -> Table:
    rows = tuple(
        (
            f"{change.a.id}, seed {change.a.seed}" if several else change.a.id,
            number(float(change.a.ious(fifth)[-1])),
            number(float(change.b.ious(fifth)[-1])),
            signed(change.difference),
        )
        for change in changes
    )
    return Table(caption, ("session", f"IoU@{fifth} A", f"IoU@{fifth} B", "B − A"), rows)


def _change_dict(change: Change) -> dict[str, Any]:
    ious = [[round(entry.iou, 6) for entry in session.clicks] for session in (change.a, change.b)]
    return {
        "id": change.a.id,
        "seed": change.a.seed,
        "difference": change.difference,
        "iou_a": ious[0],
        "iou_b": ious[1],
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Without the name, which is the key, and with None for NaN."""

    def shown(value: object) -> object:
        if isinstance(value, dict):
            return _plain(value)
        return None if isinstance(value, float) and math.isnan(value) else value

    return {name: shown(value) for name, value in values.items() if name != "name"}
