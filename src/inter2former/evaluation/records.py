"""What a run leaves behind: a header, one record per click, one per finished session, one per problem.

On disk a run is a folder with `run.json` (the header) and `records.jsonl`, whose lines carry their kind:

    {"kind": "click", "session": "grabcut/banana1", "number": 1, "x": 320, "y": 240, "positive": true, "iou": ...}
    {"kind": "session", "id": "grabcut/banana1", ...}      written after the session's clicks: it is finished
    {"kind": "problem", "id": "grabcut/banana2", "reason": "..."}

`run_folder.py` reads and writes such folders. IoUs are stored in full, times to the microsecond (as milliseconds with
three decimals), so that a figure computed from the file is the figure computed while the run went on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inter2former.prompt import Click

__all__ = [
    "ClickRecord",
    "Problem",
    "Record",
    "RunHeader",
    "SessionRecord",
    "click_from_json",
    "problem_from_json",
    "record_to_json",
    "session_from_json",
    "whole_microseconds",
]


@dataclass(frozen=True, slots=True)
class RunHeader:
    """Everything that a run's figures depend on.

    Attributes:
        dataset: name of the data set.
        dataset_fingerprint: hash over the sorted hashes of its image and mask files.
        objects: number of images that the run covers, before any is left out.
        protocol: name of the protocol.
        protocol_hash: hash of its fields.
        segmenter: what was measured, such as "inter2former-t".
        weights_hash: of the weights file, "" where there is none.
        settings: what else shapes the result: clicks, clicker, seeds, working size, and the shard of several.
        versions: of Python, inter2former and the libraries.
        cpu: the processor's name.
        threads: threads per process; they shape the last bits of the logits.
        workers: processes; 0 where merged runs differed.
    """

    dataset: str
    dataset_fingerprint: str
    objects: int
    protocol: str
    protocol_hash: str
    segmenter: str
    weights_hash: str
    settings: Mapping[str, object]
    versions: Mapping[str, str]
    cpu: str
    threads: int
    workers: int


@dataclass(frozen=True, slots=True)
class ClickRecord:
    """One click and the mask after it.

    Attributes:
        click: in pixels of the original image.
        iou: of the mask with the object, ignored pixels left out.
        boundary_iou: of the two boundaries, see `metrics.boundary_iou`.
        seconds: from the call of `Segmenter.step` to the mask at original size; whole microseconds.
        contradicted: how many of the clicks so far the network's own answer went against, before the mask was mended.
        contradicts_last: whether this click is among them.
    """

    click: Click
    iou: float
    boundary_iou: float
    seconds: float
    contradicted: int = 0
    contradicts_last: bool = False


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """All clicks on one object by one simulated user.

    Attributes:
        id: of the sample.
        seed: of the simulated user, 0 where the clicker draws nothing.
        image: path of the image file, relative to the data set's folder where it lies inside.
        size: width and height of the image in pixels.
        clicks: oldest first; fewer than asked for where the mask had no error left, or the protocol stops early.
        encode_seconds: what `Segmenter.encode` took, 0 where the image was encoded for an earlier session.
        overhead_seconds: what the simulation of the clicks and the metrics took.
        mask: the last mask as COCO compressed run lengths (column by column), "" where there was no click.
        target: the object, likewise.
        peak_bytes: greatest resident memory of the process so far.
        index: place of the image in the data set, from 0; shards of one data set are joined by it.
        read_seconds: what reading the image and its masks took, 0 where an earlier session had read them.
    """

    id: str
    seed: int
    image: str
    size: tuple[int, int]
    clicks: tuple[ClickRecord, ...]
    encode_seconds: float
    overhead_seconds: float = 0.0
    mask: str = field(default="", repr=False)
    target: str = field(default="", repr=False)
    peak_bytes: int = 0
    index: int = 0
    read_seconds: float = 0.0

    def ious(self, length: int) -> NDArray[np.float64]:
        """IoU after each of `length` clicks; after a mask without error it stays as it is."""
        return _extended([record.iou for record in self.clicks], length)

    def boundary_ious(self, length: int) -> NDArray[np.float64]:
        """Boundary IoU after each of `length` clicks, extended in the same way."""
        return _extended([record.boundary_iou for record in self.clicks], length)


@dataclass(frozen=True, slots=True)
class Problem:
    """An object or image that could not be evaluated.

    Attributes:
        id: of the sample or image.
        reason: one sentence that names the file.
        index: place of the image in the data set, from 0.
    """

    id: str
    reason: str
    index: int = 0


Record: TypeAlias = SessionRecord | Problem
"""What a run yields for each session, or for what could not become one."""


def whole_microseconds(seconds: float) -> float:
    """Round a time to what the records keep."""
    return round(seconds, 6)


def record_to_json(record: Record) -> list[dict[str, Any]]:
    """The lines of a record: for a session its clicks and then itself."""
    if isinstance(record, Problem):
        return [{"kind": "problem", "id": record.id, "reason": record.reason, "index": record.index}]
    clicks = [_click_to_json(record, number, entry) for number, entry in enumerate(record.clicks, start=1)]
    session = {
        "kind": "session",
        "id": record.id,
        "seed": record.seed,
        "index": record.index,
        "image": record.image,
        "size": list(record.size),
        "clicks": len(record.clicks),
        "read_ms": _milliseconds(record.read_seconds),
        "encode_ms": _milliseconds(record.encode_seconds),
        "overhead_ms": _milliseconds(record.overhead_seconds),
        "peak_bytes": record.peak_bytes,
        "mask": record.mask,
        "target": record.target,
    }
    return [*clicks, session]


def click_from_json(line: Mapping[str, Any]) -> ClickRecord:
    """Read a line of kind "click".

    Raises:
        KeyError, TypeError: a field is missing or of another type.
    """
    return ClickRecord(
        click=Click(line["x"], line["y"], line["positive"]),
        iou=line["iou"],
        boundary_iou=line["boundary_iou"],
        seconds=_seconds(line["ms"]),
        contradicted=line["contradicted"],
        contradicts_last=line["contradicts_last"],
    )


def session_from_json(line: Mapping[str, Any], clicks: tuple[ClickRecord, ...]) -> SessionRecord:
    """Read a line of kind "session", given the clicks of the lines before it.

    Raises:
        KeyError, TypeError: a field is missing or of another type.
        ValueError: the session had another number of clicks.
    """
    if line["clicks"] != len(clicks):
        raise ValueError(f"the session {line['id']} has {line['clicks']} clicks, but {len(clicks)} stand before it")
    width, height = line["size"]
    return SessionRecord(
        id=line["id"],
        seed=line["seed"],
        image=line["image"],
        size=(width, height),
        clicks=clicks,
        encode_seconds=_seconds(line["encode_ms"]),
        overhead_seconds=_seconds(line["overhead_ms"]),
        mask=line["mask"],
        target=line["target"],
        peak_bytes=line["peak_bytes"],
        index=line["index"],
        read_seconds=_seconds(line["read_ms"]),
    )


def problem_from_json(line: Mapping[str, Any]) -> Problem:
    """Read a line of kind "problem".

    Raises:
        KeyError: a field is missing.
    """
    return Problem(line["id"], line["reason"], line["index"])


def _click_to_json(session: SessionRecord, number: int, entry: ClickRecord) -> dict[str, Any]:
    return {
        "kind": "click",
        "session": session.id,
        "seed": session.seed,
        "number": number,
        "x": entry.click.x,
        "y": entry.click.y,
        "positive": entry.click.positive,
        "iou": entry.iou,
        "boundary_iou": entry.boundary_iou,
        "ms": _milliseconds(entry.seconds),
        "contradicted": entry.contradicted,
        "contradicts_last": entry.contradicts_last,
    }


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 3)


def _seconds(milliseconds: float) -> float:
    return whole_microseconds(milliseconds / 1000)


def _extended(values: list[float], length: int) -> NDArray[np.float64]:
    last = values[-1] if values else 0.0
    return np.array((values + [last] * length)[:length], dtype=np.float64)
