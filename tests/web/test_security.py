"""A hostile client: wrong token, foreign host and origin, path tricks, image bombs, half files, nonsense, crowds."""

from __future__ import annotations

import json
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from tests.web.conftest import TOKEN, Closed, FakePage, Refusal

READABLE = ["/", "/metrics", "/openapi.json", "/api/v1/images", "/api/v1/outlines?path=a.png"]
GUARDED = [*READABLE, "/api/v1/tile?path=a.png&key=0&level=0&column=0&row=0", "/api/v1/exports/0"]


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize("token", ["", "Bearer ", "Bearer wrong", f"Bearer {TOKEN}x", f"Basic {TOKEN}"])
def test_nothing_without_the_token(server, path, token):
    answer = server.client.get(path, headers={"authorization": token})
    assert answer.status_code == 403
    assert "token is missing or wrong" in answer.text


@pytest.mark.parametrize("path", READABLE)
def test_the_token_may_be_in_the_address(server, path):
    address = f"{path}{'&' if '?' in path else '?'}token={TOKEN}"
    assert server.client.get(address, headers={"authorization": ""}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"authorization": ""}, {"origin": "http://evil.example"}, {"origin": "null"}, {"host": "evil.example"}]
)
def test_nobody_else_has_exports_written(server, headers):
    assert server.client.post("/api/v1/exports?format=png", headers=headers).status_code in (403, 421)
    assert not server.workspace.exports.busy
    assert server.client.post("/api/v1/exports?format=png").status_code == 200


def test_health_and_the_page_s_files_need_no_token(server):
    for path in ("/healthz", "/page/main.js", "/page/style.css", "/favicon.ico"):
        assert server.client.get(path, headers={"authorization": ""}).status_code == 200
    assert server.client.get("/healthz").json()["status"] == "ok"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:8001", "127.0.0.1.evil.example:8000", ""])
@pytest.mark.parametrize("path", ["/", "/healthz", "/page/main.js"])
def test_other_hosts_are_refused(server, host, path):
    assert server.client.get(path, headers={"host": host}).status_code == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1:8000", "null", "http://127.0.0.1:8001"])
def test_other_origins_are_refused(server, origin):
    assert server.client.get("/api/v1/images", headers={"origin": origin}).status_code == 403
    page = FakePage(server.client, headers=[(b"origin", origin.encode())])
    assert page.connect()["type"] == "websocket.close"


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1]])
def test_socket_needs_the_token(server, token):
    assert FakePage(server.client, token=token).connect()["type"] == "websocket.close"


def test_own_origin_may_connect(server):
    with server.page("a.png", headers=[(b"origin", b"http://127.0.0.1:8000")]) as page:
        assert page.image["width"] == 130


def test_policy_keeps_the_browser_to_this_server(server):
    headers = server.client.get("/").headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self' ws://127.0.0.1:8000"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


TRICKS = ["../secret.png", "/etc/passwd", "a.png/../../secret.png", "link.png", "..", "", ".", "a\0b.png"]
TRICKS += ["inter2former/project.json", "\\\\server\\share.png", "file:///etc/passwd", "a" * 3000]


@pytest.mark.parametrize("path", TRICKS)
def test_paths_stay_in_the_folder(server, photos, path):
    Image.fromarray(np.full((20, 20, 3), 7, np.uint8)).save(photos.parent / "secret.png")
    os.symlink(photos.parent / "secret.png", photos / "link.png")
    with server.page() as page, pytest.raises(Refusal):
        page.move("open", path=path)
    answer = server.client.get("/api/v1/tile", params={"path": path, "key": "0", "level": 0, "column": 0, "row": 0})
    assert answer.status_code == 404
    assert not [item for item in server.project.records() if item.path == path]


@pytest.mark.parametrize("path", ["/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page//etc/passwd"])
def test_the_page_s_folder_is_left_by_nobody(server, path):
    assert server.client.get(path).status_code == 404


def test_only_the_named_images_are_shown(make_server):
    server = make_server(only=("b.png",))
    assert [item["path"] for item in server.client.get("/api/v1/images").json()] == ["b.png"]
    with server.page() as page:
        with pytest.raises(Refusal, match="none of the images that were opened"):
            page.move("open", path="a.png")
        assert page.move("open", path="b.png")


def png(width, height, rows):
    """A PNG of one colour whose header may promise more than there is."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packed = zlib.compress(b"\0" * ((width + 1) * rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def broken_files(folder):
    whole = (folder / "a.png").read_bytes()
    yield "bomb.png", png(20_000, 20_000, 1), "larger than 12000 px"
    yield "flat-bomb.png", png(2**31 - 1, 1, 0), "larger than 12000 px"
    yield "half.png", whole[: len(whole) // 2], "damaged or cut short"
    yield "empty.png", b"", "the file is empty"
    yield "text.png", b"no image at all", "no image that can be read"
    yield "zeros.jpg", bytes(5000), "no image that can be read"


def test_bombs_and_broken_files_are_refused_with_a_sentence(server, photos):
    with server.page("a.png") as page:
        for name, content, why in broken_files(photos):
            (photos / name).write_bytes(content)
            with pytest.raises(Refusal, match=why):
                page.move("open", path=name)
        assert page.click(65, 45)
        assert page.settle() is not None
    listed = server.client.get("/api/v1/images").json()
    assert {item["path"] for item in listed} >= {"bomb.png", "half.png"}


def test_half_written_file_opens_when_it_is_whole(server, photos):
    whole = (photos / "a.png").read_bytes()
    (photos / "late.png").write_bytes(whole[:2000])
    with server.page() as page:
        with pytest.raises(Refusal, match="damaged"):
            page.move("open", path="late.png")
        (photos / "late.png").write_bytes(whole)
        assert page.move("open", path="late.png")


def test_another_file_under_the_name_is_not_shown_with_the_old_objects(server, photos):
    with server.page("a.png") as page:
        page.click(65, 45)
        page.move("commit")
        (photos / "a.png").write_bytes((photos / "b.png").read_bytes())
        with pytest.raises(Refusal, match="another file than the one that was annotated"):
            page.move("open", path="a.png")
        assert page.move("open", path="a.png", accept=True)
        assert [item["id"] for item in page.objects] == [1]


NONSENSE = [
    "",
    "null",
    "[]",
    "{}",
    '{"id": "one", "type": "undo"}',
    '{"id": 1}',
    "[" * 100_000,
    '{"id": 1, "type": "prompt", "prompt": ' + '{"a":' * 5000 + "1" + "}" * 5001,
    '{"id": 1, "type": "prompt", "prompt": {"type": "click", "x": 1e999, "y": 0, "positive": true}}',
    '{"id": 1, "type": "prompt", "prompt": {"type": "click", "x": -1, "y": 0, "positive": true}}',
    '{"id": 1, "type": "prompt", "prompt": {"type": "click", "x": ' + "9" * 4000 + ', "y": 0, "positive": true}}',
    '{"id": 1, "type": "prompt", "prompt": {"type": "click", "x": ' + "9" * 5000 + ', "y": 0, "positive": true}}',
    '{"id": 1, "type": "prompt", "prompt": {"type": "scribble", "points": [], "radius": 1, "positive": true}}',
    '{"id": 1, "type": "prompt", "prompt": {"type": "stroke", "points": [[NaN, 1]], "radius": 1, "erase": true}}',
    '{"id": 1, "type": "prompt", "prompt": {"type": "stroke", "points": [1, 2], "radius": 1, "erase": true}}',
    '{"id": 1, "type": "prompt", "prompt": {"type": "stroke", "points": [[1, 2]], "radius": 1e300, "erase": true}}',
    '{"id": 1, "type": "prompt", "prompt": {"type": "mask", "size": [90, 130], "counts": "\\u0000\\uffff"}}',
    '{"id": 1, "type": "prompt", "prompt": {"type": "mask", "size": [99999, 99999], "counts": "0"}}',
    '{"id": 1, "type": "labels", "labels": [1]}',
    '{"id": 1, "type": "labels", "labels": [{"id": 7, "name": "x", "colour": "#000000"}]}',
    '{"id": 1, "type": "open", "path": ["a.png"]}',
    '{"id": 1, "type": "edit", "object": 1, "values": {"label": true}}',
]


def test_nonsense_is_refused_and_the_page_goes_on(server):
    with server.page("a.png") as page:
        for text in NONSENSE:
            page.send_raw(text)
            assert page.receive("refused")["why"]
        assert page.click(65, 45)
        assert page.settle() is not None
    assert len(server.project.record("a.png").draft.prompts) == 1


def test_bytes_end_the_conversation_of_this_page_only(server):
    with server.page("a.png") as other:
        with server.page() as page:
            page.send_raw(b"\0\1\2")
            with pytest.raises(Closed):
                page.receive("answer")
        assert other.click(65, 45)


def test_lines_and_lists_are_bounded(make_server):
    server = make_server(corners=10, prompts=2, labels=2)
    with server.page("a.png") as page:
        with pytest.raises(Refusal, match="at most 10 are taken"):
            page.prompt("scribble", points=[[n, n] for n in range(11)], radius=1, positive=True)
        with pytest.raises(Refusal, match="at most 2 are taken"):
            page.move("labels", labels=[{"id": None, "name": str(n), "colour": "#000000"} for n in range(3)])
        page.click(1, 1)
        page.click(2, 2)
        with pytest.raises(Refusal, match="has 2 prompts"):
            page.click(3, 3)


def test_one_page_too_many_is_told_so(make_server):
    server = make_server(pages=2)
    with server.page("a.png"), server.page("b.png"):
        late = FakePage(server.client)
        late.connect()
        with pytest.raises(Closed, match="2 pages are open already"):
            late.receive()
    with server.page("a.png") as page:
        assert page.click(1, 1)


def test_page_that_never_reads_is_left(make_server):
    server = make_server(waiting_bytes=2000)
    with server.page("a.png") as page:
        page.stuck = True
        for _ in range(40):
            page.send("fly")
        with pytest.raises(Closed, match="1008"):
            page.receive("nothing of the kind")
        assert not server.workspace.pages
        page.stuck = False


def test_answers_say_nothing_about_the_machine(server, photos):
    text = json.dumps(server.client.get("/healthz").json()) + server.client.get("/metrics").text
    assert str(photos) not in text
    assert "a.png" not in text
