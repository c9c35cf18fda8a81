"""The server's routes: the page, the images as tiles, the list, exports, health and figures, and the page's socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request, Response, WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

from inter2former import __version__
from inter2former.errors import Inter2FormerError
from inter2former.web.export_routes import add_export_routes
from inter2former.web.security import Guard, GuardedApp
from inter2former.web.socket import converse
from inter2former.web.workspace import Workspace

__all__ = ["Health", "ImageItem", "create_app"]

_FOREVER = "private, max-age=31536000, immutable"

Text = Annotated[str, Query(max_length=4096)]
Number = Annotated[int, Query(ge=0, le=1_000_000)]


class Health(BaseModel):
    """Whether the server can work."""

    status: str
    version: str
    ready: bool


class ImageItem(BaseModel):
    """One image of the list.

    Attributes:
        path: below the folder of the images.
        state: "present", "missing" or "changed".
        status: "open", "done" or "skipped"; None: nothing is known about it yet.
        objects: how many it has.
        draft: whether an object is being worked on.
    """

    path: str
    state: str
    status: str | None
    objects: int
    draft: bool


def create_app(workspace: Workspace, guard: Guard, on_failure: Callable[[], None] | None = None) -> GuardedApp:
    """Make the server's ASGI application.

    Args:
        workspace: the open project.
        guard: who may ask.
        on_failure: called when the network cannot be loaded.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await workspace.start(on_failure)
        yield
        await workspace.stop()

    app = FastAPI(title="inter2former annotator", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    page = Path(str(files("inter2former.web"))) / "page"
    app.mount("/page", StaticFiles(directory=page), name="page")
    _add_service_routes(app, workspace, page)
    _add_image_routes(app, workspace)
    add_export_routes(app, workspace)

    @app.websocket("/api/v1/socket")
    async def socket(socket: WebSocket) -> None:
        await converse(socket, workspace)

    @app.exception_handler(OSError)
    @app.exception_handler(Inter2FormerError)
    async def refuse(request: Request, error: Exception) -> JSONResponse:
        workspace.metrics.refusals.add("request")
        return JSONResponse({"detail": str(error)}, status_code=404)

    return GuardedApp(app, guard, workspace.metrics)


def _add_service_routes(app: FastAPI, workspace: Workspace, page: Path) -> None:
    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(page / "index.html", headers={"cache-control": "no-store"})

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> FileResponse:
        return FileResponse(page / "icon.svg", media_type="image/svg+xml")

    @app.get("/healthz")
    async def healthz() -> Health:
        """Whether the server answers, and whether the network is loaded; needs no token."""
        return Health(status="ok", version=__version__, ready=workspace.gallery.engine.done())

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """Figures in Prometheus' text format."""
        return PlainTextResponse(workspace.metrics.text(), media_type="text/plain; version=0.0.4")


def _add_image_routes(app: FastAPI, workspace: Workspace) -> None:
    @app.get("/api/v1/images")
    async def images() -> list[ImageItem]:
        """All images at a glance, in the order of the list."""
        found = await workspace.overview()
        return [
            ImageItem(path=item.path, state=item.state, status=item.status, objects=item.objects, draft=item.draft)
            for item in found
        ]

    @app.get("/api/v1/tile", responses={200: {"content": {"image/jpeg": {}, "image/png": {}}}})
    async def tile(path: Text, key: Text, level: Number, column: Number, row: Number) -> Response:
        """A piece of an image, at most 512 pixels a side; each level is half as large as the one before."""
        photo = await workspace.photo(path)
        if photo.key != key:
            raise HTTPException(404, "the image has another content now; open it again")
        try:
            content, kind = await run_in_threadpool(photo.tile, level, column, row)
        except ValueError as error:
            raise HTTPException(404, str(error)) from error
        return Response(content, media_type=kind, headers={"cache-control": _FOREVER})
