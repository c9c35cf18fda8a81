"""What the server says to a page, as typed values and as frames; docs/annotator-protocol.md is the text."""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from inter2former.project.records import Label, Status
from inter2former.prompt import MaskPrompt, Prompt, prompt_to_json
from inter2former.web.runs import WireBox

__all__ = [
    "PROTOCOL",
    "Answer",
    "Done",
    "Hello",
    "Labels",
    "Message",
    "Objects",
    "Overview",
    "Picture",
    "Problem",
    "Progress",
    "Refused",
    "WireMask",
    "draft_prompts",
    "frame",
]

PROTOCOL = 1
"""Version of the conversation; a page of another one is told to reload."""


@dataclass(frozen=True, slots=True)
class WireMask:
    """Where a mask changed; the runs follow the message, see `inter2former.web.runs.pack_runs`.

    Attributes:
        object: number of the object; None: the one in work.
        fresh: whether the mask was empty before; otherwise it stays as it is outside the box.
        box: left, top, right, bottom; None: nothing changed, or with `fresh`: nothing is set.
        bytes: how many of the bytes after the message belong to it.
    """

    object: int | None
    fresh: bool
    box: WireBox | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message to a page."""

    type: ClassVar[str] = "hello"
    protocol: int
    version: str
    project: str
    labels: Sequence[Label]
    images: int
    first: str | None
    ready: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """An image is open: its size, objects and object in work; `masks` of all of them.

    Attributes:
        key: part of the URL of its tiles; another content has another key.
        size: working size of the network in pixels.
        kept: whether this page's object in work is kept in the project at every click.
    """

    type: ClassVar[str] = "image"
    path: str
    key: str
    width: int
    height: int
    tile: int
    levels: int
    size: int
    status: Status
    objects: Sequence[Mapping[str, Any]]
    draft: Mapping[str, Any] | None
    kept: bool
    masks: Sequence[WireMask]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an image is: stage "read", "wait", "load", "resize", "embed" or "ready", share 0..1 of it."""

    type: ClassVar[str] = "progress"
    path: str
    stage: str
    share: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The object in work as it is now.

    Attributes:
        draft: object, label, `working`, `keep` (how many prompts of the page's list stay), `add` (those that follow
            them), `undone` (how many redo would give).
        pending: how many of the prompts the mask does not know yet.
        score: 0..1, see `inter2former.session.prediction.Prediction`.
        fine: whether the mask was drawn anew at the image's own resolution.
        seconds: of the network, for this prompt.
        waited: seconds from the arrival of the last move that asked for it until the network began; 0: it did not.
        elapsed: seconds from that arrival until this answer; 0: no move asked for it.
    """

    type: ClassVar[str] = "answer"
    path: str
    draft: Mapping[str, Any] | None
    pending: int
    score: float
    area: int
    fine: bool
    seconds: float
    waited: float
    elapsed: float
    kept: bool
    history: tuple[int, int]
    masks: Sequence[WireMask]


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of the open image as they are now; `masks` of those that changed."""

    type: ClassVar[str] = "objects"
    path: str
    status: Status
    objects: Sequence[Mapping[str, Any]]
    history: tuple[int, int]
    masks: Sequence[WireMask]


@dataclass(frozen=True, slots=True)
class Labels:
    """All labels as they are now."""

    type: ClassVar[str] = "labels"
    labels: Sequence[Label]


@dataclass(frozen=True, slots=True)
class Overview:
    """An image of the list as it is now."""

    type: ClassVar[str] = "overview"
    path: str
    state: str
    status: Status | None
    objects: int
    draft: bool


@dataclass(frozen=True, slots=True)
class Done:
    """A move happened; `saved`: and is on the disk."""

    type: ClassVar[str] = "done"
    id: int
    saved: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A move did not happen, and why."""

    type: ClassVar[str] = "refused"
    id: int
    move: str
    why: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something went wrong that no move asked for."""

    type: ClassVar[str] = "problem"
    why: str
    path: str | None = None


Message: TypeAlias = Hello | Picture | Progress | Answer | Objects | Labels | Overview | Done | Refused | Problem
"""What the server says to a page."""


def frame(message: Message, payload: Sequence[bytes] = ()) -> str | bytes:
    """Write a message for the socket.

    Args:
        message: of the server.
        payload: the runs of its masks, in their order.
    Returns:
        JSON text; with a payload bytes: the length of the JSON as 32 bits, little-endian, the JSON, the payload.
    """
    head = json.dumps({"type": message.type, **dataclasses.asdict(message)}, ensure_ascii=False)
    if not payload:
        return head
    encoded = head.encode("utf-8")
    return b"".join((struct.pack("<I", len(encoded)), encoded, *payload))


def draft_prompts(prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    """The prompts as a page draws them; of a given mask only that there is one."""
    return [{"type": "mask"} if isinstance(prompt, MaskPrompt) else prompt_to_json(prompt) for prompt in prompts]
