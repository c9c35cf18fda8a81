"""Time every stage of an interactive session and the memory it takes.

    python bench/latency.py [--size 1024] [--threads 2] [--repeats 9] [--weights FILE] [--json]

The image is square, the worst case of its working size. "click" rows refine an elliptical object whose box has the
named share of the image's side; every figure is a median over the repeats, after one warm-up.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from inter2former import Predictor
from inter2former.clicks.reference_map import apply_prediction, blank_map, stamp_next_click
from inter2former.config import STRIDE
from inter2former.frame import WorkingFrame, resize_to_working
from inter2former.model.boundary import select_boundary_tokens
from inter2former.model.boxes import tight_box
from inter2former.model.normalise import normalised_input
from inter2former.prompt import Click

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--weights")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true", help="also write bench/results/MACHINE-SIZE.json")
    options = parser.parse_args()
    result = measure(options)
    if options.save:
        save(result)
    print(json.dumps(result) if options.json else table(result))


def measure(options: argparse.Namespace) -> dict[str, object]:
    started = time.perf_counter()
    predictor = Predictor(weights=options.weights, size=options.size, threads=options.threads)
    load = time.perf_counter() - started
    image = photo_like(options.size)
    with torch.inference_mode():
        result = {
            "machine": processor(),
            "threads": torch.get_num_threads(),
            "size": options.size,
            "load": load,
            "encode": encode_stages(predictor, image, options.repeats),
            "first click": first_click(predictor, image, options.repeats),
        }
        for share in SHARES:
            result[f"click, box {share:.0%}"] = click_stages(predictor, image, share, options.repeats)
    result["peak_memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return result


def encode_stages(predictor: Predictor, image: np.ndarray, repeats: int) -> dict[str, float]:
    network = predictor._network
    frame = WorkingFrame.fit(image.shape[1], image.shape[0], size=predictor.size, stride=STRIDE)
    x = normalised_input(resize_to_working(image, frame), stride=STRIDE)
    features = network.encoder(x)
    return {
        "resize and normalise": median(
            lambda: normalised_input(resize_to_working(image, frame), stride=STRIDE), repeats
        ),
        "image encoder": median(lambda: network.encoder(x), repeats),
        "edge encoder": median(lambda: network.edge_encoder(x, features.skips), repeats),
        "total, set_image": median(lambda: predictor.set_image(image), repeats),
    }


def first_click(predictor: Predictor, image: np.ndarray, repeats: int) -> dict[str, float]:
    def click() -> None:
        predictor.reset()
        predictor.add_click(image.shape[1] // 2, image.shape[0] // 2)

    predictor.set_image(image)
    return {"total, add_click": median(click, repeats)}


def click_stages(predictor: Predictor, image: np.ndarray, share: float, repeats: int) -> dict[str, float]:
    network, encoded = predictor._network, predictor._encoded
    mask = ellipse(image.shape[0], share)
    config = network.config.clicks
    blank = blank_map(*mask.shape, config)
    side = mask.shape[0]
    click = Click(int(side * (0.5 + share / 2)) - 8, side // 2)

    def prompt() -> np.ndarray:
        return stamp_next_click(apply_prediction(known, mask), click, config, first=False)

    known = apply_prediction(apply_prediction(blank, mask), mask)
    reference_map = torch.from_numpy(prompt())[None, None]
    x = encoded.embedding + network.prompt_embedding(reference_map)
    boundary = select_boundary_tokens(reference_map, rule=network.config.decoder.boundary, stride=STRIDE)
    tokens = x.flatten(2).transpose(1, 2)

    def blocks() -> torch.Tensor:
        y = tokens
        for block in network.blocks:
            y = block(y, boundary)
        return y.transpose(1, 2).unflatten(2, boundary.shape[1:])

    prompted = blocks()
    object_tokens = torch.nn.functional.max_pool2d(torch.from_numpy(mask)[None].float(), STRIDE) > 0
    box = tight_box(object_tokens[0]).grown(1, *object_tokens.shape[1:])
    stages = {
        "reference map": median(prompt, repeats),
        "prompt embedding": median(lambda: network.prompt_embedding(reference_map), repeats),
        "boundary tokens": median(
            lambda: select_boundary_tokens(reference_map, rule=network.config.decoder.boundary, stride=STRIDE), repeats
        ),
        "blocks": median(blocks, repeats),
        "upsampling": median(lambda: network.upsampling.upsample_box(prompted, encoded.edges, box), repeats),
    }

    def session() -> float:
        predictor.set_mask(mask)
        return predictor.add_click(click.x, click.y).timings["total"]

    session()
    stages["total, add_click"] = 1000 * statistics.median(session() for _ in range(repeats))
    stages["boundary share"] = float(boundary.float().mean())
    return stages


def median(function: Callable[[], object], repeats: int) -> float:
    """Median milliseconds of a call."""
    function()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def photo_like(side: int) -> np.ndarray:
    """A square of coloured ellipses over noise, the same on every machine."""
    rng = np.random.default_rng(0)
    image = rng.integers(90, 130, (side, side, 3), dtype=np.uint8)
    y, x = np.mgrid[:side, :side]
    for _ in range(12):
        (cx, cy), (a, b) = rng.uniform(0, side, 2), rng.uniform(side / 16, side / 4, 2)
        image[((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1] = rng.integers(0, 256, 3)
    return image


def ellipse(side: int, share: float) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    radius = share * side / 2
    return ((x - side / 2) / radius) ** 2 + ((y - side / 2) / radius) ** 2 < 1


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def save(result: dict[str, object]) -> None:
    name = "-".join(str(result["machine"]).lower().split()) + f"-{result['size']}.json"
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(result, indent=2) + "\n")


def table(result: dict[str, object]) -> str:
    lines = []
    for name, value in result.items():
        if isinstance(value, dict):
            lines.append(f"{name} (ms)")
            lines += [f"    {stage:<24}{figure:8.3g}" for stage, figure in value.items()]
        else:
            lines.append(f"{name:<28}{value:.3g}" if isinstance(value, float) else f"{name:<28}{value}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
