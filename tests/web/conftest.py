"""A workspace over a few small photos, the server in this process, and a page without a browser."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from PIL import Image

from inter2former.project.store import Project
from tests.engines import tiny_engine

pytest.importorskip("fastapi", reason="needs the extra: pip install 'inter2former[annotate]'")

from fastapi.testclient import TestClient

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

    def page(self, path=None):
        """A page, as a context manager; with a path it has that image open."""
        return FakePage(self.client, path)

    def close(self):
        if self._open:
            self._open = False
            self.client.__exit__(None, None, None)
            self.project.close()


class Refusal(Exception):
    """The server refused a move."""


class FakePage:
    """What the browser's page does, in Python: sends moves, keeps the masks as the messages say."""

    def __init__(self, client, path=None):
        self._connecting = client.websocket_connect(f"/api/v1/socket?token={TOKEN}")
        self._path = path
        self._number = 0
        self.messages = []
        self.image = self.draft = self.answer = None
        self.objects, self.masks = [], {}

    def __enter__(self):
        self.socket = self._connecting.__enter__()
        self.hello = self.receive("hello")
        if self._path is not None:
            self.move("open", path=self._path)
        return self

    def __exit__(self, *error):
        self._connecting.__exit__(*error)

    def send(self, type, **values):
        self._number += 1
        self.socket.send_text(json.dumps({"id": self._number, "type": type, **values}))
        return self._number

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

    def receive(self, wanted=None):
        """Take the next message, or the next of a type."""
        while True:
            frame = self.socket.receive()
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
            mask = np.zeros(shape, bool) if wire["fresh"] else self.masks[wire["object"]].copy()
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
