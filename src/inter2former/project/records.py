"""What a project knows about an image, as frozen values and as JSON: objects, their masks, and the one in work."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args

from inter2former.prompt import MaskPrompt, Prompt, prompt_from_json, prompt_to_json

__all__ = [
    "SCHEMA",
    "Draft",
    "ImageRecord",
    "Label",
    "ObjectRecord",
    "Status",
    "label_from_json",
    "label_to_json",
    "object_from_json",
    "object_to_json",
    "record_from_json",
    "record_to_json",
]

SCHEMA = 1
"""Version of all files of a project folder that this package writes."""

Status: TypeAlias = Literal["open", "done", "skipped"]
Attributes: TypeAlias = Mapping[str, Any]

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_Value = TypeVar("_Value", bool, int, str)


@dataclass(frozen=True, slots=True)
class Label:
    """A class of objects.

    Attributes:
        id: number by which objects name it, >= 1; never given to another label.
        name: what a person reads; different from all others.
        colour: #rrggbb, lower case.

    Raises:
        ValueError: a value out of range.
    """

    id: int
    name: str
    colour: str

    def __post_init__(self) -> None:
        """Check the values."""
        if self.id < 1 or not self.name.strip() or not _COLOUR.fullmatch(self.colour):
            raise ValueError(
                f"label {self.id} is {self.name!r} in {self.colour!r}; wanted a number from 1 on, a name, and a colour "
                "such as #1e90ff"
            )


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """One object of an image.

    Attributes:
        id: its number in the image, >= 1; never given to another object of the image.
        label: id of its label; None: not labelled.
        mask: at the original image's size.
        prompts: what led to the mask, oldest first; none where the mask came from elsewhere.
        visible: whether it is shown.
        locked: whether it is kept from being changed.
        created: UTC, such as 2026-11-21T10:15:30.123Z.
        modified: likewise.
        attributes: anything else, for other programs; plain JSON.
    """

    id: int
    label: int | None
    mask: MaskPrompt
    prompts: tuple[Prompt, ...]
    visible: bool
    locked: bool
    created: str
    modified: str
    attributes: Attributes = field(default_factory=dict)

    @property
    def start(self) -> tuple[Prompt, ...]:
        """The prompts with which a session takes the object up again: its own, or its mask."""
        return self.prompts or (self.mask,)


@dataclass(frozen=True, slots=True)
class Draft:
    """The object that a person is working on and has not committed.

    Attributes:
        object: id of the object that is being refined; None: a new one.
        label: id of its label; None: not labelled.
        prompts: in force, oldest first.
        undone: what redo gives again, the next one first.
    """

    object: int | None
    label: int | None
    prompts: tuple[Prompt, ...] = ()
    undone: tuple[Prompt, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image of a project.

    Attributes:
        path: of the image file below the folder of the images, with forward slashes.
        width: columns of the upright image.
        height: rows of the upright image.
        sha256: of the file's content, in hexadecimal; None: not known.
        bytes: size of the file; None: not known.
        status: "open", "done" or "skipped".
        objects: from the back to the front.
        next_object: the number that the next new object gets.
        draft: the object that is being worked on; None: none.
        revision: number of the last journal entry that is part of this.
        created: UTC, such as 2026-11-21T10:15:30.123Z.
        modified: likewise.
        attributes: anything else, for other programs; plain JSON.
    """

    path: str
    width: int
    height: int
    sha256: str | None
    bytes: int | None
    status: Status
    objects: tuple[ObjectRecord, ...]
    next_object: int
    draft: Draft | None
    revision: int
    created: str
    modified: str
    attributes: Attributes = field(default_factory=dict)

    def object(self, number: int) -> ObjectRecord:
        """The object of this number.

        Raises:
            ValueError: there is none.
        """
        for found in self.objects:
            if found.id == number:
                return found
        raise ValueError(f"{self.path} has no object {number}; it has {sorted(o.id for o in self.objects)}")


def label_to_json(label: Label) -> dict[str, Any]:
    """Write a label as plain data."""
    return {"id": label.id, "name": label.name, "colour": label.colour}


def label_from_json(value: object) -> Label:
    """Read a label.

    Raises:
        ValueError: something else, named in the message.
    """
    found = _mapping(value, "a label", {"id", "name", "colour"})
    return Label(_get(found, "id", int), _get(found, "name", str), _get(found, "colour", str))


def object_to_json(item: ObjectRecord) -> dict[str, Any]:
    """Write an object as plain data."""
    return {
        "id": item.id,
        "label": item.label,
        "visible": item.visible,
        "locked": item.locked,
        "created": item.created,
        "modified": item.modified,
        "attributes": dict(item.attributes),
        "prompts": [prompt_to_json(prompt) for prompt in item.prompts],
        "mask": _mask_to_json(item.mask),
    }


def object_from_json(value: object) -> ObjectRecord:
    """Read an object.

    Raises:
        ValueError: something else, named in the message.
    """
    names = {"id", "label", "visible", "locked", "created", "modified", "attributes", "prompts", "mask"}
    found = _mapping(value, "an object", names)
    return ObjectRecord(
        id=_positive(found, "id"),
        label=_optional(found, "label", int),
        mask=_mask_from_json(found.get("mask")),
        prompts=_prompts(found, "prompts"),
        visible=_get(found, "visible", bool),
        locked=_get(found, "locked", bool),
        created=_get(found, "created", str),
        modified=_get(found, "modified", str),
        attributes=_mapping(found.get("attributes", {}), "attributes"),
    )


def record_to_json(record: ImageRecord) -> dict[str, Any]:
    """Write what is known about an image as plain data."""
    draft = record.draft
    return {
        "schema": SCHEMA,
        "image": {
            "path": record.path,
            "width": record.width,
            "height": record.height,
            "sha256": record.sha256,
            "bytes": record.bytes,
        },
        "status": record.status,
        "revision": record.revision,
        "created": record.created,
        "modified": record.modified,
        "attributes": dict(record.attributes),
        "next_object": record.next_object,
        "draft": None
        if draft is None
        else {
            "object": draft.object,
            "label": draft.label,
            "prompts": [prompt_to_json(prompt) for prompt in draft.prompts],
            "undone": [prompt_to_json(prompt) for prompt in draft.undone],
        },
        "objects": [object_to_json(item) for item in record.objects],
    }


def record_from_json(value: object) -> ImageRecord:
    """Read what is known about an image; of the present schema, see `inter2former.project.migrate` for older ones.

    Raises:
        ValueError: something else, named in the message.
    """
    names = {"schema", "image", "status", "revision", "created", "modified", "attributes", "next_object", "draft"}
    found = _mapping(value, "an image's file", names | {"objects"})
    image = _mapping(found.get("image"), "image", {"path", "width", "height", "sha256", "bytes"})
    objects = tuple(object_from_json(item) for item in _list(found, "objects"))
    record = ImageRecord(
        path=_get(image, "path", str),
        width=_positive(image, "width"),
        height=_positive(image, "height"),
        sha256=_optional(image, "sha256", str),
        bytes=_optional(image, "bytes", int),
        status=_status(found.get("status")),
        objects=objects,
        next_object=max([_positive(found, "next_object"), *(item.id + 1 for item in objects)]),
        draft=_draft(found.get("draft")),
        revision=_get(found, "revision", int),
        created=_get(found, "created", str),
        modified=_get(found, "modified", str),
        attributes=_mapping(found.get("attributes", {}), "attributes"),
    )
    _check_objects(record)
    return record


def _check_objects(record: ImageRecord) -> None:
    if len({item.id for item in record.objects}) < len(record.objects):
        raise ValueError(f"two objects have the same id among {[item.id for item in record.objects]}")
    for item in record.objects:
        if (item.mask.width, item.mask.height) != (record.width, record.height):
            raise ValueError(
                f"the mask of object {item.id} is {item.mask.width}x{item.mask.height}, the image is "
                f"{record.width}x{record.height}"
            )


def _status(value: object) -> Status:
    for status in get_args(Status):
        if value == status:
            return cast(Status, status)
    raise ValueError(f"status is {value!r:.80}; wanted one of {', '.join(get_args(Status))}")


def _draft(value: object) -> Draft | None:
    if value is None:
        return None
    found = _mapping(value, "draft", {"object", "label", "prompts", "undone"})
    return Draft(
        _optional(found, "object", int),
        _optional(found, "label", int),
        _prompts(found, "prompts"),
        _prompts(found, "undone"),
    )


def _mask_to_json(mask: MaskPrompt) -> dict[str, Any]:
    return {"size": [mask.height, mask.width], "counts": mask.counts}


def _mask_from_json(value: object) -> MaskPrompt:
    found = _mapping(value, "mask", {"size", "counts"})
    mask = prompt_from_json({"type": "mask", **found})
    assert isinstance(mask, MaskPrompt)
    return mask


def _prompts(found: Mapping[str, Any], name: str) -> tuple[Prompt, ...]:
    return tuple(prompt_from_json(prompt) for prompt in _list(found, name))


def _mapping(value: object, what: str, names: set[str] | None = None) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} is {value!r:.80}; wanted an object")
    if names is not None and (unknown := sorted(set(value) - names)):
        raise ValueError(f"{what} has the unknown name {unknown[0]!r:.80}; put what is yours under attributes")
    return value


def _list(found: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = found.get(name)
    if not isinstance(value, list):
        raise ValueError(f"{name} is {value!r:.80}; wanted a list")
    return value


def _get(found: Mapping[str, Any], name: str, kind: type[_Value]) -> _Value:
    value = found.get(name)
    if type(value) is not kind:
        raise ValueError(f"{name} is {value!r:.80}; wanted {kind.__name__}")
    return value


def _positive(found: Mapping[str, Any], name: str) -> int:
    if (value := _get(found, name, int)) < 1:
        raise ValueError(f"{name} is {value}; it must be at least 1")
    return value


def _optional(found: Mapping[str, Any], name: str, kind: type[_Value]) -> _Value | None:
    return None if found.get(name) is None else _get(found, name, kind)
