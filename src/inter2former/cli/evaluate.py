"""`inter2former evaluate`: simulate clicks on every object of a data set and report how good the masks are."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import numpy as np

from inter2former.cli.options import Subparsers, add_command, add_predictor_options
from inter2former.data.folder import FolderDataset
from inter2former.evaluation.protocol import SessionRecord
from inter2former.evaluation.report import Summary, summarise
from inter2former.evaluation.runner import PredictorOptions, evaluate_dataset

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "evaluate",
        "measure the masks on a data set by simulated clicks (protocol `strict`)",
        "inter2former evaluate grabcut/ --clicks 20 --json",
    )
    parser.add_argument("dataset", metavar="FOLDER", help="a folder with images/ and masks/ of the same file stems")
    parser.add_argument("--clicks", type=int, default=20, metavar="N", help="clicks per object (20)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth image")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (1); they share the threads")
    parser.add_argument("--out", metavar="FILE.jsonl", help="also write one line per object")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    add_predictor_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Evaluate, report progress on the error stream, print the summary."""
    for name in ("clicks", "every", "limit", "workers"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise ValueError(f"--{name} is {value}; it must be at least 1")
    dataset = FolderDataset(options.dataset)
    dataset.pairs = dataset.pairs[:: options.every][: options.limit]
    predictor = PredictorOptions(options.preset, options.weights, options.size, options.threads)
    records: list[SessionRecord] = []
    with ExitStack() as stack:
        lines = stack.enter_context(Path(options.out).open("w")) if options.out else None
        for record in evaluate_dataset(dataset, predictor, clicks=options.clicks, workers=options.workers):
            records.append(record)
            if lines is not None:
                _write_line(lines, record, options.clicks)
            if sys.stderr.isatty() or len(records) % 25 == 0:
                at = min(5, options.clicks)
                mean = np.mean([record.ious(options.clicks)[at - 1] for record in records])
                print(f"{len(records)} objects, mean IoU after {at} clicks {mean:.4f}", file=sys.stderr, flush=True)
    summary = summarise(dataset.name, records, options.clicks)
    print(json.dumps(summary.to_dict()) if options.json else _table(summary))
    return 0


def _write_line(lines: TextIO, record: SessionRecord, length: int) -> None:
    ious = [round(float(value), 5) for value in record.ious(length)]
    clicks = [(entry.click.x, entry.click.y, entry.click.positive) for entry in record.clicks]
    lines.write(json.dumps({"id": record.id, "iou": ious, "clicks": clicks}) + "\n")
    lines.flush()


def _table(summary: Summary) -> str:
    values = summary.to_dict()
    width = max(len(name) for name in values)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in values.items())
