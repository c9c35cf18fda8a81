"""How objects and labels change: what a move means for the record, and what takes it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inter2former.project import changes
from inter2former.project.files import now
from inter2former.project.records import ImageRecord, Label, ObjectRecord
from inter2former.prompt import MaskPrompt
from inter2former.web import moves
from inter2former.web.desk import Desk, Step
from inter2former.web.finer import with_mask
from inter2former.web.runs import WireBox

__all__ = ["arrangement", "committed", "renewed_labels"]


def arrangement(record: ImageRecord, move: moves.Edit | moves.Remove | moves.Order) -> Step:
    """A change of stored objects, and the one that takes it back.

    Raises:
        ValueError: there is no such object, or it is locked.
    """
    order = changes.order_objects([item.id for item in record.objects])
    match move:
        case moves.Order(objects):
            return Step((order,), (changes.order_objects(objects),))
        case moves.Remove(number):
            item = _unlocked(record, number)
            return Step((changes.put_object(item), order), (changes.remove_object(number),))
        case moves.Edit(number, values):
            item = _unlocked(record, number) if "label" in values else record.object(number)
            before = {name: getattr(item, name) for name in values}
            return Step((changes.edit_object(number, before),), (changes.edit_object(number, values),))


def committed(
    desk: Desk, record: ImageRecord, before: ObjectRecord | None, mask: MaskPrompt, region: WireBox | None
) -> ObjectRecord:
    """The object in work as an object of the image: a new one, or the one that was taken up again.

    Args:
        desk: with the object in work.
        record: of the image.
        before: the object that was taken up again, if it is still there.
        mask: of the object now.
        region: in which the mask's edge was drawn; None: in the whole image.
    """
    time = now()
    if before is None:
        number = record.next_object if desk.object is None else desk.object
        before = ObjectRecord(number, desk.label, mask, (), True, False, time, time)
    prompts = () if desk.prompts == (before.mask,) and not before.prompts else desk.prompts
    return with_mask(replace(before, label=desk.label, prompts=prompts), mask, region)


def renewed_labels(known: Sequence[Label], wanted: Sequence[tuple[int | None, str, str]]) -> list[Label]:
    """The labels that a page wants; new ones get a number that no other label has.

    Args:
        known: as they are.
        wanted: id or None for a new one, name and colour of each.
    Raises:
        ValueError: a number that is not known, or a value out of range.
    """
    used = {label.id for label in known}
    following = max([0, *used]) + 1
    made = []
    for number, name, colour in wanted:
        if number is not None and number not in used:
            raise ValueError(f"there is no label {number}; a new one has no number yet")
        made.append(Label(following if number is None else number, name, colour.lower()))
        following += number is None
    return made


def _unlocked(record: ImageRecord, number: int) -> ObjectRecord:
    item = record.object(number)
    if item.locked:
        raise ValueError(f"object {number} is locked; unlock it first")
    return item
