"""`inter2former evaluate`: simulate clicks on every object of a data set and report how good the masks are."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from inter2former.cli.evaluate_report import add_report_options, compare, report
from inter2former.cli.evaluation import evaluated
from inter2former.cli.options import Subparsers, add_command, add_predictor_options
from inter2former.data.layouts import KINDS
from inter2former.evaluation.merge import merge_runs
from inter2former.evaluation.protocol import PROTOCOLS, explain, protocol_named
from inter2former.evaluation.report import write_report
from inter2former.evaluation.runner import ENGINES
from inter2former.evaluation.summary import Summary, summarise_run

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "evaluate",
        "measure the masks on a data set by simulated clicks",
        "inter2former evaluate grabcut/ --out runs/grabcut --workers 2",
    )
    parser.add_argument("dataset", nargs="?", metavar="DATASET", help="a folder, or the JSON or list file of a split")
    parser.add_argument("--kind", metavar="LAYOUT", help=f"{', '.join(KINDS)}; default: recognised")
    parser.add_argument("--split", metavar="NAME", help="which split of a folder that holds several, such as val")
    parser.add_argument("--protocol", default="strict", metavar="NAME", help=f"{', '.join(PROTOCOLS)} (strict)")
    parser.add_argument("--clicks", type=int, default=20, metavar="N", help="clicks per object (20)")
    parser.add_argument(
        "--clicker",
        default="protocol",
        choices=("protocol", "realistic"),
        help="the protocol's rule, or a person's hand",
    )
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="simulated users per object, where they differ"
    )
    parser.add_argument("--model", default="ours", help="ours, mobilesam:FILE or transformers:NAME_OR_FOLDER (ours)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth image")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    parser.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N", help="only the Ith of N parts")
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes (1), each with --threads threads"
    )
    parser.add_argument("--engine", default="local", choices=sorted(ENGINES), help="where the processes run (local)")
    parser.add_argument("--embeddings", metavar="DIR", help="keep image embeddings there between runs")
    parser.add_argument("--strict-data", action="store_true", help="stop at the first object that cannot be evaluated")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for all records; goes on where a run stopped")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--explain", metavar="PROTOCOL", help="only say what a protocol does")
    parser.add_argument(
        "--merge", nargs="+", type=Path, metavar=("OUT", "RUN"), help="only join the shards RUN... into the folder OUT"
    )
    add_report_options(parser)
    add_predictor_options(parser, threads=1, encoder="torch", precision="float32")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Evaluate, report progress on the error stream, print the summary; or what else was asked for."""
    if options.explain is not None:
        print(explain(protocol_named(options.explain)))
        return 0
    if options.merge is not None:
        out, *shards = options.merge
        if not shards:
            raise ValueError("--merge names only the folder to write; name the runs to join after it")
        merge_runs(shards, out)
        return _print(summarise_run(out), out, options)
    if options.report is not None:
        return report(options)
    if options.compare is not None:
        return compare(options)
    if options.dataset is None:
        raise ValueError(
            "there is no data set; name a folder, or ask for --explain PROTOCOL, --merge OUT RUN..., --report RUN or "
            "--compare RUN_A RUN_B"
        )
    return _print(evaluated(options), options.out, options)


def _print(summary: Summary, folder: Path | None, options: argparse.Namespace) -> int:
    """Print the figures; of a run that is kept, write the report too."""
    print(json.dumps(summary.to_dict()) if options.json else summary.to_text())
    if folder is not None:
        print(f"report: {write_report(folder)[0]}", file=sys.stderr)
    return 0


def _shard(text: str) -> tuple[int, int]:
    """Read I/N."""
    first, _, count = text.partition("/")
    if not (first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is no shard; write I/N with 1 <= I <= N, such as 2/4")
    return int(first), int(count)
