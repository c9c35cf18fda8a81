"""The annotator in a real browser, for the scripts beside this one: a server, Chromium, and what a person does."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, sync_playwright

__all__ = ["Annotator", "annotator"]

ON_SCREEN = """([x, y]) => {
  const box = annotator.renderer.layers.marks.getBoundingClientRect(), ratio = annotator.renderer.ratio;
  const [left, top] = annotator.view.toCanvas(x + 0.5, y + 0.5);
  return [box.left + left / ratio, box.top + top / ratio];
}"""


class Annotator:
    """A page with the annotator, and the process of its server."""

    def __init__(self, page: Page, address: str, process: subprocess.Popen[str], started: float):
        self.page, self.address, self.process, self.started = page, address, process, started

    def until(self, condition: str, seconds: float = 300) -> None:
        """Wait for something on the page; its policy forbids the eval of Playwright's own waiting."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            if time.monotonic() > end:
                raise TimeoutError(f"waited {seconds} s in vain for {condition}")
            time.sleep(0.005)

    def visit(self, path: str | None = None) -> None:
        self.page.goto(self.address + ("" if path is None else f"#{path}"))
        self.until("window.annotator?.state.picture != null")

    def click(self, x: float, y: float, **values: Any) -> None:
        self.page.mouse.click(*self.page.evaluate(ON_SCREEN, [x, y]), **values)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*self.page.evaluate(ON_SCREEN, list(start)))
        self.page.mouse.down()
        self.page.mouse.move(*self.page.evaluate(ON_SCREEN, list(end)), steps=5)
        self.page.mouse.up()

    def settled(self, prompts: int) -> None:
        self.until(f"annotator.state.draft.prompts.length === {prompts} && annotator.state.draft.pending === 0")

    def memory(self) -> int:
        """Resident bytes of the server; Linux only."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024


@contextmanager
def annotator(*arguments: str, width: int = 1280, height: int = 800, scheme: str = "light") -> Iterator[Annotator]:
    """Start `inter2former annotate` with these arguments, and a browser.

    Raises:
        FileNotFoundError: there is no Chromium.
    """
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise FileNotFoundError("no chromium here; on Debian and Ubuntu: apt install chromium")
    command = [sys.executable, "-m", "inter2former.cli.__main__", "annotate", "--no-browser", "--json", "--port", "0"]
    started = time.perf_counter()
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            address = json.loads(process.stdout.readline())["address"]
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                yield Annotator(page, address, process, started)
                browser.close()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
