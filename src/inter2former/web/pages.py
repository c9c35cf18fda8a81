"""One page: what its moves do. The project is told first, the network follows, the page paints what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from inter2former import __version__
from inter2former.errors import HistoryError
from inter2former.project import changes
from inter2former.project.changes import Change
from inter2former.project.records import Draft, ImageRecord, ObjectRecord, Status
from inter2former.prompt import MaskPrompt, Prompt
from inter2former.session.verdicts import fitted
from inter2former.web import messages, moves
from inter2former.web.arrange import arrangement, committed, renewed_labels
from inter2former.web.clock import Clock
from inter2former.web.desk import Desk, Step, changes_between
from inter2former.web.finer import region_box
from inter2former.web.follow import Follower
from inter2former.web.gallery import TILE, Photo
from inter2former.web.paint import Painter, draft_view, object_view
from inter2former.web.workspace import History, Workspace

__all__ = ["Page"]

Outbox = Callable[[messages.Message, Sequence[bytes]], None]


class Page:
    """What one browser page has open, and what its moves do. Moves come one after the other."""

    def __init__(self, workspace: Workspace, outbox: Outbox) -> None:
        """Begin without an image.

        Args:
            workspace: shared with the other pages.
            outbox: takes a message for the page and its payload.
        """
        self.workspace = workspace
        self.desk: Desk | None = None
        self._outbox = outbox
        self._painter = Painter()
        self._follower = Follower(workspace, self)
        self._desks: dict[str, Desk] = {}
        self._direction = 1
        self.clock = Clock(workspace.metrics.click)
        self._left = False

    def send(self, message: messages.Message, payload: Sequence[bytes] = ()) -> None:
        """Say something to the page."""
        if not self._left:
            self._outbox(message, payload)

    async def hello(self) -> None:
        """Begin the conversation."""
        space = self.workspace
        first = await space.disk(space.first)
        self.send(
            messages.Hello(
                messages.PROTOCOL,
                __version__,
                space.project.folder.name if space.only else space.project.library.folder.resolve().name,
                space.project.labels,
                len(space.paths),
                first,
                space.gallery.engine.done(),
            )
        )

    def leave(self) -> None:
        """The page is gone: nothing is computed for it any more; what it said is in the project."""
        self._left = True
        self._follower.leave()
        self.workspace.pages.discard(self)
        for desk in self._desks.values():
            self.workspace.forget(desk)
            self.workspace.leave_history(desk)
        self._desks.clear()
        self.workspace.disown(self)

    def inherit(self, path: str, history: History) -> bool:
        """Take over what another page can undo, if this one is at the image and has nothing of its own."""
        if self.desk is None or self.desk.path != path or self.desk.past or self.desk.future:
            return False
        self.desk.past, self.desk.future = history
        self.send_answer(self.desk)
        return True

    async def move(self, move: moves.Move, path: str | None = None) -> bool:
        """Do what the person did.

        Args:
            move: what they did.
            path: the image that they saw; None: not known.
        Returns:
            whether it is on the disk.
        Raises:
            ValueError, Inter2FormerError: it cannot be done; the message says why, nothing changed.
        """
        if isinstance(move, moves.Open):
            await self._open(move.path, move.accept)
            return True
        if path is not None and (self.desk is None or self.desk.path != path):
            raise ValueError(f"{path!r:.200} is not open any more; do it again on the image that is")
        match move:
            case moves.SetLabels(labels):
                return await self._set_labels(labels)
            case moves.Relabel(label):
                return await self._relabel(label)
            case moves.Prompted(prompt):
                return await self._prompt(prompt)
            case moves.Undo() | moves.Redo():
                return await self._step(back=isinstance(move, moves.Undo))
            case moves.Commit(status):
                return await self._commit(status)
            case moves.Discard():
                return await self._discard()
            case moves.Reopen(number):
                return await self._reopen(number)
            case moves.SetStatus(status):
                await self._change(changes.set_status(status))
        if isinstance(move, moves.Edit | moves.Remove | moves.Order):
            await self._arrange(move)
        return True

    # Images

    async def _open(self, path: str, accept: bool) -> None:
        space = self.workspace
        self.send(messages.Progress(path, "read", 0.0))
        photo = await space.photo(path)
        size = photo.pixels.shape[1], photo.pixels.shape[0]
        record = await space.disk(lambda: space.project.identify(path, size, accept=accept))
        if self.desk is not None and self.desk.path != path:
            self._part(self.desk)
            if path in space.paths and self.desk.path in space.paths:
                self._direction = 1 if space.paths.index(path) >= space.paths.index(self.desk.path) else -1
        desk = self._desks.get(path)
        if desk is None:
            desk = self._desks[path] = Desk(path, *size, label=self._first_label())
            desk.past, desk.future = space.take_history(path)
        if space.own(path, self):
            desk.take(record.draft, record)
        desk.shown, desk.listed = None, ()
        self.desk = desk
        self._follower.leave()
        self._follower.arrive(desk, photo.key)
        self._painter.forget()
        self._show_image(desk, photo, record)
        self.catch_up()

    def _show_image(self, desk: Desk, photo: Photo, record: ImageRecord) -> None:
        wire, payload = self._painter.objects(record.objects)
        self.send(
            messages.Picture(
                desk.path,
                photo.key,
                desk.width,
                desk.height,
                TILE,
                photo.level_count,
                self._working_size(),
                record.status,
                [object_view(item) for item in record.objects],
                draft_view(desk),
                self.workspace.own(desk.path, self),
                wire,
            ),
            payload,
        )

    def _part(self, desk: Desk) -> None:
        """Leave an image; its object in work stays in the project, or with this page where another one is at it."""
        self._follower.leave()
        self.workspace.forget(desk)
        desk.shown = None
        self.workspace.disown(self)
        if not desk.working and desk.history == (0, 0):
            self._desks.pop(desk.path, None)

    # The object in work

    async def _prompt(self, prompt: Prompt) -> bool:
        desk = self._require()
        try:
            prompt = fitted(prompt, desk.width, desk.height)
        except OverflowError as error:
            raise ValueError(f"a coordinate is no pixel ({error})") from error
        if len(desk.prompts) >= self.workspace.limits.prompts:
            raise ValueError(f"the object has {len(desk.prompts)} prompts; commit it, or undo some")
        desk.add(prompt)
        self.clock.asked()
        self.catch_up()
        return await self.keep(desk)

    async def _step(self, *, back: bool) -> bool:
        """Undo or redo: a prompt where there is one, otherwise a change of objects."""
        desk = self._require()
        self.clock.asked()
        if desk.prompts if back else desk.undone:
            desk.undo() if back else desk.redo()
            self.catch_up()
            return await self.keep(desk)
        steps, others = (desk.past, desk.future) if back else (desk.future, desk.past)
        if not steps:
            raise HistoryError(f"there is nothing to {'undo' if back else 'redo'} on this image")
        step = steps[-1]
        steps.pop()
        wanted = step.back if back else step.again
        if wanted:
            await self._change(*wanted)
        others.append(step)
        if step.draft is not None:
            record = await self._record(desk)
            desk.take(step.draft[0 if back else 1], record)
        await self.keep(desk)
        self.catch_up()
        self.workspace.tell_objects(await self._record(desk))
        return True

    async def _commit(self, status: Status | None) -> bool:
        desk = self._require()
        if desk.prompts:
            await self._follower.settled()
            mask, fine = desk.mask()
            if mask is None or not mask.any():
                raise ValueError("the mask is empty; click on the object first, or press Esc to give it up")
            await self._store(desk, await asyncio.to_thread(MaskPrompt.of, mask), fine)
        elif status is None:
            raise ValueError("there is no object to commit; click on one first")
        if status is not None:
            await self._change(changes.set_status(status))
        return True

    async def _store(self, desk: Desk, mask: MaskPrompt, fine: bool) -> None:
        """Turn the object in work into an object of the image."""
        space, former = self.workspace, desk.draft
        owned = space.own(desk.path, self)
        prediction = None if desk.session is None or desk.knows_mask else desk.session.prediction
        region = desk.region
        drawn_in = region_box(region) if fine and region is not None else None

        def store() -> tuple[ImageRecord, ObjectRecord, ObjectRecord | None]:
            record = space.project.record(desk.path)
            assert record is not None, "an open image is known"
            before = next((item for item in record.objects if item.id == desk.object), None)
            item = committed(desk, record, before, mask, drawn_in)
            change = changes.commit_object(item) if owned else changes.put_object(item)
            return space.project.change(desk.path, change), item, before

        record, item, before = await space.disk(store)
        back = changes.remove_object(item.id) if before is None else changes.put_object(before)
        desk.take(None, record)
        desk.remember(Step((back,), (changes.put_object(item),), (former, None)))
        if prediction is not None and not fine:
            self._follower.improve_later(desk, item, prediction, region)
        space.tell_objects(record)
        self.catch_up()
        await space.tell_overview(desk.path)

    async def _discard(self) -> bool:
        desk = self._require()
        if not desk.working:
            raise ValueError("there is no object in work")
        former = desk.draft
        desk.take(None, await self._record(desk))
        desk.remember(Step((), (), (former, None)))
        self.catch_up()
        return await self.keep(desk)

    async def _reopen(self, number: int) -> bool:
        desk = self._require()
        record = await self._record(desk)
        if record.object(number).locked:
            raise ValueError(f"object {number} is locked; unlock it first")
        if desk.object == number:
            return True
        if desk.prompts:
            await self._commit(None)
            record = await self._record(desk)
        item = record.object(number)
        desk.take(Draft(number, item.label, item.start), record)
        desk.shown = None
        self.catch_up()
        return await self.keep(desk)

    async def _relabel(self, label: int | None) -> bool:
        desk = self._require()
        if label is not None and label not in {known.id for known in self.workspace.project.labels}:
            raise ValueError(f"there is no label {label}")
        desk.label = label
        self.send_answer(desk)
        return await self.keep(desk)

    async def keep(self, desk: Desk) -> bool:
        """Bring the object in work to the disk, unless another page keeps its own there."""
        space, wanted = self.workspace, desk.draft
        if not space.own(desk.path, self):
            return False

        def keep() -> bool:
            record = space.project.record(desk.path)
            assert record is not None, "an open image is known"
            needed = changes_between(record.draft, wanted)
            if needed:
                space.project.change(desk.path, *needed)
            return (record.draft is None) != (wanted is None)

        if await space.disk(keep):
            await space.tell_overview(desk.path)
        return True

    # Objects and labels

    async def _arrange(self, move: moves.Edit | moves.Remove | moves.Order) -> None:
        desk = self._require()
        record = await self._record(desk)
        step = arrangement(record, move)
        await self._change(*step.again)
        desk.remember(step)
        if isinstance(move, moves.Remove) and desk.object == move.object:
            desk.take(None, record)
            self.catch_up()
        self.workspace.tell_objects(await self._record(desk))

    async def _change(self, *wanted: Change) -> None:
        """Change the record and tell everybody who looks at the image."""
        desk, space = self._require(), self.workspace
        await space.disk(lambda: space.project.change(desk.path, *wanted))
        record = await self._record(desk)
        self.workspace.tell_objects(record)
        await space.tell_overview(desk.path)

    async def _set_labels(self, labels: Sequence[tuple[int | None, str, str]]) -> bool:
        space = self.workspace
        await space.disk(lambda: space.project.set_labels(renewed_labels(space.project.labels, labels)))
        for page in space.pages:
            page.send(messages.Labels(space.project.labels))
        return True

    def show_objects(self, record: ImageRecord) -> None:
        """Show the objects of an image as they are now, with the masks that changed, if the page is at it."""
        if self.desk is None or self.desk.path != record.path:
            return
        wire, payload = self._painter.objects(record.objects)
        views = [object_view(item) for item in record.objects]
        self.send(messages.Objects(record.path, record.status, views, self.desk.history, wire), payload)

    def catch_up(self) -> None:
        """Say at once what the person wants now, and have the network follow."""
        if self.desk is not None:
            self.send_answer(self.desk)
            self._follower.catch_up()

    def next_paths(self) -> list[str]:
        """The images that this page is likely to open next."""
        return [] if self.desk is None else self.workspace.neighbours(self.desk.path, self._direction)

    def send_answer(self, desk: Desk) -> None:
        """Say how the object in work is now, with the box of the mask that changed."""
        if desk is not self.desk:
            return
        mask, fine = desk.mask()
        prediction = None if desk.session is None or desk.pending else desk.session.prediction
        if desk.pending and desk.prompts and mask is None:
            mask = desk.shown  # nothing better yet
        wire, payload = self._painter.draft(desk, mask)
        seconds, score = (0.0, 0.0) if prediction is None else (prediction.timings["total"], prediction.score)
        area = 0 if mask is None else int(np.count_nonzero(mask))
        kept, view, pending = self.workspace.own(desk.path, self), draft_view(desk), desk.pending
        took = self.clock.read(final=not pending and bool(desk.prompts))
        self.send(
            messages.Answer(desk.path, view, pending, score, area, fine, seconds, *took, kept, desk.history, wire),
            payload,
        )

    async def _record(self, desk: Desk) -> ImageRecord:
        record = await self.workspace.disk(lambda: self.workspace.project.record(desk.path))
        assert record is not None, "an open image is known"
        return record

    def _require(self) -> Desk:
        if self.desk is None:
            raise ValueError("no image is open")
        return self.desk

    def _first_label(self) -> int | None:
        if self.desk is not None and self.desk.label is not None:
            return self.desk.label
        labels = self.workspace.project.labels
        return labels[0].id if labels else None

    def _working_size(self) -> int:
        engine = self.workspace.gallery.engine
        return engine.result().size if engine.done() else 0
