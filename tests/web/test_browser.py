"""A person's session in a real browser: Debian's Chromium, the installed command, the masks compared at the end.

The network has random weights and a small working size; what it answers is as good as any for comparing.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from inter2former.predictor import Predictor
from inter2former.project.store import Project

pytestmark = pytest.mark.browser

SIZE = 272

ON_SCREEN = """([x, y]) => {
  const box = annotator.renderer.layers.marks.getBoundingClientRect(), ratio = annotator.renderer.ratio;
  const [left, top] = annotator.view.toCanvas(x + 0.5, y + 0.5);
  return [box.left + left / ratio, box.top + top / ratio];
}"""
DRAFT_MASK = """(object) => {
  const {state} = annotator, {width, height} = state.picture, set = [];
  const mask = object === null ? state.draft.mask : state.masks.get(object);
  mask.rows.forEach((row, at) => {
    for (let i = 0; i < row.length; i += 2)
      for (let x = row[i]; x < row[i + 1]; x++) set.push((mask.top + at) * width + x);
  });
  return {width, height, set};
}"""


@pytest.fixture(scope="module")
def chromium():
    """The path of a Chromium that is installed."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (found := shutil.which(name)) is not None:
            return found
    pytest.skip("no chromium here; on Debian and Ubuntu: apt install chromium")


@pytest.fixture
def folder(tmp_path, photo):
    made = tmp_path / "photos"
    made.mkdir()
    for number, name in enumerate(("a.png", "b.jpg", "c.png")):
        Image.fromarray(photo(180, 260, number)).save(made / name, quality=95)
    (made / "0-half.jpg").write_bytes((made / "b.jpg").read_bytes()[:3000])
    return made


class Command:
    """`inter2former annotate` in a process of its own."""

    def __init__(self, folder, weights, size):
        self.folder = folder
        self.program = [sys.executable, "-m", "inter2former.cli.__main__"]
        self.arguments = [*self.program, "annotate", str(folder), "--no-browser", "--json", "--port", "0"]
        self.arguments += ["--weights", str(weights), "--size", str(size)]
        self.process = None

    def start(self):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            self.arguments, stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parents[2]
        )
        line = self.process.stdout.readline()
        assert line, "the server said nothing"
        return json.loads(line)["address"]

    def stop(self, number=signal.SIGINT):
        if self.process is not None:
            self.process.send_signal(number)
            self.process.stdout.close()
            code = self.process.wait(120)
            self.process = None
            return code
        return None


@pytest.fixture
def command(folder, random_weights):
    # Not below the photos': what is shown is the predictor's answer and stays so.
    made = Command(folder, random_weights, SIZE)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, random_weights, photo):
    """The address of one server for all tests that take an image each; starting one takes seconds."""
    folder = tmp_path_factory.mktemp("shared") / "photos"
    folder.mkdir()
    for number, name in enumerate(("a.png", "b.jpg", "c.png", "d.png", "e.png", "f.png")):
        Image.fromarray(photo(180, 260, number)).save(folder / name)
    # Smaller than the photos, so that edges are drawn again in the background.
    made = Command(folder, random_weights, 128)
    yield Shared(made.start(), folder)
    assert made.stop() == 0


class Shared(NamedTuple):
    address: str
    folder: Path


class Person:
    """What a person does with the page and sees of it."""

    def __init__(self, page):
        self.page = page
        self.problems = []
        page.on("console", lambda message: self.problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    def until(self, condition, seconds=120):
        """Wait for something on the page, without the eval that its policy forbids."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"waited in vain for {condition}; problems: {self.problems}"
            time.sleep(0.02)

    def visit(self, address, path=None):
        self.page.goto(address + ("" if path is None else f"#{path}"))
        self.until("window.annotator?.state.picture != null")

    def at(self, x, y):
        return self.page.evaluate(ON_SCREEN, [x, y])

    def click(self, x, y, **values):
        self.page.mouse.click(*self.at(x, y), **values)

    def drag(self, *points, **values):
        self.page.mouse.move(*self.at(*points[0]))
        self.page.mouse.down(**values)
        for point in points[1:]:
            self.page.mouse.move(*self.at(*point), steps=4)
        self.page.mouse.up(**values)

    def press(self, key):
        self.page.keyboard.press(key)

    def settled(self, prompts):
        """Wait until the mask knows this many prompts, and all is saved; gives the mask."""
        self.until(f"annotator.state.draft.prompts.length === {prompts} && annotator.state.draft.pending === 0")
        self.until("annotator.connection.unsaved === 0")
        return self.mask()

    def mask(self, number=None):
        found = self.page.evaluate(DRAFT_MASK, number)
        mask = np.zeros(found["width"] * found["height"], bool)
        mask[found["set"]] = True
        return mask.reshape(found["height"], found["width"])

    def text(self, id):
        return self.page.locator(f"#{id}").inner_text()

    def prompts(self):
        return self.page.evaluate("annotator.state.draft.prompts")


@pytest.fixture(scope="module")
def browser(chromium):
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, which the extra dev brings")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def person(browser):
    context = browser.new_context(viewport={"width": 1100, "height": 700})
    context.set_default_timeout(120_000)
    person = Person(context.new_page())
    yield person
    context.close()


def test_a_whole_session(person, command, folder, random_weights, tmp_path):
    predictor = Predictor(weights=random_weights, size=SIZE)
    predictor.set_image(folder / "a.png")
    person.visit(command.start())

    # The first image is damaged: the page says so and shows the next one.
    assert person.page.evaluate("annotator.state.picture.path") == "a.png"
    assert person.text("message").startswith("0-half.jpg: the image is damaged or cut short")
    person.until("document.getElementById('images').textContent.includes('unreadable')")

    # Click, correct, undo, redo: the page shows what the predictor says.
    person.click(130, 90)
    first = person.settled(1)
    assert not person.page.locator("#message").is_visible()
    np.testing.assert_array_equal(first, predictor.add_click(130, 90).mask)
    person.click(20, 150, button="right")
    second = person.settled(2)
    np.testing.assert_array_equal(second, predictor.add_click(20, 150, positive=False).mask)
    person.press("Control+z")
    np.testing.assert_array_equal(person.settled(1), first)
    person.press("Control+Shift+z")
    np.testing.assert_array_equal(person.settled(2), second)
    person.until("document.getElementById('saved').textContent.startsWith('saved ')")

    # A label, and the object is done; the tool stays.
    person.page.fill("#new-label input", "cup")
    person.press("Enter")
    person.until("annotator.state.draft.label === 1")
    person.page.locator("#marks").focus()
    person.press("Enter")
    person.until("annotator.state.objects.length === 1 && !annotator.state.draft.working")
    assert "cup 1" in person.text("objects")
    np.testing.assert_array_equal(person.mask(1), second)

    # The next image, a click with Shift, and the browser is closed on it: reloading finds it again.
    person.press("d")
    person.until("annotator.state.picture.path === 'b.jpg'")
    person.click(60, 60)
    person.page.keyboard.down("Shift")
    person.click(200, 100)
    person.page.keyboard.up("Shift")
    mask = person.settled(2)
    assert [prompt["positive"] for prompt in person.prompts()] == [True, False]
    person.page.reload()
    person.until("window.annotator?.state.picture?.path === 'b.jpg'")
    np.testing.assert_array_equal(person.settled(2), mask)

    # The server is killed with an object in work, and started again.
    assert command.stop(signal.SIGKILL) == -signal.SIGKILL
    person.until("!document.getElementById('message').hidden")
    assert "does not answer" in person.text("message")
    person.visit(command.start())
    person.until("annotator.state.picture.path === 'b.jpg'")
    assert all("ERR_CONNECTION_REFUSED" in problem for problem in person.problems)
    person.problems.clear()
    np.testing.assert_array_equal(person.settled(2), mask)
    person.press("Enter")
    person.until("annotator.state.objects.length === 1 && !annotator.state.draft.working")
    assert person.problems == []
    assert command.stop() == 0

    # What is exported is what a script with the same clicks gets.
    with Project(folder / "inter2former", write=False) as project:
        records = {record.path: record for record in project.records()}
    np.testing.assert_array_equal(records["a.png"].objects[0].mask.mask, second)
    predictor.set_image(folder / "b.jpg")
    np.testing.assert_array_equal(
        records["b.jpg"].objects[0].mask.mask, predictor.resume(records["b.jpg"].objects[0].prompts).mask
    )
    out = tmp_path / "out"
    subprocess.run(
        [*command.program, "export", str(folder / "inter2former"), "--format", "png", "--out", str(out)],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    [exported] = (path for path in out.rglob("*.png") if path.parent.name.startswith("a"))
    np.testing.assert_array_equal(np.asarray(Image.open(exported)) > 0, second)


def test_every_tool(person, shared):
    person.visit(shared.address, "c.png")
    person.drag((40, 30), (220, 150))
    person.settled(1)
    person.press("s")
    person.drag((100, 80), (130, 90), (160, 100))
    person.settled(2)
    person.drag((10, 10), (40, 12), button="right")
    person.settled(3)
    person.press("l")
    person.drag((100, 60), (160, 60), (160, 120), (100, 120))
    person.settled(4)
    person.press("b")
    person.drag((10, 170), (60, 170))
    mask = person.settled(5)
    assert mask[170, 10:61].all()
    person.press("e")
    person.drag((10, 170), (30, 170))
    mask = person.settled(6)
    assert not mask[170, 10:31].any()
    assert mask[170, 45:61].all()
    kinds = [prompt["type"] for prompt in person.prompts()]
    assert kinds == ["box", "scribble", "scribble", "lasso", "stroke", "stroke"]
    assert person.prompts()[0] == {"type": "box", "left": 40, "top": 30, "right": 220, "bottom": 150}
    assert [person.prompts()[at]["positive"] for at in (1, 2)] == [True, False]
    person.press("Escape")
    person.settled(0)
    assert person.text("work") == ""
    person.press("Control+z")
    np.testing.assert_array_equal(person.settled(6), mask)
    assert person.problems == []


def test_view_keys_and_lists(person, shared):
    person.visit(shared.address, "a.png")
    for x in (60, 130):
        person.press("c")
        person.click(x, 90)
        person.settled(1)
        person.press("Enter")
        person.until("!annotator.state.draft.working")
    scale = person.page.evaluate("annotator.view.scale")
    before = person.at(130, 90)
    person.page.mouse.move(*before)
    person.page.mouse.wheel(0, -300)
    person.until(f"annotator.view.scale > {scale}")
    assert np.abs(np.subtract(person.at(130, 90), before)).max() < 2
    person.page.keyboard.down("Space")
    person.drag((130, 90), (150, 90))
    person.page.keyboard.up("Space")
    assert not person.page.evaluate("annotator.state.draft.working")
    assert person.at(130, 90)[0] > before[0] + 5
    person.press("f")
    assert person.page.evaluate("annotator.view.scale") == scale
    person.press("n")
    person.press("z")
    person.press("o")
    person.press("h")
    person.until("annotator.renderer.hidden && annotator.renderer.outlineOnly")
    person.press("h")
    person.press("]")
    assert person.page.evaluate("annotator.renderer.opacity") == pytest.approx(0.5)
    rows = person.page.locator("#objects li")
    assert rows.count() == 2
    rows.first.get_by_label("Show or hide").click()
    person.until("annotator.state.objects.some((item) => !item.visible)")
    rows.first.get_by_label("To the back").click()
    person.until("annotator.state.objects[0].id === 2")
    rows.first.get_by_label("Refine").click()
    person.until("annotator.state.draft.object === 1")
    person.press("Escape")
    person.press("Shift+Enter")
    person.until("annotator.state.picture.path === 'b.jpg'")
    person.page.select_option("#image-filter", "done")
    person.until("document.querySelectorAll('#images li').length === 1")
    assert "a.png" in person.text("images")
    person.press("?")
    assert "Finish the object" in person.text("help-keys")
    person.press("Escape")
    assert person.problems == []


def test_export_dialogue(person, shared, tmp_path):
    person.visit(shared.address, "f.png")
    person.press("b")
    person.drag((60, 60), (130, 120), (190, 70))
    person.settled(1)
    person.press("Enter")
    person.until("annotator.state.objects.length === 1 && annotator.connection.unsaved === 0")
    person.press("Shift+E")
    person.until("document.activeElement.name === 'format'")
    person.page.select_option("[name=format]", "geojson")
    person.until("document.getElementById('export-likeness').textContent.startsWith('This image: 1 object, ')")
    exact = person.text("export-likeness")
    person.page.locator("[name=tolerance]").focus()
    person.press("End")
    person.until(f"document.getElementById('export-likeness').textContent !== {json.dumps(exact)}")
    assert person.text("export-tolerance") == "within 8 px"
    person.page.select_option("[name=format]", "png")
    assert not person.page.locator("#export-detail").is_visible()
    person.page.locator("#export-start").focus()
    with person.page.expect_download() as download:
        person.press("Enter")
    assert download.value.suggested_filename == "photos-png.zip"
    download.value.save_as(tmp_path / "photos.zip")
    with zipfile.ZipFile(tmp_path / "photos.zip") as archive:
        [number] = person.page.evaluate("annotator.state.objects.map((item) => item.id)")
        picture = Image.open(io.BytesIO(archive.read(f"photos-png/f/{number}.png")))
    np.testing.assert_array_equal(np.asarray(picture) > 0, person.mask(number))
    person.until("document.getElementById('export-result').textContent.includes('photos-png.zip')")
    person.press("Escape")
    assert not person.page.evaluate("document.getElementById('export').open")
    assert person.problems == []


def test_keyboard_alone_and_names_for_a_screen_reader(person, shared):
    person.visit(shared.address, "d.png")
    nameless = person.page.evaluate(
        """[...document.querySelectorAll('button, input, select, canvas[tabindex], [role=option]')].filter((one) =>
        !(one.getAttribute('aria-label') || one.textContent.trim() || one.title || one.labels?.[0]?.textContent.trim()))
        .map((one) => one.outerHTML.slice(0, 100))"""
    )
    assert nameless == []
    person.page.locator("#marks").focus()
    for _ in range(3):
        person.press("ArrowRight")
    person.press("Shift+ArrowUp")
    person.press("Space")
    person.settled(1)
    person.press("ArrowLeft")
    person.press("Shift+Space")
    person.settled(2)
    assert [prompt["positive"] for prompt in person.prompts()] == [True, False]
    assert "2 prompts" in person.page.locator("#live").inner_text()
    person.press("Enter")
    person.until("annotator.state.objects.length === 1")
    assert person.problems == []


def test_touch(browser, shared):
    context = browser.new_context(viewport={"width": 420, "height": 800}, has_touch=True, is_mobile=True)
    person = Person(context.new_page())
    person.visit(shared.address, "e.png")
    person.page.touchscreen.tap(*person.at(130, 90))
    person.settled(1)
    person.page.locator("#sign").tap()
    person.page.touchscreen.tap(*person.at(20, 150))
    person.settled(2)
    assert [prompt["positive"] for prompt in person.prompts()] == [True, False]
    person.page.locator("[data-command=commit]").tap()
    person.until("annotator.state.objects.length === 1")
    assert person.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    out_of_sight = """[...document.querySelectorAll('header button, .tools button')].map((one) =>
        [one.title, one.getBoundingClientRect()]).filter(([, box]) => box.left < 0 || box.right > innerWidth)
        .map(([title]) => title)"""
    assert person.page.evaluate(out_of_sight) == []
    assert person.problems == []
    context.close()


def test_wrong_address_is_told(person, shared):
    answer = person.page.goto(shared.address[:-3])
    assert answer.status == 403
    assert "the token is missing or wrong" in person.page.inner_text("body")
