"""Time peers of this network side by side: image encoder, whole encode, decoder, whole click.

    python bench/peers.py --weights mobile_sam.safetensors [--size 1024] [--threads 2] [--repeats 9] [--json]

The packages of the extra `peers` bring the runtimes; what is missing is named. The image is square, the worst case of
its working size; times are medians over the repeats, all peers taking turns.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

import numpy as np
import torch

from inter2former.evaluation.peers import measure_peers, mobile_sam_peers, transformers_peers

STAGES = ("encode", "encoder", "click", "decoder")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", help="a .safetensors file in the MobileSAM layout; without it only transformers'")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    threads = options.threads or torch.get_num_threads()
    peers = transformers_peers(threads=threads) if options.size == 1024 else {}
    if options.weights:
        peers |= mobile_sam_peers(options.weights, size=options.size, threads=threads)
    image = np.random.default_rng(0).integers(0, 256, (options.size, options.size, 3), dtype=np.uint8)
    times, missing = measure_peers(peers, image, repeats=options.repeats)
    if options.json:
        rows = {name: dataclasses.asdict(row) for name, row in times.items()}
        print(json.dumps({"threads": threads, "size": options.size, "seconds": rows, "missing": missing}))
        return
    print(f"{options.size} px, {threads} threads, median ms (fastest)")
    print(f"{'':<32}" + "".join(f"{stage:>18}" for stage in STAGES))
    for name, row in times.items():
        cells = (getattr(row, stage) for stage in STAGES)
        print(f"{name:<32}" + "".join(f"{1000 * t.median:10.1f} ({1000 * t.fastest:5.0f})" for t in cells))
    for name, reason in missing.items():
        print(f"{name:<32}not measured: {reason}")


if __name__ == "__main__":
    sys.exit(main())
