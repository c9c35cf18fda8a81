"""Make the pictures of the annotator in docs/images: python bench/screenshots.py [FOLDER]"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

import inter2former
from browser import Annotator, annotator

ROOT = Path(__file__).resolve().parents[1]
DEMO = Path(inter2former.__file__).parent / "assets" / "demo.jpg"
WIDTH, HEIGHT = 1180, 740
MOST_BYTES = 200_000

SPOON = (326, 208), (416, 328)
CUP = [((290, 110), "left"), ((222, 265), "left"), ((150, 250), "right"), ((408, 80), "right")]


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    with tempfile.TemporaryDirectory() as scratch:
        photos = Path(scratch) / "breakfast"
        photos.mkdir()
        for name in ("cup.jpg", "plate.jpg", "table.jpg"):
            shutil.copy(DEMO, photos / name)
        for scheme in ("light", "dark"):
            project = f"{scratch}/{scheme}"
            with annotator(str(photos), "--project", project, width=WIDTH, height=HEIGHT, scheme=scheme) as page:
                draw(page, out, scheme)


def draw(page: Annotator, out: Path, scheme: str) -> None:
    page.visit("cup.jpg")
    for name in ("spoon", "cup"):
        page.page.fill("#new-label input", name)
        page.page.keyboard.press("Enter")
        page.until(f"annotator.state.labels.some((label) => label.name === '{name}')")
    page.page.keyboard.press("Escape")
    page.page.locator("#marks").focus()
    page.page.keyboard.press("1")
    page.drag(*SPOON)
    page.settled(1)
    page.page.keyboard.press("Enter")
    page.until("annotator.state.objects.length === 1 && !annotator.state.draft.working")
    page.page.keyboard.press("2")
    give(page, CUP)
    page.page.mouse.move(0, 0)
    page.until("annotator.connection.unsaved === 0")
    save(page, out / ("annotator.webp" if scheme == "light" else "annotator-dark.webp"))
    if scheme == "light":
        page.page.evaluate("annotator.view.fitBox([352, 228, 392, 252], 1)")
        page.page.wait_for_timeout(500)
        save(page, out / "annotator-zoom.webp")


def give(page: Annotator, clicks: list[tuple[tuple[int, int], str]]) -> None:
    for number, (at, button) in enumerate(clicks, 1):
        page.click(*at, button=button)
        page.settled(number)


def save(page: Annotator, path: Path) -> None:
    Image.open(io.BytesIO(page.page.screenshot())).convert("RGB").save(path, "WEBP", quality=86, method=6)
    size = path.stat().st_size
    print(f"{path}: {size} bytes")
    assert size < MOST_BYTES, f"{path} takes {size} bytes, more than {MOST_BYTES}"


if __name__ == "__main__":
    main()
