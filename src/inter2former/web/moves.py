"""What a person does on a page, as typed values read from its messages; docs/annotator-protocol.md is the text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from inter2former.project.records import Status
from inter2former.prompt import Prompt, prompt_from_json
from inter2former.web.limits import Limits

__all__ = [
    "Commit",
    "Discard",
    "Edit",
    "Move",
    "Open",
    "Order",
    "Prompted",
    "Redo",
    "Relabel",
    "Remove",
    "Reopen",
    "SetLabels",
    "SetStatus",
    "Undo",
    "move_id",
    "read_move",
]

_LONGEST_TEXT = 200
_Value = TypeVar("_Value", bool, int, str)


@dataclass(frozen=True, slots=True)
class Open:
    """Show an image; `accept`: even though its file is another one than was annotated."""

    path: str
    accept: bool = False


@dataclass(frozen=True, slots=True)
class Prompted:
    """One more prompt on the object in work, or the first on a new one."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Undo:
    """Take the last prompt back; where there is none, the last change of an object."""


@dataclass(frozen=True, slots=True)
class Redo:
    """Give again what was taken back last."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The object in work is finished; `status`: so is the image."""

    status: Status | None = None


@dataclass(frozen=True, slots=True)
class Discard:
    """The object in work is given up."""


@dataclass(frozen=True, slots=True)
class Relabel:
    """The object in work, and those begun from now on, have this label."""

    label: int | None


@dataclass(frozen=True, slots=True)
class Reopen:
    """Take an object up again, with its own prompts."""

    object: int


@dataclass(frozen=True, slots=True)
class Edit:
    """Something else about an object changes: any of `label`, `visible`, `locked`."""

    object: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove an object."""

    object: int


@dataclass(frozen=True, slots=True)
class Order:
    """The objects lie in this order, from the back to the front."""

    objects: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SetStatus:
    """The image is open, done or skipped."""

    status: Status


@dataclass(frozen=True, slots=True)
class SetLabels:
    """All labels in the order of their keys: (id or None for a new one, name, colour)."""

    labels: tuple[tuple[int | None, str, str], ...]


Move: TypeAlias = (
    Open | Prompted | Undo | Redo | Commit | Discard | Relabel | Reopen | Edit | Remove | Order | SetStatus | SetLabels
)
"""What a person does on a page."""


def move_id(text: str) -> int:
    """The number of a message that could not be read as a move, as far as it has one; otherwise -1."""
    try:
        value = json.loads(text)
        return value["id"] if isinstance(value, dict) and type(value.get("id")) is int else -1
    except (ValueError, RecursionError):
        return -1


def read_move(text: str, limits: Limits) -> tuple[int, str, str | None, Move]:
    """Read a page's message.

    Args:
        text: JSON with `id`, a number that the answer repeats, `type`, what the move needs, and `path`, the image that
            it is meant for.
        limits: on what it may hold.
    Returns:
        the number, the type, the path if there is one, and the move.
    Raises:
        ValueError: something else, named in the message.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the message is no JSON ({error!s:.80})") from error
    if not isinstance(value, dict):
        raise ValueError("the message is no JSON object")
    reader = _Reader(value)
    number, kind = reader.get("id", int), reader.get("type", str)
    read = _READ.get(kind)
    if read is None:
        raise ValueError(f"there is no move {kind!r:.40}; wanted one of {', '.join(_READ)}")
    return number, kind, reader.optional("path", str), read(reader, limits)


class _Reader:
    """The values of a message, each checked when it is taken."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def get(self, name: str, kind: type[_Value]) -> _Value:
        value = self.values.get(name)
        if type(value) is not kind:
            raise ValueError(f"{name} is {value!r:.80}; wanted {kind.__name__}")
        return value

    def optional(self, name: str, kind: type[_Value]) -> _Value | None:
        return None if self.values.get(name) is None else self.get(name, kind)

    def items(self, name: str) -> list[Any]:
        value = self.values.get(name)
        if not isinstance(value, list):
            raise ValueError(f"{name} is {value!r:.80}; wanted a list")
        return value


def _prompted(reader: _Reader, limits: Limits) -> Prompted:
    value = reader.values.get("prompt")
    corners = value.get("points") if isinstance(value, dict) else None
    if isinstance(corners, list) and len(corners) > limits.corners:
        raise ValueError(f"the line has {len(corners)} corners; at most {limits.corners} are taken, draw it in parts")
    try:
        return Prompted(prompt_from_json(value))
    except (TypeError, OverflowError) as error:
        raise ValueError(f"the prompt cannot be read ({error!s:.80})") from error


def _edit(reader: _Reader, limits: Limits) -> Edit:
    values = reader.values.get("values")
    kinds: dict[str, type[Any]] = {"label": int, "visible": bool, "locked": bool}
    if not isinstance(values, dict) or not values or not set(values) <= set(kinds):
        raise ValueError(f"values is {values!r:.80}; wanted any of {', '.join(kinds)}")
    for name, value in values.items():
        if type(value) is not kinds[name] and not (name == "label" and value is None):
            raise ValueError(f"{name} is {value!r:.80}; wanted {kinds[name].__name__}")
    return Edit(reader.get("object", int), values)


def _order(reader: _Reader, limits: Limits) -> Order:
    objects = reader.items("objects")
    if not all(type(number) is int for number in objects):
        raise ValueError(f"objects is {objects!r:.80}; wanted numbers")
    return Order(tuple(objects))


def _status(reader: _Reader, name: str = "status") -> Status:
    match reader.values.get(name):
        case "open" | "done" | "skipped" as status:
            return status
        case other:
            raise ValueError(f"{name} is {other!r:.80}; wanted open, done or skipped")


def _labels(reader: _Reader, limits: Limits) -> SetLabels:
    labels = []
    for item in reader.items("labels"):
        if not isinstance(item, dict):
            raise ValueError(f"a label is {item!r:.80}; wanted an object")
        one = _Reader(item)
        labels.append((one.optional("id", int), one.get("name", str)[:_LONGEST_TEXT].strip(), one.get("colour", str)))
    if len(labels) > limits.labels:
        raise ValueError(f"there are {len(labels)} labels; at most {limits.labels} are taken")
    return SetLabels(tuple(labels))


_READ: dict[str, Callable[[_Reader, Limits], Move]] = {
    "open": lambda reader, _: Open(reader.get("path", str), reader.optional("accept", bool) or False),
    "prompt": _prompted,
    "undo": lambda *_: Undo(),
    "redo": lambda *_: Redo(),
    "commit": lambda reader, _: Commit(None if reader.values.get("status") is None else _status(reader)),
    "discard": lambda *_: Discard(),
    "label": lambda reader, _: Relabel(reader.optional("label", int)),
    "reopen": lambda reader, _: Reopen(reader.get("object", int)),
    "edit": _edit,
    "remove": lambda reader, _: Remove(reader.get("object", int)),
    "order": _order,
    "status": lambda reader, _: SetStatus(_status(reader)),
    "labels": _labels,
}
