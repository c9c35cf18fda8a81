"""What all pages of a server share: the project, the images, the network's one thread, and who works on which image."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol, TypeAlias, TypeVar

from inter2former.errors import ImageReadError, ProjectError
from inter2former.project.overview import Overview
from inter2former.project.records import ImageRecord
from inter2former.project.store import Project
from inter2former.session.engine import Engine
from inter2former.session.tree import Shelf
from inter2former.web import messages
from inter2former.web.desk import Desk, Step
from inter2former.web.exports import Exports
from inter2former.web.gallery import Gallery, Photo
from inter2former.web.limits import Limits
from inter2former.web.metrics import Metrics
from inter2former.web.worker import Priority, Worker

__all__ = ["Guest", "History", "Workspace"]

Result = TypeVar("Result")

History: TypeAlias = tuple[list[Step], list[Step]]
"""Changes of objects that undo takes back, and those that redo does again; the next one last."""

_log = logging.getLogger(__name__)

_KEPT_HISTORIES = 256


class Guest(Protocol):
    """What a workspace needs of a page."""

    def send(self, message: messages.Message) -> None:
        """Say something to the page."""

    def leave(self) -> None:
        """The page is gone."""

    def inherit(self, path: str, history: History) -> bool:
        """Take over what another page can undo, if this one is at the image and has nothing of its own."""

    def show_objects(self, record: ImageRecord) -> None:
        """Show the objects of an image, if the page is at it."""


class Workspace:
    """One project, open for annotation. Everything but the jobs it hands out runs on the event loop's thread."""

    def __init__(
        self,
        project: Project,
        load: Callable[[], Engine],
        *,
        only: Sequence[str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Take a project.

        Args:
            project: open for writing; stays the caller's to close.
            load: makes the network; called on the worker's thread by `start`.
            only: paths of the images to show; None: all.
            limits: of the server.
        """
        self.project = project
        self.only = None if only is None else tuple(only)
        self.limits = limits or Limits()
        self.metrics = Metrics()
        self.shelf = Shelf(self.limits.predictions, self.limits.predictions // 4)
        self.exports = Exports(project.folder)
        self.pages: set[Guest] = set()
        self.failure: Exception | None = None
        self.paths: tuple[str, ...] = ()
        self._load = load
        self._owners: dict[str, Guest] = {}
        self._sessions: OrderedDict[Desk, None] = OrderedDict()
        self._histories: OrderedDict[str, History] = OrderedDict()
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="disk")
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, on_failure: Callable[[], None] | None = None) -> None:
        """Load the network and begin with the first image, before any page is there.

        Args:
            on_failure: called when the network cannot be loaded; `failure` says why.
        """
        self.worker = Worker(self.metrics)
        self.gallery = Gallery(self.project.library, self.worker, self.limits, self.metrics)
        self.metrics.gauges = self._gauges()
        await self.listing()
        self.spawn(self._get_ready(on_failure))

    async def stop(self) -> None:
        """Leave all pages, wait for what is being written, and end the threads."""
        for page in list(self.pages):
            page.leave()
        for task in list(self._tasks):
            task.cancel()
        self.worker.close()
        self.gallery.close()
        await asyncio.get_running_loop().run_in_executor(None, self._disk.shutdown)
        self.exports.close()

    def spawn(self, work: asyncio.Future[None] | object) -> asyncio.Task[None]:
        """Run a coroutine beside the others until it ends or the server does."""
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def disk(self, work: Callable[[], Result]) -> Result:
        """Read or write the project: one thing after the other, in the order of the calls."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)

    async def listing(self) -> tuple[str, ...]:
        """Look which images there are now."""
        if self.only is None:
            self.paths = (await asyncio.to_thread(self.project.library.listing)).paths
        else:
            self.paths = self.only
        return self.paths

    async def photo(self, path: str) -> Photo:
        """An image of those that were opened.

        Raises:
            ProjectError, ImageReadError: there is none such.
        """
        if self.only is not None and path not in self.only:
            raise ProjectError(f"{path!r:.200} is none of the images that were opened")
        return await self.gallery.photo(path)

    async def overview(self) -> list[Overview]:
        """All images at a glance."""
        if self.only is not None:
            return await self.disk(lambda: [self._glance(path) for path in self.only or ()])
        found = await self.disk(lambda: list(self.project.overview()))
        self.paths = tuple(item.path for item in found if item.state != "missing")
        return found

    def first(self) -> str | None:
        """The image to begin with: one with an object in work that nobody is at, else the first that is not done."""
        fallback = None
        for path in self.paths[:2000]:
            if path in self._owners:
                continue
            try:
                record = self.project.record(path)
            except ProjectError:
                continue
            if record is not None and record.draft is not None:
                return path
            if fallback is None and (record is None or record.status == "open"):
                fallback = path
        return fallback or (self.paths[0] if self.paths else None)

    def neighbours(self, path: str, direction: int) -> list[str]:
        """The images that are likely to be opened next, the likeliest first."""
        if path not in self.paths:
            return []
        at = self.paths.index(path)
        wanted = (at + direction, at + 2 * direction, at - direction)
        return [self.paths[index] for index in wanted if 0 <= index < len(self.paths)]

    def own(self, path: str, page: Guest) -> bool:
        """Let a page keep its object in work in the project, of which there is one per image.

        Returns:
            whether it does; another page may be at it.
        """
        return self._owners.setdefault(path, page) is page

    def disown(self, page: Guest) -> None:
        """The page keeps no object in work any more; what is stored stays for whoever opens the image next."""
        self._owners = {path: owner for path, owner in self._owners.items() if owner is not page}

    def leave_history(self, desk: Desk) -> None:
        """A page is gone: whoever is at the image, or opens it next, may undo what the page did."""
        if not desk.past and not desk.future:
            return
        history = desk.past, desk.future
        if any(page.inherit(desk.path, history) for page in self.pages):
            return
        self._histories[desk.path] = history
        self._histories.move_to_end(desk.path)
        while len(self._histories) > _KEPT_HISTORIES:
            self._histories.popitem(last=False)

    def take_history(self, path: str) -> History:
        """What the last page left that was at an image."""
        return self._histories.pop(path, ([], []))

    def touch(self, desk: Desk) -> None:
        """A desk's session was used; those idle for longest give their encodings up where they take too much."""
        self._sessions[desk] = None
        self._sessions.move_to_end(desk)
        while len(self._sessions) > 1 and self._session_bytes() > self.limits.encodings:
            self.forget(next(iter(self._sessions)))

    def forget(self, desk: Desk) -> None:
        """Give a desk's session up; its prompts make it again."""
        self._sessions.pop(desk, None)
        if desk.session is not None:
            desk.session.close()
            desk.session = desk.region = desk.fine = None

    def tell_objects(self, record: ImageRecord) -> None:
        """Tell all pages that are at an image how its objects are now."""
        for page in self.pages:
            page.show_objects(record)

    async def tell_overview(self, path: str) -> None:
        """Tell all pages how an image of the list is now."""
        item = await self.disk(lambda: self._glance(path))
        message = messages.Overview(item.path, item.state, item.status, item.objects, item.draft)
        for page in self.pages:
            page.send(message)

    def _glance(self, path: str) -> Overview:
        return Overview.of(path, self.project.record(path), self.project.state(path))

    async def _get_ready(self, on_failure: Callable[[], None] | None) -> None:
        try:
            engine = await asyncio.wrap_future(self.worker.submit(Priority.OPEN, self._load).future)
        except Exception as error:
            self.failure = error
            if on_failure is None:
                raise
            on_failure()
            return
        self.gallery.use(engine)
        for page in self.pages:
            page.send(messages.Progress("", "ready", 1.0))
        first = self.first()
        if first is not None and not self.pages:
            # What cannot be read is told to whoever opens it.
            with suppress(ImageReadError, ProjectError):
                await self.gallery.encoding(await self.gallery.photo(first), Priority.PREFETCH)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.metrics.refusals.add("failure")
            _log.error("work in the background failed", exc_info=task.exception())

    def _session_bytes(self) -> int:
        encodings = {id(desk.session.encoding): desk.session.encoding for desk in self._sessions if desk.session}
        return sum(encoding.nbytes for encoding in encodings.values())

    def _gauges(self) -> dict[str, tuple[str, Callable[[], float]]]:
        gallery = self.gallery
        return {
            "inter2former_pages": ("Open pages.", lambda: len(self.pages)),
            "inter2former_queue_length": ("Jobs that wait for the network.", lambda: self.worker.waiting),
            "inter2former_threads": ("Threads of the server.", threading.active_count),
            "inter2former_encodings": ("Encodings in memory.", lambda: len(gallery.encodings)),
            "inter2former_encoding_bytes": ("Bytes of encodings in memory.", lambda: gallery.encodings.used),
            "inter2former_photo_bytes": ("Bytes of images in memory.", lambda: gallery.photos.used),
            "inter2former_answer_bytes": ("Bytes of answers in memory.", lambda: self.shelf.used),
        }
