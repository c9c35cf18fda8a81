"""The image encoder under torch and under OpenVINO, in turns: time, difference, memory.

    python bench/encoder_runtimes.py [--preset inter2former-b] [--size 1024] [--height 768] [--threads 2]
                                     [--repeats 9] [--precision bfloat16]

Prints the least and the median time of `Engine.encode` with each and of the image encoder alone, the median of the
ratios of calls side by side, the greatest difference of the embedding and the edges as a share of the greatest value,
how long OpenVINO takes to get ready with and without a kept graph, and the most memory of a process that encodes one
image with either. A preset that comes without weights has random ones.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from inter2former.benchmark.clock import peak_memory_gib
from inter2former.benchmark.scene import photo_like
from inter2former.benchmark.session import random_engine
from inter2former.config import PRESETS, STRIDE
from inter2former.machine import processor
from inter2former.model.normalise import normalised_input
from inter2former.session.blob_store import BlobStore
from inter2former.session.compiled_encoder import CompiledEncoder
from inter2former.session.engine import Engine

RUNTIMES = ("torch", "openvino")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="inter2former-t", choices=tuple(PRESETS))
    parser.add_argument("--size", type=int, default=1024, help="longest side of the image in pixels")
    parser.add_argument("--height", type=int, help="the other side; default: a square")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"), help="of OpenVINO")
    parser.add_argument("--memory-of", choices=RUNTIMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    image = np.ascontiguousarray(photo_like(options.size)[: options.height])
    if options.memory_of is not None:
        engine_with(options, options.memory_of).encode(image)
        print(f"{peak_memory_gib():.2f}")
        return
    size = f"{image.shape[1]} x {image.shape[0]}"
    print(f"{options.preset}, {size}, {options.threads} threads, {options.precision}, {processor()}")
    # First of all: a process begins with the peak of the one that started it.
    for runtime in RUNTIMES:
        command = [sys.executable, *sys.argv, "--memory-of", runtime]
        peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        print(f"peak memory, {runtime:<12}{peak} GiB", flush=True)
    engines = {runtime: engine_with(options, runtime) for runtime in RUNTIMES}
    print_readiness(engines["openvino"])
    config = engines["torch"].network.config
    pixels = normalised_input(image, stride=STRIDE, channel_order=config.channel_order, padding=config.padding)
    with torch.inference_mode():
        print_times(
            "Engine.encode", {name: lambda e=engine: e.encode(image) for name, engine in engines.items()}, options
        )
        print_times(
            "image encoder", {name: lambda e=engine: e.features(pixels) for name, engine in engines.items()}, options
        )
    reference, other = (engine.encode(image).encoded for engine in engines.values())
    names = ("embedding", *(f"edges, level {level}" for level in reversed(range(len(reference.edges)))))
    for name, wanted, found in zip(
        names, (reference.embedding, *reference.edges), (other.embedding, *other.edges), strict=True
    ):
        print(f"difference of {name:<16}{float((found - wanted).abs().max() / wanted.abs().max()):.1e}")


def engine_with(options: argparse.Namespace, runtime: str) -> Engine:
    precision = options.precision if runtime == "openvino" else "float32"
    if options.preset == "inter2former-t":
        return Engine.load(size=options.size, encoder=runtime, precision=precision)
    return random_engine(options.preset, size=options.size, encoder=runtime, precision=precision)


def print_readiness(engine: Engine) -> None:
    assert engine.compiled is not None
    with tempfile.TemporaryDirectory() as folder:
        for state in ("nothing kept", "graph kept"):
            encoder = CompiledEncoder(engine.compiled.encoder, engine.compiled.nets, store=BlobStore(Path(folder)))
            started = time.perf_counter()
            encoder.prepare()
            print(f"ready, {state:<15}{time.perf_counter() - started:.2f} s")


def print_times(what: str, calls, options: argparse.Namespace) -> None:
    seconds = {name: [] for name in calls}
    for _ in range(options.repeats + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    for name, taken in seconds.items():
        milliseconds = 1000 * np.array(taken[1:])
        print(f"{what}, {name:<10}least {milliseconds.min():7.1f} ms, median {np.median(milliseconds):7.1f} ms")
    first, second = (np.array(taken[1:]) for taken in seconds.values())
    print(f"{what}: torch takes {np.median(first / second):.2f} times as long, side by side")


if __name__ == "__main__":
    main()
