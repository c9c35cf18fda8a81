"""What project.json says, and what an image list shows of each image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from inter2former.project.files import now
from inter2former.project.library import ImageState
from inter2former.project.records import SCHEMA, ImageRecord, Label, Status, label_from_json, label_to_json

__all__ = ["Overview", "ProjectInfo", "info_from_json", "info_to_json", "pretty"]


@dataclass(frozen=True, slots=True)
class Overview:
    """One image at a glance.

    Attributes:
        path: of the image.
        state: whether the file is there and has the known size.
        status: "open", "done" or "skipped"; None: nothing is known about it yet.
        objects: how many it has.
        draft: whether an object is being worked on.
    """

    path: str
    state: ImageState
    status: Status | None
    objects: int
    draft: bool

    @classmethod
    def of(cls, path: str, record: ImageRecord | None, state: ImageState) -> Overview:
        """Sum up a record; None: nothing is known."""
        if record is None:
            return cls(path, state, None, 0, False)
        return cls(path, state, record.status, len(record.objects), record.draft is not None)


@dataclass(frozen=True, slots=True)
class ProjectInfo:
    """The content of project.json.

    Attributes:
        images: the folder of the images, relative to the project's, with forward slashes.
        files: paths of single images below it; None: all.
        labels: in the order of their keys.
        settings: plain JSON values.
        attributes: anything else, for other programs; plain JSON.
        created: UTC.
        modified: UTC.
        seq: number of the last journal entry that all files hold.
        bytes: where in the journal the entries after it begin.

    Raises:
        ValueError: two labels have the same name or number.
    """

    images: str
    files: tuple[str, ...] | None
    labels: tuple[Label, ...]
    settings: Mapping[str, Any]
    attributes: Mapping[str, Any]
    created: str
    modified: str
    seq: int
    bytes: int

    def __post_init__(self) -> None:
        """Check the labels."""
        for values in ({label.id for label in self.labels}, {label.name for label in self.labels}):
            if len(values) < len(self.labels):
                raise ValueError("two labels have the same name or number; give each its own")

    def at(self, seq: int, size: int) -> ProjectInfo:
        """The same with all files up to this entry, which ends at this byte of the journal."""
        return replace(self, seq=seq, bytes=size)

    def changed(self, change: Mapping[str, Any]) -> ProjectInfo:
        """The same after a change of the labels or the settings.

        Raises:
            ValueError: the change is neither, or damaged.
        """
        if change.get("change") == "labels":
            labels = tuple(label_from_json(label) for label in change["labels"])
            return replace(self, labels=labels, modified=change["time"])
        if change.get("change") == "settings":
            return replace(self, settings=dict(change["settings"]), modified=change["time"])
        raise ValueError(f"the change is {change.get('change')!r:.80}; wanted labels or settings")


def info_to_json(info: ProjectInfo) -> dict[str, Any]:
    """Write project.json's content as plain data."""
    return {
        "schema": SCHEMA,
        "created": info.created,
        "modified": info.modified,
        "images": {"folder": info.images, "files": None if info.files is None else list(info.files)},
        "labels": [label_to_json(label) for label in info.labels],
        "settings": dict(info.settings),
        "attributes": dict(info.attributes),
        "journal": {"seq": info.seq, "bytes": info.bytes},
    }


def info_from_json(value: Mapping[str, Any]) -> ProjectInfo:
    """Read project.json's content, of the present schema.

    Raises:
        ValueError: something else, named in the message.
    """
    names = {"schema", "created", "modified", "images", "labels", "settings", "attributes", "journal"}
    if unknown := sorted(set(value) - names):
        raise ValueError(f"it has the unknown name {unknown[0]!r:.80}; put what is yours under attributes")
    try:
        images, journal = value["images"], value["journal"]
        files = images["files"]
        info = ProjectInfo(
            images["folder"],
            None if files is None else tuple(files),
            tuple(label_from_json(label) for label in value["labels"]),
            dict(value["settings"]),
            dict(value["attributes"]),
            value.get("created", now()),
            value.get("modified", now()),
            journal["seq"],
            journal["bytes"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{error!r:.80} is missing or of another type") from error
    if not (isinstance(images["folder"], str) and type(journal["seq"]) is int and type(journal["bytes"]) is int):
        raise ValueError("images.folder must be a text, journal.seq and journal.bytes whole numbers")
    return info


def pretty(value: Mapping[str, Any]) -> bytes:
    """Write an object as JSON with one line per name and per item of a list, so that comparing texts shows changes."""
    lines = []
    for name, part in value.items():
        if isinstance(part, list) and part:
            items = ",\n  ".join(_compact(item) for item in part)
            lines.append(f" {_compact(name)}: [\n  {items}\n ]")
        else:
            lines.append(f" {_compact(name)}: {_compact(part)}")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8")


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
