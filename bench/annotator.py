"""How the annotator feels, measured in a real browser: python bench/annotator.py FOLDER [--images N] [--clicks N]

Prints, and with --json writes: seconds from the command to the first mask that can be seen; milliseconds from the
release of the mouse to the mask being painted, and of what they consist; the server's memory after many images.

    travel      the click to the server and the answer back, with what both spend on reading and writing messages
    wait        for the thread that runs the network
    network     from the prompt to the mask at the image's size
    answer      cutting out and packing what changed of the mask
    decode      reading it on the page
    frame       until the browser begins its next frame
    draw        the masks on their canvas
    display     until the browser begins the frame after it, when the mask is on the screen at the latest
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

# Nothing asks the page while it works: asking takes the cores from what is measured.
WATCH = """() => {
  const {connection, renderer, state} = annotator, receive = connection._receive.bind(connection);
  let released = 0, received = 0;
  connection._receive = (data) => { received = performance.now(); receive(data); };
  renderer.layers.marks.addEventListener('pointerup', () => (released = performance.now()), true);
  state.addEventListener('draft', () => {
    const decoded = performance.now(), start = released, came = received;
    const {pending, prompts, waited, seconds, elapsed} = state.draft;
    if (pending || !prompts.length || !start) return;
    released = 0;
    // The first callback runs once the page has drawn, before its frame is shown; the second in the frame after it.
    requestAnimationFrame((frame) => {
      const began = Math.max(frame, decoded), drawn = performance.now();
      requestAnimationFrame(() => {
        const shown = performance.now(), server = 1000 * elapsed;
        window.painted({click_to_paint: shown - start, travel: came - start - server, wait: 1000 * waited,
          network: 1000 * seconds, answer: server - 1000 * (waited + seconds), decode: decoded - came,
          frame: began - decoded, draw: drawn - began, display: shown - drawn});
      });
    });
  });
}"""
NEXT = "window.mask = new Promise((painted) => { window.painted = painted; }), undefined"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", help="of images")
    parser.add_argument("--images", type=int, default=200, metavar="N", help="to go through for the memory (200)")
    parser.add_argument("--clicks", type=int, default=60, metavar="N", help="to time (60)")
    parser.add_argument(
        "--pause", type=float, default=0.5, metavar="S", help="seconds between clicks, as a person looks (0.5)"
    )
    parser.add_argument("--size", default="1024", metavar="PX", help="working size (1024)")
    parser.add_argument("--memory", default="1024", metavar="MB", help="for images, encodings and masks (1024)")
    parser.add_argument("--json", metavar="FILE", help="where the figures go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        project = str(Path(scratch) / "project")
        arguments = (options.folder, "--project", project, "--size", options.size, "--memory", options.memory)
        with annotator(*arguments) as page:
            page.visit()
            page.page.evaluate(WATCH)
            rng = np.random.default_rng(0)
            click(page, rng, first=True)
            figures: dict[str, float] = {"first_mask_s": round(time.perf_counter() - page.started, 2)}
            figures |= timed_clicks(page, rng, options.clicks, options.pause)
            figures["memory_first_mb"] = page.memory() >> 20
            figures |= wander(page, options.images)
    figures["cores"] = len(os.sched_getaffinity(0))
    for name, value in figures.items():
        print(f"{name:<28} {value}")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def timed_clicks(page: Annotator, rng: np.random.Generator, clicks: int, pause: float) -> dict[str, float]:
    """Six clicks per object; the least of each part is what it takes where nothing else runs."""
    samples = []
    for number in range(1, clicks + 1):
        if number % 6 == 0:
            page.page.keyboard.press("Enter")
            page.until("!annotator.state.draft.working")
        time.sleep(pause)
        samples.append(click(page, rng, first=number % 6 == 0))
    figures: dict[str, float] = {}
    for name in samples[0] if samples else ():
        values = np.array([sample[name] for sample in samples])
        for quantile in (50, 95):
            figures[f"{name}_ms_p{quantile}"] = round(float(np.percentile(values, quantile)), 1)
        figures[f"{name}_ms_least"] = round(float(values.min()), 1)
    return figures


def click(page: Annotator, rng: np.random.Generator, *, first: bool) -> dict[str, float]:
    """Click somewhere, wait for the mask; gives the milliseconds of each part of the way."""
    size = page.page.evaluate("[annotator.state.picture.width, annotator.state.picture.height]")
    x, y = (rng.uniform(0.15, 0.85, 2) * size).astype(int).tolist()
    page.page.evaluate(NEXT)
    page.click(x, y, button="left" if first or rng.random() < 0.6 else "right")
    return page.page.evaluate("window.mask")


def wander(page: Annotator, images: int) -> dict[str, float]:
    """Go through images, each with a finished object."""
    waits, memory = [], []
    for _ in range(images):
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
        memory.append(page.memory() / 2**20)
    if not memory:
        return {}
    late = np.array(memory[len(memory) // 2 :])
    growth = np.polyfit(np.arange(len(late)), late, 1)[0] if len(late) > 1 else 0.0
    return {
        "images": len(memory),
        "next_image_ready_s_p50": round(float(np.median(waits)), 2),
        "memory_half_way_mb": round(float(late[0])),
        "memory_last_mb": round(float(late[-1])),
        "memory_most_mb": round(float(max(memory))),
        "growth_per_image_second_half_mb": round(float(growth), 2),
    }


if __name__ == "__main__":
    main()
