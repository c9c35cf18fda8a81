"""The network follows what the person wants: first the object in work, then its fine edge, then the next image."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from inter2former.errors import ImageReadError, Inter2FormerError, ProjectError
from inter2former.project import changes
from inter2former.project.records import ImageRecord, ObjectRecord
from inter2former.prompt import MaskPrompt, Prompt
from inter2former.session.prediction import Prediction
from inter2former.session.region import Region
from inter2former.session.tree import Session
from inter2former.web import messages
from inter2former.web.clock import Clock
from inter2former.web.desk import Desk
from inter2former.web.finer import finer, region_box, with_mask
from inter2former.web.gallery import Photo, Report
from inter2former.web.worker import Priority
from inter2former.web.workspace import Workspace

__all__ = ["Follower", "Wisher"]


class Wisher(Protocol):
    """What a follower needs of its page."""

    clock: Clock

    def send(self, message: messages.Message) -> None:
        """Say something to the page."""

    def send_answer(self, desk: Desk) -> None:
        """Say how the object in work is now."""

    async def keep(self, desk: Desk) -> bool:
        """Bring the object in work to the disk."""

    def next_paths(self) -> list[str]:
        """The images that are likely to be opened next."""


class Follower:
    """Computes for one page. A page's wish replaces its former one: what nobody waits for any more is given up."""

    def __init__(self, workspace: Workspace, page: Wisher) -> None:
        """Begin with nothing to do."""
        self.workspace, self.page = workspace, page
        self._desk: Desk | None = None
        self._key = ""
        self._catching: asyncio.Task[None] | None = None
        self._refining: asyncio.Task[None] | None = None
        self._ahead: asyncio.Task[None] | None = None

    def arrive(self, desk: Desk, key: str) -> None:
        """An image was opened; `key` says which content it has."""
        self._desk, self._key = desk, key

    def leave(self) -> None:
        """The image, or the page, was left."""
        for task in (self._catching, self._refining, self._ahead):
            if task is not None:
                task.cancel()
        self._catching = self._refining = self._ahead = self._desk = None

    def catch_up(self) -> None:
        """The person wants something else."""
        desk = self._desk
        if desk is None:
            return
        if self._refining is not None:
            self._refining.cancel()
        if self._catching is None or self._catching.done():
            self._catching = self.workspace.spawn(self._follow(desk))

    async def settled(self) -> None:
        """Wait until the mask knows all prompts.

        Raises:
            ValueError: it cannot be computed.
        """
        tried = False
        while self._desk is not None and self._desk.pending:
            if self._catching is None or self._catching.done():
                # The session may have been given up for want of memory.
                if tried:
                    raise ValueError("the mask could not be computed; open the image again")
                tried = True
                self.catch_up()
            else:
                await asyncio.wait([self._catching])

    def improve_later(self, desk: Desk, item: ObjectRecord, prediction: Prediction, region: Region | None) -> None:
        """An object was committed before its fine answer was there: it gets it when it comes."""
        if prediction.prompts == item.prompts:
            self.workspace.spawn(self._improve(desk, self._key, item, prediction, region))

    async def _follow(self, desk: Desk) -> None:
        try:
            await self._make_session(desk)
            while desk.behind and self._desk is desk:
                await self._advance(desk, desk.next_prompts())
                self.page.send_answer(desk)
                await self._make_session(desk)
            self._refining = self.workspace.spawn(self._refine(desk))
            if self._ahead is None or self._ahead.done():
                self._ahead = self.workspace.spawn(self._look_ahead(self.page.next_paths()))
        except (Inter2FormerError, ValueError, OSError, MemoryError, RuntimeError) as error:
            self.page.send(messages.Problem(str(error), desk.path))

    async def _make_session(self, desk: Desk) -> None:
        space = self.workspace
        if desk.session is None:
            photo = await self._photo(desk)
            known = space.gallery.encoding_if_known(photo)
            if known is None:
                stage = "wait" if space.gallery.engine.done() else "load"
                self.page.send(messages.Progress(desk.path, stage, 0.0))
                known = await space.gallery.encoding(photo, Priority.OPEN, self._reporter(desk.path))
            engine = await asyncio.shield(space.gallery.engine)
            desk.session = Session(engine, known, space.shelf)
            self.page.send(messages.Progress(desk.path, "ready", 1.0))
        space.touch(desk)

    async def _photo(self, desk: Desk) -> Photo:
        photo = await self.workspace.gallery.photo(desk.path)
        if photo.key != self._key:
            raise ProjectError(f"{desk.path}: was changed while it was open; open it again")
        return photo

    async def _advance(self, desk: Desk, wanted: tuple[Prompt, ...]) -> None:
        session = desk.session
        assert session is not None
        undone = desk.undone if wanted == desk.prompts else ()
        job = self.workspace.worker.submit(Priority.CLICK, lambda: session.resume(wanted, undone))
        try:
            await asyncio.wrap_future(job.future)
            self.page.clock.began(job.began)
        except ValueError as error:
            # A click on painted pixels: only the session can tell. The list goes back to before it.
            if desk.prompts[: len(wanted)] == wanted:
                desk.prompts, desk.undone = wanted[:-1], ()
            self.workspace.metrics.refusals.add("prompt")
            self.page.send(messages.Problem(str(error), desk.path))
            await self.page.keep(desk)

    async def _refine(self, desk: Desk) -> None:
        """Draw the answer anew at the image's own resolution, where that shows more."""
        prediction = None if desk.session is None else desk.session.prediction
        if prediction is None or desk.knows_mask or (desk.fine is not None and desk.fine.prompts == prediction.prompts):
            return
        found = await finer(self.workspace.gallery, await self._photo(desk), prediction, desk.region)
        if found is None or self._desk is not desk or desk.session is None or desk.behind:
            return
        desk.region, desk.fine = found
        self.page.send_answer(desk)

    async def _improve(
        self, desk: Desk, key: str, item: ObjectRecord, prediction: Prediction, region: Region | None
    ) -> None:
        space, path = self.workspace, desk.path
        photo = await space.gallery.photo(path)
        found = await finer(space.gallery, photo, prediction, region) if photo.key == key else None
        if found is None:
            return
        mask, box = await asyncio.to_thread(MaskPrompt.of, found[1].mask), region_box(found[0])

        def improve() -> ImageRecord | None:
            record = space.project.record(path)
            stored = None if record is None else next((other for other in record.objects if other.id == item.id), None)
            if stored is None or stored.mask != item.mask or stored.prompts != item.prompts:
                return None
            return space.project.change(path, changes.put_object(with_mask(stored, mask, box)))

        record = await space.disk(improve)
        desk.renew(item, with_mask(item, mask, box))
        if record is not None:
            space.tell_objects(record)

    async def _look_ahead(self, paths: Sequence[str]) -> None:
        gallery = self.workspace.gallery
        for number, path in enumerate(paths):
            try:
                photo = await gallery.photo(path)
                await gallery.encoding(photo, Priority.PREFETCH if number == 0 else Priority.PRECOMPUTE)
            except (ImageReadError, ProjectError):
                continue  # the person is told when they open it

    def _reporter(self, path: str) -> Report:
        loop, page = asyncio.get_running_loop(), self.page

        def report(stage: str, share: float) -> None:
            loop.call_soon_threadsafe(page.send, messages.Progress(path, stage, share))

        return report
