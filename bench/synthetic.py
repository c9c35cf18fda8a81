"""Time the making of pictures: processor seconds per picture on one thread, so that other work does not count.

python bench/synthetic.py --backgrounds train/coco [--foregrounds cut-outs] [--size 1024] [--count 40] [--thin-only]
"""

from __future__ import annotations

import argparse
import statistics
import time

import cv2

from inter2former.data.synthetic import SyntheticConfig, SyntheticSource
from inter2former.data.synthetic_cutouts import Split
from inter2former.data.synthetic_folder import open_material


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backgrounds", required=True)
    parser.add_argument("--foregrounds")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--thin-only", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    cut_outs = open_material(options.foregrounds, Split.TRAIN).files if options.foregrounds else ()
    config = SyntheticConfig.thin(options.size) if options.thin_only else SyntheticConfig(options.size)
    source = SyntheticSource(open_material(options.backgrounds).files, cut_outs, config)
    source.picture(options.count)
    seconds = []
    for index in range(options.count):
        started = time.process_time()
        source.picture(index)
        seconds.append(time.process_time() - started)
    tenths = statistics.quantiles(seconds, n=10)
    print(f"{options.size} px, {options.count} pictures: median {statistics.median(seconds):.3f} s, ", end="")
    print(f"mean {statistics.mean(seconds):.3f} s, nine of ten below {tenths[-1]:.3f} s")


if __name__ == "__main__":
    main()
