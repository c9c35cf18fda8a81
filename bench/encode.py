"""What encoding an image costs: processor seconds of each stage, and the most memory that the process held.

    python bench/encode.py [--preset inter2former-b] [--size 1024] [--threads 2]

Random weights; one call of each stage, after one that does not count. Processor seconds, summed over the threads, say
what a stage costs even while the machine does other things; `inter2former bench` prints the time on a clock.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from inter2former.benchmark.clock import peak_memory_gib
from inter2former.benchmark.session import random_engine
from inter2former.benchmark.stages import encode_stages
from inter2former.machine import processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="inter2former-b")
    parser.add_argument("--size", type=int, default=1024, help="side of the square image in pixels")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    network = random_engine(options.preset, size=options.size).network
    image = torch.randn(1, 3, options.size, options.size).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        seconds = {name: processor_seconds(stage.run) for name, stage in encode_stages(network, image).items()}
    print(f"{options.preset} at {options.size} px, {options.threads} threads, {processor()}")
    for name, spent in seconds.items():
        print(f"{name:<16}{spent:8.2f} s {spent / sum(seconds.values()):6.1%}")
    print(f"{'peak memory':<16}{peak_memory_gib():8.2f} GiB")


def processor_seconds(stage: Callable[[], object]) -> float:
    """Of all threads of this process, for one call."""
    started = time.process_time()
    stage()
    return time.process_time() - started


if __name__ == "__main__":
    main()
