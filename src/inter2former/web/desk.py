"""One image on one page: the object in work as the person wants it, the session that follows, and what can be undone.

The prompts here are the truth of the page. They change at once; the network catches up, and the project is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from inter2former.errors import HistoryError
from inter2former.project.changes import (
    Change,
    begin_draft,
    discard_draft,
    give_prompt,
    put_object,
    redo_prompt,
    undo_prompt,
)
from inter2former.project.records import Draft, ImageRecord, ObjectRecord
from inter2former.prompt import Prompt
from inter2former.session.prediction import Prediction
from inter2former.session.region import Region
from inter2former.session.tree import Session

__all__ = ["Desk", "Step", "changes_between", "common"]

BoolArray = NDArray[np.bool_]

_LONGEST_HISTORY = 200


@dataclass(frozen=True, slots=True)
class Step:
    """A change of objects that can be undone.

    Attributes:
        back: the changes that undo it.
        again: the changes that do it again.
        draft: the object in work before and after; None: it is no part of the change.
    """

    back: tuple[Change, ...]
    again: tuple[Change, ...]
    draft: tuple[Draft | None, Draft | None] | None = None


@dataclass(eq=False)
class Desk:
    """What one page has of one image.

    Attributes:
        path: of the image.
        width: of the image in pixels.
        height: likewise.
        object: number of the object that is taken up again; None: a new one.
        label: of the object in work, and of the next.
        prompts: that the person wants in force.
        undone: that redo gives again, the next one first.
        session: that computes them; None: not begun, or its encoding was given up.
        known: prompts that led to a mask which is known without computing, and the mask; of a stored object.
        region: with an encoding of its own; None: none.
        fine: the answer drawn anew at the image's own resolution, for the prompts it names; None: none yet.
        shown: the mask that the page has; None: an empty one.
        listed: the prompts that the page has.
        past: changes of objects that undo takes back, the last one last.
        future: changes that redo does again, the next one last.
    """

    path: str
    width: int
    height: int
    object: int | None = None
    label: int | None = None
    prompts: tuple[Prompt, ...] = ()
    undone: tuple[Prompt, ...] = ()
    session: Session | None = None
    known: tuple[tuple[Prompt, ...], BoolArray] | None = None
    region: Region | None = None
    fine: Prediction | None = None
    shown: BoolArray | None = None
    listed: tuple[Prompt, ...] = ()
    past: list[Step] = field(default_factory=list)
    future: list[Step] = field(default_factory=list)

    @property
    def working(self) -> bool:
        """Whether there is an object in work."""
        return self.object is not None or bool(self.prompts) or bool(self.undone)

    @property
    def draft(self) -> Draft | None:
        """The object in work as the project stores it."""
        return Draft(self.object, self.label, self.prompts, self.undone) if self.working else None

    @property
    def history(self) -> tuple[int, int]:
        """How many changes of objects undo takes back, and redo does again."""
        return len(self.past), len(self.future)

    @property
    def knows_mask(self) -> bool:
        """Whether the prompts are those of a stored object, whose mask is the answer."""
        return self.known is not None and self.known[0] == self.prompts

    @property
    def behind(self) -> bool:
        """Whether the session stands elsewhere than the person wants."""
        have = () if self.session is None else self.session.prompts
        return have != self.prompts

    @property
    def pending(self) -> int:
        """How many prompts the mask does not know, at least 1 where it is that of others; 0: it is as it shall be."""
        if self.knows_mask or not self.behind or not self.prompts:
            return 0
        have = () if self.session is None else self.session.prompts
        return max(1, len(self.prompts) - common(have, self.prompts))

    def take(self, draft: Draft | None, record: ImageRecord) -> None:
        """Put another object in work, or none; the label stays for the next one."""
        self.region = self.fine = None
        self.known = None
        if draft is None:
            self.object, self.prompts, self.undone = None, (), ()
            return
        self.object, self.label, self.prompts, self.undone = draft.object, draft.label, draft.prompts, draft.undone
        if draft.object is not None:
            item = next((item for item in record.objects if item.id == draft.object), None)
            self.known = None if item is None else (item.start, item.mask.mask)

    def add(self, prompt: Prompt) -> None:
        """One more prompt; what was taken back is forgotten."""
        self.prompts, self.undone = (*self.prompts, prompt), ()
        self.future.clear()

    def undo(self) -> None:
        """Take the last prompt back.

        Raises:
            HistoryError: there is none.
        """
        if not self.prompts:
            raise HistoryError("there is nothing to undo")
        self.prompts, self.undone = self.prompts[:-1], (self.prompts[-1], *self.undone)

    def redo(self) -> None:
        """Give the prompt that was taken back last again.

        Raises:
            HistoryError: there is none.
        """
        if not self.undone:
            raise HistoryError("there is nothing to redo")
        self.prompts, self.undone = (*self.prompts, self.undone[0]), self.undone[1:]

    def remember(self, step: Step) -> None:
        """A change of objects happened that undo can take back."""
        self.past.append(step)
        self.future.clear()
        del self.past[:-_LONGEST_HISTORY]

    def renew(self, coarse: ObjectRecord, fine: ObjectRecord) -> None:
        """An object was drawn more finely after it was finished: undo and redo give it so too."""
        before, after = put_object(coarse), put_object(fine)

        def renewed(changes: tuple[Change, ...]) -> tuple[Change, ...]:
            return tuple(after if change == before else change for change in changes)

        # In place: a page that inherits the history has the same lists.
        for steps in (self.past, self.future):
            steps[:] = [replace(step, back=renewed(step.back), again=renewed(step.again)) for step in steps]

    def next_prompts(self) -> tuple[Prompt, ...]:
        """Where the session goes next: one prompt further on the way to those that are wanted."""
        have = () if self.session is None else self.session.prompts
        return self.prompts[: common(have, self.prompts) + 1]

    def mask(self) -> tuple[BoolArray | None, bool]:
        """The mask to show, and whether it is drawn at the image's own resolution; None: empty."""
        if not self.prompts:
            return None, False
        if self.known is not None and self.knows_mask:
            return self.known[1], False
        prediction = None if self.session is None else self.session.prediction
        if prediction is None:
            return None, False
        if self.fine is not None and self.fine.prompts == prediction.prompts:
            return self.fine.mask, True
        return prediction.mask, False


def changes_between(stored: Draft | None, wanted: Draft | None) -> tuple[Change, ...]:
    """The changes of a record that make one draft of another; the usual ones are short."""
    if stored == wanted:
        return ()
    if wanted is None:
        return (discard_draft(),)
    if stored is not None and (stored.object, stored.label) == (wanted.object, wanted.label):
        if not wanted.undone and wanted.prompts[:-1] == stored.prompts and wanted.prompts:
            return (give_prompt(wanted.prompts[-1]),)
        if wanted.prompts == stored.prompts[:-1] and wanted.undone == (*stored.prompts[-1:], *stored.undone):
            return (undo_prompt(),)
        if stored.prompts == wanted.prompts[:-1] and stored.undone == (*wanted.prompts[-1:], *wanted.undone):
            return (redo_prompt(),)
    return (begin_draft(wanted.object, wanted.label, wanted.prompts, wanted.undone),)


def common(one: Sequence[Prompt], other: Sequence[Prompt]) -> int:
    """How many prompts two lists begin with alike."""
    count = 0
    for first, second in zip(one, other, strict=False):
        if first != second:
            break
        count += 1
    return count
