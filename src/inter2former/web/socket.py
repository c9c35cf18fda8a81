"""One page's WebSocket: moves in, one after the other; messages out, never more than the page reads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from fastapi import WebSocket, WebSocketDisconnect

from inter2former.errors import Inter2FormerError
from inter2former.web import messages, moves
from inter2former.web.pages import Page
from inter2former.web.workspace import Workspace

__all__ = ["converse"]

_log = logging.getLogger(__name__)

TRY_LATER = 1013
TOO_SLOW = 1008
_GOODBYE_SECONDS = 2.0


async def converse(socket: WebSocket, workspace: Workspace) -> None:
    """Talk to a page until it leaves.

    Args:
        socket: not accepted yet.
        workspace: shared by all pages.
    """
    await socket.accept()
    limits = workspace.limits
    if len(workspace.pages) >= limits.pages:
        workspace.metrics.refusals.add("page")
        await socket.close(TRY_LATER, f"{limits.pages} pages are open already; close one")
        return
    outbox = _Outbox(workspace)
    page = Page(workspace, outbox.put)
    workspace.pages.add(page)
    arriving: asyncio.Queue[str] = asyncio.Queue(limits.waiting_moves)
    tasks: list[asyncio.Future[object]] = [
        asyncio.ensure_future(outbox.run(socket)),
        asyncio.ensure_future(_listen(socket, arriving)),
        asyncio.ensure_future(_answer(page, arriving)),
        asyncio.ensure_future(outbox.overflow.wait()),
    ]
    try:
        await page.hello()
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        page.leave()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(RuntimeError, WebSocketDisconnect, asyncio.TimeoutError):
            await asyncio.wait_for(socket.close(TOO_SLOW if outbox.overflow.is_set() else 1000), _GOODBYE_SECONDS)


class _Outbox:
    """What waits to be sent. A page that does not read is left, and comes back by itself."""

    def __init__(self, workspace: Workspace) -> None:
        self.overflow = asyncio.Event()
        self._workspace = workspace
        self._waiting: asyncio.Queue[tuple[str, str | bytes]] = asyncio.Queue()
        self._bytes = 0

    def put(self, message: messages.Message, payload: Sequence[bytes]) -> None:
        """Hand a message in."""
        frame = messages.frame(message, payload)
        self._bytes += len(frame)
        if self._bytes > self._workspace.limits.waiting_bytes:
            self.overflow.set()
            return
        self._waiting.put_nowait((message.type, frame))

    async def run(self, socket: WebSocket) -> None:
        """Send until the page is gone."""
        while True:
            kind, frame = await self._waiting.get()
            if isinstance(frame, str):
                await socket.send_text(frame)
            else:
                await socket.send_bytes(frame)
            self._bytes -= len(frame)
            self._workspace.metrics.sent.add(kind, len(frame))


async def _listen(socket: WebSocket, arriving: asyncio.Queue[str]) -> None:
    """Take messages in until the page leaves; where too many wait, it is not read further."""
    with suppress(WebSocketDisconnect, KeyError):
        while True:
            await arriving.put(await socket.receive_text())


async def _answer(page: Page, arriving: asyncio.Queue[str]) -> None:
    workspace = page.workspace
    while True:
        text = await arriving.get()
        number, kind = -1, "message"
        try:
            number, kind, path, move = moves.read_move(text, workspace.limits)
            workspace.metrics.moves.add(kind)
            saved = await page.move(move, path)
        except (ValueError, Inter2FormerError, OSError, MemoryError) as error:
            workspace.metrics.refusals.add(kind)
            number = number if number >= 0 else moves.move_id(text)
            page.send(messages.Refused(number, kind, _sentence(error)))
        except Exception as error:
            # Our own mistake; the person's other work shall not suffer from it.
            _log.exception("the move %s failed", kind)
            workspace.metrics.refusals.add("failure")
            page.send(messages.Refused(number, kind, f"the server failed ({error!r:.200}); its output says more"))
        else:
            page.send(messages.Done(number, saved))


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__
