"""Time every stage of an interactive session and the memory it takes, and keep the result.

    python bench/latency.py [--preset NAME] [--size 1024] [--threads 2] [--repeats 9] [--weights FILE] [--save]

The same as `inter2former bench`, which prints it; with --save it also goes to bench/results/PRESET-MACHINE-SIZE.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from inter2former import Predictor
from inter2former.benchmark.session import SHARES, SessionTimes, measure_session
from inter2former.cli.bench import session_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="inter2former-t")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--weights")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    predictor = Predictor(options.preset, weights=options.weights, size=options.size, threads=options.threads)
    times = measure_session(predictor.engine, options.preset, repeats=options.repeats, shares=SHARES)
    if options.save:
        save(times)
    print(json.dumps(times.to_dict()) if options.json else session_table(times))


def save(times: SessionTimes) -> None:
    machine = "-".join(times.machine.lower().split())
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{times.preset}-{machine}-{times.size}.json").write_text(json.dumps(times.to_dict(), indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
