"""What can happen to an image of a project, as values for the journal, and what it does to the image's record.

The same function makes the present state while a person works and makes it again after a crash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from inter2former.project.records import (
    Draft,
    ImageRecord,
    ObjectRecord,
    Status,
    object_from_json,
    object_to_json,
    record_from_json,
    record_to_json,
)
from inter2former.prompt import Prompt, prompt_from_json, prompt_to_json

__all__ = [
    "Change",
    "apply_change",
    "begin_draft",
    "commit_object",
    "discard_draft",
    "edit_object",
    "give_prompt",
    "identify_image",
    "order_objects",
    "put_object",
    "redo_prompt",
    "remove_object",
    "set_attributes",
    "set_status",
    "undo_prompt",
]

Change = dict[str, Any]
"""`change` says what happens; the other names are those of the functions below that make it."""


def identify_image(width: int, height: int, sha256: str | None, size: int | None) -> Change:
    """The image is this file: its upright size in pixels, the hash of its content and its size in bytes."""
    return {"change": "identify", "width": width, "height": height, "sha256": sha256, "bytes": size}


def begin_draft(
    object: int | None, label: int | None, prompts: Sequence[Prompt] = (), undone: Sequence[Prompt] = ()
) -> Change:
    """Work begins on a new object, or on the one of this number; or goes on from other prompts at once."""
    return {
        "change": "draft",
        "object": object,
        "label": label,
        "prompts": [prompt_to_json(prompt) for prompt in prompts],
        "undone": [prompt_to_json(prompt) for prompt in undone],
    }


def give_prompt(prompt: Prompt) -> Change:
    """One more prompt on the draft."""
    return {"change": "prompt", "prompt": prompt_to_json(prompt)}


def undo_prompt() -> Change:
    """The last prompt of the draft is taken back."""
    return {"change": "undo"}


def redo_prompt() -> Change:
    """The prompt that was taken back last is given again."""
    return {"change": "redo"}


def discard_draft() -> Change:
    """The draft is given up."""
    return {"change": "discard"}


def commit_object(item: ObjectRecord) -> Change:
    """The draft becomes this object: a new one in front of all others, or in place of the one of its number."""
    return {"change": "commit", "object": object_to_json(item)}


def put_object(item: ObjectRecord) -> Change:
    """As `commit_object`, without touching the draft; such as from an import."""
    return {"change": "put", "object": object_to_json(item)}


def edit_object(object: int, values: Mapping[str, Any]) -> Change:
    """Something else about an object changes.

    Args:
        object: its number.
        values: any of `label`, `visible`, `locked`, `attributes`.
    """
    return {"change": "edit", "object": object, "values": dict(values)}


def remove_object(object: int) -> Change:
    """An object is removed."""
    return {"change": "remove", "object": object}


def order_objects(objects: Sequence[int]) -> Change:
    """The objects lie in this order, from the back to the front; all of them are named."""
    return {"change": "order", "objects": list(objects)}


def set_status(status: Status) -> Change:
    """The image is "open", "done" or "skipped"."""
    return {"change": "status", "status": status}


def set_attributes(attributes: Mapping[str, Any]) -> Change:
    """Replace all attributes of the image."""
    return {"change": "attributes", "attributes": dict(attributes)}


def apply_change(record: ImageRecord | None, change: Mapping[str, Any]) -> ImageRecord:
    """Make the next record of an image.

    Args:
        record: the present one; None: the image is new, and the change identifies it.
        change: with `seq`, its number in the journal, `time` in UTC, and `image`, the path of the image.

    Returns:
        the next one.

    Raises:
        ValueError: the change does not fit the record, or is none that this package knows.
    """
    kind = change.get("change")
    if record is None:
        if kind != "identify":
            raise ValueError(f"the first change of {change.get('image')!r} is {kind!r}; it must identify the image")
        record = _new_record(change)
    if kind not in _APPLY:
        raise ValueError(f"the change is {kind!r:.80}; wanted one of {', '.join(_APPLY)}")
    try:
        following = replace(_APPLY[kind](record, change), revision=change["seq"], modified=change["time"])
        # A change may come from a file: what it made must be readable as a file too.
        return record_from_json(record_to_json(following)) if kind in _CHECKED else following
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the change {kind!r} of {record.path} is damaged ({error!r:.80})") from error


def _new_record(change: Mapping[str, Any]) -> ImageRecord:
    time = str(change["time"])
    return ImageRecord(
        str(change["image"]), change["width"], change["height"], None, None, "open", (), 1, None, 0, time, time
    )


def _identify(record: ImageRecord, change: Mapping[str, Any]) -> ImageRecord:
    return replace(
        record, width=change["width"], height=change["height"], sha256=change["sha256"], bytes=change["bytes"]
    )


def _begin(record: ImageRecord, change: Mapping[str, Any]) -> ImageRecord:
    if change["object"] is not None:
        record.object(change["object"])
    prompts, undone = (tuple(prompt_from_json(prompt) for prompt in change[name]) for name in ("prompts", "undone"))
    return replace(record, draft=Draft(change["object"], change["label"], prompts, undone))


def _prompt(record: ImageRecord, change: Mapping[str, Any]) -> ImageRecord:
    draft = _require_draft(record)
    prompt = prompt_from_json(change["prompt"])
    return replace(record, draft=replace(draft, prompts=(*draft.prompts, prompt), undone=()))


def _undo(record: ImageRecord, change: Mapping[str, Any]) -> ImageRecord:
    draft = _require_draft(record)
    if not draft.prompts:
        raise ValueError(f"the draft of {record.path} has no prompt to undo")
    last = draft.prompts[-1]
    return replace(record, draft=replace(draft, prompts=draft.prompts[:-1], undone=(last, *draft.undone)))


def _redo(record: ImageRecord, change: Mapping[str, Any]) -> ImageRecord:
    draft = _require_draft(record)
    if not draft.undone:
        raise ValueError(f"the draft of {record.path} has no prompt to redo")
    again = draft.undone[0]
    return replace(record, draft=replace(draft, prompts=(*draft.prompts, again), undone=draft.undone[1:]))


def _discard(record: ImageRecord, change: Mapping[str, Any]) -> ImageRecord:
    return replace(record, draft=None)


def _put(record: ImageRecord, change: Mapping[str, Any]) -> ImageRecord:
    item = object_from_json(change["object"])
    if (item.mask.width, item.mask.height) != (record.width, record.height):
        raise ValueError(
            f"the mask of object {item.id} is {item.mask.width}x{item.mask.height}, {record.path} is "
            f"{record.width}x{record.height}; give both one size"
        )
    ids = [known.id for known in record.objects]
    objects = (
        tuple(item if known.id == item.id else known for known in record.objects)
        if item.id in ids
        else (*record.objects, item)
    )
    return replace(record, objects=objects, next_object=max(record.next_object, item.id + 1))


def _commit(record: ImageRecord, change: Mapping[str, Any]) -> ImageRecord:
    return replace(_put(record, change), draft=None)


def _edit(record: ImageRecord, change: Mapping[str, Any]) -> ImageRecord:
    values = change["values"]
    if unknown := sorted(set(values) - {"label", "visible", "locked", "attributes"}):
        raise ValueError(f"an object's {unknown[0]!r:.80} cannot be edited")
    edited = replace(record.object(change["object"]), modified=change["time"], **values)
    objects = tuple(edited if known.id == edited.id else known for known in record.objects)
    return replace(record, objects=objects)


def _remove(record: ImageRecord, change: Mapping[str, Any]) -> ImageRecord:
    gone = record.object(change["object"])
    draft = None if record.draft is not None and record.draft.object == gone.id else record.draft
    return replace(record, objects=tuple(known for known in record.objects if known is not gone), draft=draft)


def _order(record: ImageRecord, change: Mapping[str, Any]) -> ImageRecord:
    wanted = change["objects"]
    if sorted(wanted) != sorted(known.id for known in record.objects):
        raise ValueError(
            f"the order {wanted} of {record.path} does not name its objects "
            f"{sorted(known.id for known in record.objects)} once each"
        )
    return replace(record, objects=tuple(record.object(number) for number in wanted))


def _status(record: ImageRecord, change: Mapping[str, Any]) -> ImageRecord:
    return replace(record, status=change["status"])


def _attributes(record: ImageRecord, change: Mapping[str, Any]) -> ImageRecord:
    return replace(record, attributes=change["attributes"])


def _require_draft(record: ImageRecord) -> Draft:
    if record.draft is None:
        raise ValueError(f"{record.path} has no object in work; begin a draft first")
    return record.draft


_APPLY = {
    "identify": _identify,
    "draft": _begin,
    "prompt": _prompt,
    "undo": _undo,
    "redo": _redo,
    "discard": _discard,
    "put": _put,
    "commit": _commit,
    "edit": _edit,
    "remove": _remove,
    "order": _order,
    "status": _status,
    "attributes": _attributes,
}
# Those that take values from the change as they are; checking costs a copy, so the frequent ones check themselves.
_CHECKED = frozenset({"identify", "edit", "status", "attributes"})
