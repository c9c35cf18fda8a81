"""Queueing, several pages, memory, high resolution, and what the server says about itself."""

from __future__ import annotations

import gc
import re
import threading
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.engines import TINY_CLICKS, PaperEngine, tiny_engine
from tests.web.conftest import Refusal

from inter2former.images import load_image
from inter2former.prompt import Click
from inter2former.session.encoding_store import EncodingStore
from inter2former.session.engine import Engine
from inter2former.session.region import Region, refined
from inter2former.session.tree import Session
from inter2former.web import freed
from inter2former.web.gallery import TILE, Photo


class SlowEngine(PaperEngine):
    """Encodes when it is let to; notes what it did."""

    network = SimpleNamespace(config=SimpleNamespace(clicks=TINY_CLICKS), named_children=lambda: ())
    size = 64

    def __init__(self):
        super().__init__()
        self.encoded = []
        self.may_encode = threading.Event()
        self.may_encode.set()

    def encode(self, image, report=None):
        if report is not None:
            report("embed")
        assert self.may_encode.wait(30)
        self.encoded.append(image.shape[:2])
        encoding = super().encode(image)
        return SizedEncoding(encoding.frame, encoding.encoded, encoding.seconds)


class SizedEncoding(SimpleNamespace):
    """An encoding that says it takes a megabyte."""

    nbytes = 1 << 20

    def __init__(self, frame, encoded, seconds):
        super().__init__(frame=frame, encoded=encoded, seconds=seconds)

    __hash__ = object.__hash__


@pytest.fixture
def engine():
    return SlowEngine()


def test_clicks_wait_for_the_encoding_and_none_is_lost(make_server, engine):
    engine.may_encode.clear()
    server = make_server(lambda: engine)
    with server.page("a.png") as page:
        for x in (60, 50, 40):
            assert page.click(x, 45)
        page.move("undo")
        assert page.draft["undone"] == 1
        assert page.answer["pending"] == 2
        assert len(server.project.record("a.png").draft.prompts) == 2
        assert {"wait", "embed"} & {m["stage"] for m in page.messages if m["type"] == "progress"}
        engine.may_encode.set()
        page.settle()
    # The click that was taken back while it waited was never computed.
    assert engine.answers == 2


def test_clicks_before_the_network_is_loaded_wait_too(make_server, engine):
    loaded = threading.Event()

    def load():
        assert loaded.wait(30)
        return engine

    server = make_server(load)
    assert server.client.get("/healthz").json()["ready"] is False
    with server.page("a.png") as page:
        assert page.hello["ready"] is False
        page.click(60, 45)
        loaded.set()
        page.settle()
    assert server.client.get("/healthz").json()["ready"] is True


def test_image_that_was_left_is_not_encoded(make_server, engine, photos, photo):
    sizes = {"a.png": (90, 130), "d.png": (80, 70), "e.png": (60, 110)}
    for name, size in sizes.items():
        Image.fromarray(photo(*size)).save(photos / name)
    engine.may_encode.clear()
    server = make_server(lambda: engine, only=("e.png", "d.png"))
    with server.page("e.png") as page:
        page.receive("progress")
        page.move("open", path="d.png")
        page.click(30, 30)
        engine.may_encode.set()
        page.settle()
        # The first may have begun before it was left; the second is then the next.
        assert sizes["d.png"] in engine.encoded[:2]
        assert page.image["path"] == "d.png"


def test_next_image_is_encoded_before_it_is_opened(make_server, engine):
    server = make_server(lambda: engine)
    with server.page("a.png") as page:
        page.click(60, 45)
        page.settle()
        wait_for(lambda: len(server.workspace.gallery.encodings) == 3)
        count = len(engine.encoded)
        page.move("open", path="b.png")
        page.click(60, 45)
        page.settle()
        assert len(engine.encoded) == count


def test_pages_on_one_image_do_not_disturb_each_other(make_server, engine):
    server = make_server(lambda: engine)
    with server.page("a.png") as one, server.page("a.png") as other:
        assert one.image["kept"]
        assert not other.image["kept"]
        assert one.click(60, 45) is True
        assert other.click(20, 20) is False
        first, second = one.settle().copy(), other.settle().copy()
        assert len(one.prompts) == len(other.prompts) == 1
        assert (first != second).any()
        assert server.project.record("a.png").draft.prompts == (Click(60, 45),)
        other.move("commit")
        while 1 not in one.masks:
            one.receive("objects")
        np.testing.assert_array_equal(one.masks[1], second)
        one.move("commit")
        while 2 not in other.masks:
            other.receive("objects")
        np.testing.assert_array_equal(other.masks[2], first)
        assert server.project.record("a.png").draft is None
    assert len(server.project.record("a.png").objects) == 2


def test_second_page_keeps_its_work_when_the_first_has_gone(make_server, engine):
    server = make_server(lambda: engine)
    with server.page("a.png") as other:
        with server.page("a.png") as late:
            assert late.click(20, 20) is False
            other.__exit__(None, None, None)
            assert late.click(30, 20) is True
            assert len(server.project.record("a.png").draft.prompts) == 2
        other.__enter__()


def test_fifty_pages_at_once(make_server, engine, photos, photo):
    # No larger than the working size: a fine answer would replace the first one at any moment.
    for seed, name in enumerate(("a.png", "b.png", "more/c.png")):
        Image.fromarray(photo(48, 64, seed)).save(photos / name)
    server = make_server(lambda: engine)
    pages = [server.page(("a.png", "b.png", "more/c.png")[number % 3]) for number in range(50)]
    for page in pages:
        page.__enter__()
    try:
        for number, page in enumerate(pages):
            page.send("prompt", prompt={"type": "click", "x": number, "y": 47 - number % 40, "positive": True})
        masks = []
        for page in pages:
            page.receive("done")
            masks.append(page.settle())
        for number, mask in enumerate(masks):
            image = load_image(server.project.library.folder / pages[number].image["path"])
            session = Session(engine, engine.encode(image))
            np.testing.assert_array_equal(mask, session.add(Click(number, 47 - number % 40)).mask)
        for page in pages:
            assert page.move("commit")
    finally:
        for page in pages:
            page.__exit__(None, None, None)
    assert sum(len(record.objects) for record in server.project.records()) == 50
    assert not server.workspace.pages
    assert server.workspace.shelf.used == 0


def test_memory_is_bounded_and_the_oldest_idle_encodings_leave(make_server, engine, photos, photo):
    for number in range(12):
        Image.fromarray(photo(60, 80, number)).save(photos / f"x{number:02}.png")
    budget = 10 << 20
    server = make_server(lambda: engine, memory=budget)
    space = server.workspace
    pages = [server.page(f"x{number:02}.png") for number in range(12)]
    for page in pages:
        page.__enter__()
        page.click(30, 30)
        page.settle()
        assert space.gallery.encodings.used <= space.limits.encodings
        assert len([desk for desk in space._sessions if desk.session is not None]) <= 4
        assert space.gallery.photos.used <= space.limits.pixels
    pages[0].click(40, 30)
    session = Session(engine, engine.encode(load_image(photos / "x00.png")))
    np.testing.assert_array_equal(pages[0].settle(), session.resume([Click(30, 30), Click(40, 30)]).mask)
    # A session that was given up is made again when its object is finished.
    pages[1].move("commit")
    assert pages[1].objects[0]["prompts"] == 1
    for page in pages:
        page.__exit__(None, None, None)


def test_pages_that_left_leave_nothing_behind(make_server, engine):
    server = make_server(lambda: engine)
    for _ in range(5):
        with server.page("a.png") as page:
            page.click(60, 45)
            page.settle()
            page.move("open", path="b.png")
    gc.collect()
    assert server.workspace.shelf.used == 0
    assert not server.workspace._sessions
    assert not server.workspace._owners


def test_large_photo_gets_a_fine_edge_in_the_background(make_server, engine, photos):
    image = np.full((400, 640, 3), 60, np.uint8)
    cv2.circle(image, (300, 200), 30, (200, 80, 40), -1)
    Image.fromarray(image).save(photos / "large.png")

    def answer(encoding, reference_map):
        engine.answers += 1
        logits = np.where(cv2.blur((reference_map >= 3).astype(np.float32), (3, 3)) > 0.5, 4, -4).astype(np.float32)
        return logits, (0, 0, logits.shape[1], logits.shape[0])

    engine.answer = answer
    server = make_server(lambda: engine, only=("large.png",))
    with server.page("large.png") as page:
        page.prompt("lasso", points=[[260, 160], [340, 160], [340, 240], [260, 240]], positive=True)
        coarse = page.settle().copy()
        overtaken = page.answer["fine"]
        while not page.answer["fine"]:
            page.receive("answer")
        fine = page.masks[None].copy()
        page.move("commit")
    stored = server.project.record("large.png").objects[0]
    np.testing.assert_array_equal(stored.mask.mask, fine)
    left, top, right, bottom = stored.attributes["region"]
    session = Session(engine, engine.encode(image))
    prediction = session.resume(stored.prompts)
    np.testing.assert_array_equal(fine if overtaken else prediction.mask, coarse)
    again = refined(engine, Region(left, top, engine.encode(image[top:bottom, left:right])), prediction)
    np.testing.assert_array_equal(again.mask, fine)
    assert (bottom - top, right - left) in engine.encoded


def test_object_committed_early_gets_its_fine_edge_later(make_server, engine, photos):
    image = np.full((400, 640, 3), 60, np.uint8)
    Image.fromarray(image).save(photos / "large.png")
    engine.answer = lambda encoding, plane: (np.where(plane >= 2, 4, -4).astype(np.float32), (0, 0, *plane.shape[::-1]))
    server = make_server(lambda: engine, only=("large.png",))
    with server.page("large.png") as page:
        page.prompt("box", left=280, top=180, right=340, bottom=240)
        coarse = page.settle()
        if not page.answer["fine"]:
            page.move("commit")
            wait_for(lambda: "region" in server.project.record("large.png").objects[0].attributes)
            fine = server.project.record("large.png").objects[0]
            # Done one after the other: what followed from the fine edge has happened too.
            page.move("label", label=None)
            page.move("undo")
            page.move("redo")
            again = server.project.record("large.png").objects[0]
            assert (again.mask, again.attributes) == (fine.mask, fine.attributes)
            page.click(5, 5)
            assert page.masks[1].any()
            assert page.masks[1].shape == coarse.shape


def test_precomputed_images_are_not_encoded_again(make_server, photos, tmp_path, monkeypatch):
    first = tiny_engine()
    for read_only in (False, True):
        engine = Engine(first.network, size=first.size)
        engine.store = EncodingStore(tmp_path / "cache", weights_hash="ab" * 32, size=64, read_only=read_only)
        if not read_only:
            encoding = engine.encode(load_image(photos / "a.png"))
    expected = Session(first, encoding).add(Click(65, 45)).mask
    encoded = []
    monkeypatch.setattr(engine, "_encoded", lambda image, *_: encoded.append(image.shape))
    server = make_server(lambda: engine, only=("a.png",))
    with server.page("a.png") as page:
        page.click(65, 45)
        np.testing.assert_array_equal(page.settle(), expected)
    assert not encoded


def test_answers_say_what_they_took(server):
    with server.page("a.png") as page:
        page.click(65, 45)
        page.settle()
        page.click(20, 20)
        page.settle()
        answer = page.answer
        assert 0 < answer["waited"] < answer["waited"] + answer["seconds"] < answer["elapsed"] < 30
        page.move("label", label=None)
        assert (page.answer["waited"], page.answer["elapsed"]) == (0, 0)


def test_tiles_put_together_are_the_image(server, photos):
    image = np.random.default_rng(0).integers(0, 255, (700, 1100, 3), dtype=np.uint8)
    Image.fromarray(image).save(photos / "tiles.png")
    with server.page("tiles.png") as page:
        key, levels = page.image["key"], page.image["levels"]
        assert (page.image["tile"], levels) == (TILE, 3)
    found = np.zeros_like(image)
    for row in range(2):
        for column in range(3):
            query = {"path": "tiles.png", "key": key, "level": 0, "column": column, "row": row}
            answer = server.client.get("/api/v1/tile", params=query)
            assert answer.headers["content-type"] == "image/png"
            assert "immutable" in answer.headers["cache-control"]
            bgr = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
            part = found[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
            part[:] = bgr[..., ::-1]
    np.testing.assert_array_equal(found, image)
    for bad in ({"level": levels}, {"column": 3}, {"row": 2}, {"key": "other"}):
        assert server.client.get("/api/v1/tile", params={**query, **bad}).status_code == 404
    for bad in ({"level": -1}, {"row": "x"}, {"path": "x" * 5000}):
        assert server.client.get("/api/v1/tile", params={**query, **bad}).status_code == 422


@pytest.mark.parametrize("size", [(1, 1), (512, 512), (513, 3), (12000, 5), (1025, 1025)])
def test_level_count_is_that_of_the_levels(size):
    photo = Photo("x.png", None, (0, 0), np.zeros((*size, 3), np.uint8))
    assert photo.level_count == len(photo.levels)
    assert max(photo.levels[-1].shape[:2]) <= TILE


def test_metrics_are_prometheus_text(server):
    with server.page("a.png") as page:
        page.click(65, 45)
        page.settle()
        with pytest.raises(Refusal):
            page.move("fly")
        text = server.client.get("/metrics").text
    sample = re.compile(r'[a-z0-9_]+(\{[a-z]+="[^"]*"\})? -?[0-9.e+-]+')
    names = set()
    for line in text.splitlines():
        assert line.startswith("# ") or sample.fullmatch(line), line
        names.add(line.split("{")[0].split(" ")[0])
    assert 'inter2former_moves_total{move="prompt"} 1' in text
    assert 'inter2former_refusals_total{what="message"} 1' in text
    assert "inter2former_answer_seconds_count 1" in text
    assert {"inter2former_pages", "inter2former_encoding_bytes", "inter2former_queue_length"} <= names


def test_openapi_describes_the_http_part(server):
    paths = server.client.get("/openapi.json").json()["paths"]
    exports = {"/api/v1/exports", "/api/v1/exports/{key}", "/api/v1/outlines"}
    assert set(paths) == {"/healthz", "/metrics", "/api/v1/images", "/api/v1/tile"} | exports


def test_failing_network_ends_the_server_with_its_reason(make_server):
    failed = threading.Event()
    from inter2former.web import app

    def load():
        raise ValueError("no such weights")

    with pytest.MonkeyPatch.context() as patch:
        real = app.Workspace.start
        patch.setattr(app.Workspace, "start", lambda self, _=None: real(self, failed.set))
        server = make_server(load)
        assert failed.wait(10)
    assert str(server.workspace.failure) == "no such weights"


def wait_for(condition, seconds=20):
    """Wait until something holds."""
    waited = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        waited.wait(0.01)
    raise AssertionError("waited in vain")


def test_damaged_first_image_is_no_failure_and_is_called_by_its_name(make_server, photos, caplog):
    (photos / "0.png").write_bytes((photos / "a.png").read_bytes()[:300])
    server = make_server()
    with server.page() as page:
        assert page.hello["first"] == "0.png"
        with pytest.raises(Refusal, match=r"^0\.png: the image is damaged or cut short"):
            page.move("open", path="0.png")
        assert page.move("open", path="a.png")
    server.close()
    assert caplog.records == []


def test_memory_goes_back_to_the_system_after_each_encoding(make_server, engine, monkeypatch):
    given_back = []
    monkeypatch.setattr("inter2former.web.gallery.give_back", lambda: given_back.append(len(engine.encoded)))
    server = make_server(lambda: engine)
    with server.page("a.png") as page:
        page.click(65, 45)
        page.settle()
    assert given_back[0] == 1


@pytest.mark.parametrize("library", [SimpleNamespace(), SimpleNamespace(malloc_trim=lambda pad: 1)])
def test_other_c_libraries_keep_what_they_like(monkeypatch, library):
    freed._trim.cache_clear()
    monkeypatch.setattr(freed.ctypes, "CDLL", lambda name: library)
    freed.give_back()
    freed._trim.cache_clear()
