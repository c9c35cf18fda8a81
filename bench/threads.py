"""Do the kernels' threads and PyTorch's get in each other's way: times of each right after the other.

python bench/threads.py [--threads 2] [--rounds 200]

A fight would show as "native after PyTorch" above "native after native", whose threads watch for work for a moment, and
above "native after a pause", when PyTorch's threads sleep.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from inter2former.kernels import native


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    x, weight, square = torch.randn(2000, 256), torch.randn(256, 256), torch.randn(600, 600)

    def by_kernel() -> None:
        native.linear(x, weight, weight[0])

    def by_pytorch() -> None:
        square @ square

    def pause() -> None:
        by_pytorch()
        time.sleep(0.02)

    pairs: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
        "native after native": (by_kernel, by_kernel),
        "native after PyTorch": (by_pytorch, by_kernel),
        "native after a pause": (pause, by_kernel),
        "PyTorch after PyTorch": (by_pytorch, by_pytorch),
        "PyTorch after native": (by_kernel, by_pytorch),
    }
    times: dict[str, list[float]] = {name: [] for name in pairs}
    with torch.inference_mode():
        for _ in range(options.rounds):
            for name, (before, timed) in pairs.items():
                before()
                started = time.perf_counter()
                timed()
                times[name].append(1000 * (time.perf_counter() - started))
    for name, each in times.items():
        each.sort()
        print(f"{name:<24}least {each[0]:7.2f} ms   median {each[len(each) // 2]:7.2f} ms")


if __name__ == "__main__":
    main()
