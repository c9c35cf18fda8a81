"""How the annotator feels, measured in a real browser: python bench/annotator.py FOLDER [--images N] [--clicks N]

Prints, and with --json writes: seconds from the command to the first mask that can be seen, milliseconds from the
release of the mouse to the mask being painted, and the server's memory after many images.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from browser import Annotator, annotator

WATCH = """() => {
  window.painted = [];
  let released = 0;
  annotator.renderer.layers.marks.addEventListener('pointerup', () => (released = performance.now()));
  annotator.state.addEventListener('draft', () => {
    const {pending, prompts} = annotator.state.draft;
    if (pending || !prompts.length || !released) return;
    const since = released;
    released = 0;
    // The callback runs before the frame is painted, the one that it asks for after it.
    requestAnimationFrame(() => requestAnimationFrame(() => window.painted.push(performance.now() - since)));
  });
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", help="of images")
    parser.add_argument("--images", type=int, default=200, metavar="N", help="to go through for the memory (200)")
    parser.add_argument("--clicks", type=int, default=60, metavar="N", help="to time (60)")
    parser.add_argument("--size", default="1024", metavar="PX", help="working size (1024)")
    parser.add_argument("--json", metavar="FILE", help="where the figures go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        project = str(Path(scratch) / "project")
        with annotator(options.folder, "--project", project, "--size", options.size) as page:
            figures = measure(page, options.images, options.clicks)
    figures["cores"] = len(os.sched_getaffinity(0))
    for name, value in figures.items():
        print(f"{name:<28} {value}")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def measure(page: Annotator, images: int, clicks: int) -> dict[str, float]:
    page.visit()
    page.page.evaluate(WATCH)
    rng = np.random.default_rng(0)
    click(page, rng, 1)
    figures: dict[str, float] = {"first_mask_s": round(time.perf_counter() - page.started, 2)}
    network = []
    given = 1
    for _ in range(clicks):
        if given == 6:
            page.page.keyboard.press("Enter")
            page.until("!annotator.state.draft.working")
            given = 0
        given += 1
        click(page, rng, given)
        network.append(page.page.evaluate("annotator.state.draft.seconds"))
    page.until(f"window.painted.length >= {clicks + 1}", 30)
    painted = np.array(page.page.evaluate("window.painted"))[1:]
    for name, values in (("click_to_paint_ms", painted), ("network_ms", np.array(network) * 1000)):
        for quantile in (50, 95):
            figures[f"{name}_p{quantile}"] = round(float(np.percentile(values, quantile)), 1)
        figures[f"{name}_least"] = round(float(values.min()), 1)
    figures["memory_first_mb"] = page.memory() >> 20
    figures |= wander(page, images)
    return figures


def click(page: Annotator, rng: np.random.Generator, number: int) -> None:
    size = page.page.evaluate("[annotator.state.picture.width, annotator.state.picture.height]")
    x, y = (rng.uniform(0.15, 0.85, 2) * size).astype(int).tolist()
    page.click(x, y, button="left" if number == 1 or rng.random() < 0.6 else "right")
    page.settled(number)


def wander(page: Annotator, images: int) -> dict[str, float]:
    """Go through images, each with a finished object."""
    seen, waits = 0, []
    while seen < images:
        # Before the step, which may change the address at once.
        before = page.page.evaluate("location.hash")
        started = time.perf_counter()
        if not page.page.evaluate("annotator.images.step(1)"):
            break
        page.until(f"location.hash !== {json.dumps(before)} && annotator.state.progress.stage === 'ready'")
        waits.append(time.perf_counter() - started)
        page.click(*page.page.evaluate("[annotator.state.picture.width / 2, annotator.state.picture.height / 2]"))
        page.settled(1)
        page.page.keyboard.press("Enter")
        page.until("annotator.connection.unsaved === 0")
        seen += 1
    ready = {"next_image_ready_s_p50": round(float(np.median(waits)), 2)} if waits else {}
    return {"images": seen + 1, **ready, "memory_last_mb": page.memory() >> 20}


if __name__ == "__main__":
    main()
