"""Evaluation protocols: one frozen value whose fields are the points on which published implementations disagree.

Click counts of two papers can be compared only where all of these agree. `STRICT` is this project's own; the others
repeat what the code of RITM (and its descendants SimpleClick, CFR and ClickSEG), SegNext and Inter2Former does. One
more point is no choice of a protocol: library versions change figures too, so each run's header records them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

from inter2former.clicks.simulate import ClickRule

__all__ = [
    "INTER2FORMER",
    "PROTOCOLS",
    "RITM",
    "SEGNEXT",
    "STRICT",
    "Protocol",
    "explain",
    "protocol_fields",
    "protocol_hash",
    "protocol_named",
]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How clicks are simulated, masks compared and figures counted; `explain` says what each value means.

    Attributes:
        clicked_pixels: when pixels clicked earlier leave the error regions.
        tie_break: which of several deepest pixels is clicked.
        impossible_click: what happens where no error is left to click on.
        ignored_in_clicks: what an ignored pixel is to the simulated user.
        ignored_in_iou: what it is to IoU and boundary IoU.
        threshold: probability above which a pixel belongs to the mask, strictly between 0 and 1.
        flip: whether the answers for the image and its mirror image are averaged.
        zoom: which part of the image the segmenter is given.
        ground_truth: which masks are the truth.
        objects: what one session is about.
        stop_at_iou: the session ends once the IoU is at least this; None: never.
        curve: how sessions that ended early enter the mean IoU per click.
        failures: which objects count as failed.
        time: what the time per click divides by the number of clicks.
        comparison: the size at which masks are compared.
        boundary_width: of boundary IoU, as a part of the image diagonal, > 0.

    Raises:
        ValueError: a word that no field knows, or a number out of range.
    """

    clicked_pixels: Literal["after", "before"] = "after"
    tie_break: Literal["raster", "random"] = "raster"
    impossible_click: Literal["end", "corner"] = "end"
    ignored_in_clicks: Literal["left out", "background"] = "left out"
    ignored_in_iou: Literal["left out", "background"] = "left out"
    threshold: float = 0.5
    flip: bool = False
    zoom: Literal["whole image"] = "whole image"
    ground_truth: Literal["as given"] = "as given"
    objects: Literal["each", "union"] = "each"
    stop_at_iou: float | None = None
    curve: Literal["extended", "shortest"] = "extended"
    failures: Literal["never reached", "not before the last click"] = "never reached"
    time: Literal["segmenter", "session"] = "segmenter"
    comparison: Literal["original size"] = "original size"
    boundary_width: float = 0.02

    def __post_init__(self) -> None:
        """Refuse unknown words and numbers out of range."""
        for name, hint in get_type_hints(Protocol).items():
            words = [word for word in get_args(hint) if isinstance(word, str)]
            if words and getattr(self, name) not in words:
                expected = " or ".join(repr(word) for word in words)
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected {expected}")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold is {self.threshold}; it must lie between 0 and 1")
        if self.stop_at_iou is not None and not 0 < self.stop_at_iou <= 1:
            raise ValueError(f"stop_at_iou is {self.stop_at_iou}; it must be in (0, 1], or None")
        if not self.boundary_width > 0:
            raise ValueError(f"boundary_width is {self.boundary_width}; it must be > 0")

    @property
    def click_rule(self) -> ClickRule:
        """The simulated user's rule."""
        return ClickRule(self.clicked_pixels, self.tie_break)

    @property
    def logit_threshold(self) -> float:
        """Mask logit above which a pixel belongs to the mask; exactly 0 for probability 0.5."""
        return math.log(self.threshold / (1 - self.threshold))


STRICT = Protocol()
RITM = Protocol(
    impossible_click="corner",
    threshold=0.49,
    flip=True,
    stop_at_iou=0.95,
    curve="shortest",
    failures="not before the last click",
    time="session",
)
SEGNEXT = dataclasses.replace(RITM, flip=False)
INTER2FORMER = Protocol(
    clicked_pixels="before", tie_break="random", ignored_in_clicks="background", ignored_in_iou="background"
)

PROTOCOLS: Mapping[str, Protocol] = {"strict": STRICT, "ritm": RITM, "segnext": SEGNEXT, "inter2former": INTER2FORMER}
"""The protocols that can be asked for by name."""


def protocol_named(name: str) -> Protocol:
    """Look a protocol up.

    Raises:
        ValueError: no protocol of that name.
    """
    try:
        return PROTOCOLS[name]
    except KeyError:
        raise ValueError(f"unknown protocol {name!r}; the protocols are {', '.join(PROTOCOLS)}") from None


def protocol_hash(protocol: Protocol) -> str:
    """A hash of all fields, the same on every machine: 16 hexadecimal digits."""
    text = json.dumps(dataclasses.asdict(protocol), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def protocol_fields(protocol: Protocol) -> tuple[tuple[str, str, str], ...]:
    """Name, value and meaning of each field, in words."""
    return tuple(
        (field.name, _shown(value := getattr(protocol, field.name)), _meaning(field.name, value))
        for field in dataclasses.fields(protocol)
    )


def explain(protocol: Protocol) -> str:
    """One line per field: name, value, meaning."""
    rows = protocol_fields(protocol)
    name_width, value_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"{name:<{name_width}}  {value:<{value_width}}  {meaning}" for name, value, meaning in rows]
    return "\n".join([*lines, "Library versions shape figures too; each run's header records them."])


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)


def _meaning(name: str, value: object) -> str:
    meaning = _MEANINGS[name]
    return meaning(value) if callable(meaning) else meaning[str(value)]


def _threshold_meaning(value: object) -> str:
    logit = Protocol(threshold=float(str(value))).logit_threshold
    return f"a pixel belongs to the mask where its probability exceeds {value}, its logit {logit:.4g}"


def _stop_meaning(value: object) -> str:
    if value is None:
        return "all clicks are made, whatever the IoU"
    return f"the session ends once the IoU is at least {value}; NoC and failures above it are not reported"


def _width_meaning(value: object) -> str:
    width = f"max(1, round({value} x diagonal))"
    return f"boundary: the mask minus its erosion by {width} steps of a 3x3 square, with background beyond the image"


_AS_BACKGROUND = "ignored pixels are background, as the rest outside the object"
_MEANINGS: Mapping[str, Mapping[str, str] | Callable[[object], str]] = {
    "clicked_pixels": {
        "after": "exact distances are measured first, then clicked pixels are passed over",
        "before": "clicked pixels leave the error regions first, so each makes a hole in the distances",
    },
    "tie_break": {
        "raster": "the first of the deepest pixels, row by row",
        "random": "any of the deepest pixels, drawn from the seed and the sample's id",
    },
    "impossible_click": {
        "end": "where no error is left the session ends, and its last IoU stands for the clicks not made",
        "corner": "where no error is left pixel (0, 0) is clicked as background",
    },
    "ignored_in_clicks": {
        "left out": "for the simulated user ignored pixels are neither object nor background",
        "background": f"for the simulated user {_AS_BACKGROUND}",
    },
    "ignored_in_iou": {
        "left out": "ignored pixels leave both masks before anything is measured, the boundaries too",
        "background": f"for IoU and boundary IoU {_AS_BACKGROUND}",
    },
    "threshold": _threshold_meaning,
    "flip": {
        "True": "the logits for the image and for its mirror image are averaged after each click",
        "False": "one answer per click; nothing is averaged",
    },
    "zoom": {
        "whole image": "the segmenter is given the whole image and resizes it itself; this loop never crops, as RITM's "
        "models do after the first click",
    },
    "ground_truth": {
        "as given": "the masks of the data set as they are; for DAVIS several exist, see the data-set fingerprint",
    },
    "objects": {
        "each": "every object of an image has its own session",
        "union": "all objects of an image together are the object of one session",
    },
    "stop_at_iou": _stop_meaning,
    "curve": {
        "extended": "mean IoU per click: a session that ended keeps its last IoU",
        "shortest": "mean IoU per click: cut off at the length of the shortest session",
    },
    "failures": {
        "never reached": "an object fails where no click reaches the IoU",
        "not before the last click": "an object also fails where only the last click reaches the IoU",
    },
    "time": {
        "segmenter": "encoding and steps of the segmenter, nothing else, divided by the clicks",
        "session": "all of it, reading, simulating and measuring too, divided by the clicks",
    },
    "comparison": {"original size": "masks are compared at the size of the original image"},
    "boundary_width": _width_meaning,
}
