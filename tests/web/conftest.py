"""A workspace over a few small photos, the server in this process, and a page without a browser."""

from __future__ import annotations

import asyncio
import json
import queue
import struct

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from tests.engines import tiny_engine

from inter2former.project.store import Project
from inter2former.web.app import create_app
from inter2former.web.limits import Limits
from inter2former.web.security import Guard
from inter2former.web.workspace import Workspace

TOKEN = "the-token-of-the-tests"


@pytest.fixture
def photos(tmp_path, photo):
    """A folder with three photos, 130x90."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "more/c.png")):
        Image.fromarray(photo(90, 130, number)).save(folder / name)
    return folder


@pytest.fixture
def make_server(photos, tmp_path):
    """Makes a server on the photos: `make_server(load, **limits)`; several may follow each other."""
    opened = []

    def make(load=tiny_engine, only=None, **limits):
        folder = photos / "inter2former"
        project = Project(folder) if (folder / "project.json").exists() else Project.create(folder, photos)
        workspace = Workspace(project, load, only=only, limits=Limits(**limits))
        app = create_app(workspace, Guard.local(8000, TOKEN))
        client = TestClient(app, base_url="http://127.0.0.1:8000", headers={"authorization": f"Bearer {TOKEN}"})
        client.__enter__()
        server = Server(workspace, client)
        opened.append(server)
        return server

    yield make
    for server in opened:
        server.close()


@pytest.fixture
def server(make_server):
    """A server with a tiny network."""
    return make_server()


class Server:
    """A running server."""

    def __init__(self, workspace, client):
        self.workspace, self.client, self._open = workspace, client, True

    @property
    def project(self):
        return self.workspace.project

    def page(self, path=None, **values):
        """A page, as a context manager; with a path it has that image open."""
        return FakePage(self.client, path, **values)

    def close(self):
        if self._open:
            self._open = False
            self.client.__exit__(None, None, None)
            self.project.close()


class Refusal(Exception):
    """The server refused a move."""


class Closed(Exception):
    """The server ended the conversation."""


class FakePage:
    """What the browser's page does, in Python: sends moves, keeps the masks as the messages say."""

    def __init__(self, client, path=None, token=TOKEN, headers=()):
        self._client = client
        self._path = path
        self._scope = {
            "type": "websocket",
            "path": "/api/v1/socket",
            "raw_path": b"/api/v1/socket",
            "root_path": "",
            "query_string": f"token={token}".encode(),
            "headers": [(b"host", b"127.0.0.1:8000"), *headers],
            "scheme": "ws",
            "subprotocols": [],
        }
        self._number = 0
        self.stuck = False
        self.messages = []
        self.image = self.draft = self.answer = None
        self.objects, self.masks = [], {}

    def __enter__(self):
        self.connect()
        self.hello = self.receive("hello")
        if self._path is not None:
            self.move("open", path=self._path)
        return self

    def __exit__(self, *error):
        self._put({"type": "websocket.disconnect", "code": 1000})
        self._task.result(30)

    def connect(self):
        """Begin the conversation; gives the server's first answer."""
        self._from_server = queue.Queue()
        self._to_server = self._client.portal.call(asyncio.Queue)

        async def send(message):
            self._from_server.put(message)
            while self.stuck and message["type"] == "websocket.send":
                await asyncio.sleep(0.01)

        self._task = self._client.portal.start_task_soon(self._client.app, self._scope, self._to_server.get, send)
        self._put({"type": "websocket.connect"})
        return self._from_server.get(timeout=30)

    def send(self, type, **values):
        self._number += 1
        self.send_raw(json.dumps({"id": self._number, "type": type, **values}))
        return self._number

    def send_raw(self, text):
        """Send any text, or bytes."""
        self._put({"type": "websocket.receive", "text" if isinstance(text, str) else "bytes": text})

    def _put(self, message):
        self._client.portal.call(self._to_server.put_nowait, message)

    def move(self, type, **values):
        """Send a move and wait until it is done; gives whether it is saved."""
        number = self.send(type, **values)
        while True:
            message = self.receive()
            if message.get("id") == number:
                if message["type"] == "refused":
                    raise Refusal(message["why"])
                return message["saved"]

    def prompt(self, type, **values):
        return self.move("prompt", prompt={"type": type, **values})

    def click(self, x, y, positive=True):
        return self.prompt("click", x=x, y=y, positive=positive)

    def settle(self):
        """Wait until the mask knows all prompts."""
        while self.answer is None or self.answer["pending"]:
            self.receive()
        return self.masks.get(None)

    def answer_after_open(self):
        """What was said about the object in work when the image was opened, or later."""
        return self.answer or self.receive("answer")

    def receive(self, wanted=None):
        """Take the next message, or the next of a type."""
        while True:
            frame = self._from_server.get(timeout=60)
            if frame["type"] == "websocket.close":
                raise Closed(frame["code"], frame.get("reason"))
            text, payload = frame.get("text"), b""
            if text is None:
                data = frame["bytes"]
                (length,) = struct.unpack("<I", data[:4])
                text, payload = data[4 : 4 + length].decode(), data[4 + length :]
            message = json.loads(text)
            self.messages.append(message)
            self._take(message, payload)
            if wanted in (None, message["type"]):
                return message

    def _take(self, message, payload):
        kind = message["type"]
        if kind == "image":
            self.image, self.masks, self.answer, self.prompts = message, {}, None, []
        if kind in ("image", "objects"):
            self.objects = message["objects"]
        if kind in ("image", "answer"):
            view = message["draft"]
            self.draft = view
            self.prompts = [*self.prompts[: view["keep"]], *view["add"]]
        if kind == "answer":
            self.answer = message
        for wire in message.get("masks", ()):
            part, payload = payload[: wire["bytes"]], payload[wire["bytes"] :]
            shape = self.image["height"], self.image["width"]
            before = None if wire["fresh"] else self.masks.get(wire["object"])
            mask = np.zeros(shape, bool) if before is None else before.copy()
            if wire["box"] is not None:
                left, top, right, bottom = wire["box"]
                mask[top:bottom, left:right] = read_runs(part).reshape(bottom - top, right - left)
            self.masks[wire["object"]] = mask
        assert not payload or kind == "hello"


def read_runs(data):
    """Runs on the wire as a flat mask, read one byte after the other."""
    values, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            values.append(value)
            value = shift = 0
    return np.repeat(np.arange(len(values)) % 2 == 1, values)
