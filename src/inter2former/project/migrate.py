"""Files of older schemas become files of the present one, in memory; they are written anew when something changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from inter2former.errors import ProjectError
from inter2former.project.records import SCHEMA

__all__ = ["migrate_project", "migrate_record"]

_EPOCH = "1970-01-01T00:00:00.000Z"
_PALETTE = ("#1e90ff", "#ff8c00", "#2e8b57", "#dc143c", "#8a2be2", "#20b2aa", "#c71585", "#808000")

Step = Callable[[Mapping[str, Any], Mapping[str, int]], dict[str, Any]]


def migrate_project(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Bring the content of a project.json to the present schema.

    Args:
        value: the content.
        name: of the file, for messages.
    Returns:
        the content itself where it is of the present schema.
    Raises:
        ProjectError: no schema, or one from the future.
    """
    return _migrated(value, name, {}, {0: _project_from_0})


def migrate_record(value: Mapping[str, Any], name: str, labels: Mapping[str, int]) -> Mapping[str, Any]:
    """Bring the content of an image's file to the present schema.

    Args:
        value: the content.
        name: of the file, for messages.
        labels: id of each label by name; schema 0 had names only.
    Returns:
        the content itself where it is of the present schema.
    Raises:
        ProjectError: no schema, or one from the future.
    """
    return _migrated(value, name, labels, {0: _record_from_0})


def _migrated(
    value: Mapping[str, Any], name: str, labels: Mapping[str, int], steps: Mapping[int, Step]
) -> Mapping[str, Any]:
    schema = value.get("schema")
    if type(schema) is not int or not 0 <= schema <= SCHEMA:
        raise ProjectError(
            f"{name}: has schema {schema!r:.40}; this version reads 0 to {SCHEMA}: "
            "open it with the version that made it, or a later one"
        )
    for version in range(schema, SCHEMA):
        try:
            value = steps[version](value, labels)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ProjectError(
                f"{name}: is damaged or no file of schema {version} ({error!r:.80}); put back a good copy"
            ) from error
    return value


def _project_from_0(value: Mapping[str, Any], _: Mapping[str, int]) -> dict[str, Any]:
    """Schema 0: labels were names without colours, nothing was said about the journal."""
    return {
        "schema": 1,
        "created": _EPOCH,
        "modified": _EPOCH,
        "images": {"folder": value["images"], "files": None},
        "labels": [
            {"id": number, "name": label, "colour": _PALETTE[(number - 1) % len(_PALETTE)]}
            for number, label in enumerate(value["labels"], 1)
        ],
        "settings": {},
        "attributes": {},
        "journal": {"seq": 0, "bytes": 0},
    }


def _record_from_0(value: Mapping[str, Any], labels: Mapping[str, int]) -> dict[str, Any]:
    """Schema 0: only clicks, as [x, y, 1 or 0]; labels by name; no hash of the image."""
    width, height = value["size"]
    return {
        "schema": 1,
        "image": {"path": value["file"], "width": width, "height": height, "sha256": None, "bytes": None},
        "status": "open",
        "revision": 0,
        "created": _EPOCH,
        "modified": _EPOCH,
        "attributes": {},
        "next_object": len(value["objects"]) + 1,
        "draft": None,
        "objects": [
            {
                "id": number,
                "label": labels[item["label"]],
                "visible": True,
                "locked": False,
                "created": _EPOCH,
                "modified": _EPOCH,
                "attributes": {},
                "prompts": [
                    {"type": "click", "x": x, "y": y, "positive": positive == 1} for x, y, positive in item["clicks"]
                ],
                "mask": {"size": [height, width], "counts": item["mask"]},
            }
            for number, item in enumerate(value["objects"], 1)
        ],
    }
