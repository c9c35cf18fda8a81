"""`inter2former bench`: time every stage on this machine, or what each part of the method costs."""

from __future__ import annotations

import argparse
import json
import sys

import torch

from inter2former import kernels
from inter2former.benchmark.ablation import AblationRow, measure_ablation
from inter2former.benchmark.clock import processor
from inter2former.benchmark.session import SHARES, SessionTimes, measure_session, random_engine
from inter2former.cli.options import Subparsers, add_command, add_predictor_options, make_predictor
from inter2former.config import preset

__all__ = ["add_parser", "run", "session_table"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "bench",
        "time every stage of a session on this machine, or with --ablation what each part of the method costs",
        "inter2former bench --size 1024 --threads 2\n  inter2former bench --ablation --preset inter2former-b --box 0.5",
    )
    parser.add_argument(
        "--ablation",
        action="store_true",
        help="parameters, counted operations and time per stage of each row of the paper's ablation; random weights",
    )
    parser.add_argument(
        "--box", type=float, metavar="SHARE", help="side of the object's box over the side of the image (five of them)"
    )
    parser.add_argument("--repeats", type=int, default=9, metavar="N", help="times are medians of N calls (9)")
    parser.add_argument(
        "--random-weights", action="store_true", help="for a preset without weights; what a click finds is then chance"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_predictor_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print.

    Raises:
        ValueError: a number out of range, or options that contradict each other.
        WeightsError: as `Predictor`.
    """
    if options.repeats < 1:
        raise ValueError(f"--repeats is {options.repeats}; it must be at least 1")
    if options.box is not None and not 0 < options.box <= 1:
        raise ValueError(f"--box is {options.box}; it must be a share of the side, above 0 and at most 1")
    if options.weights and (options.ablation or options.random_weights):
        raise ValueError("--weights has no use here, the weights are random; leave it out")
    return _run_ablation(options) if options.ablation else _run_session(options)


def session_table(times: SessionTimes) -> str:
    """The times as lines of text, in milliseconds."""
    lines = [f"{times.preset} at {times.size} px, {times.threads} threads, {times.machine}", "encode"]
    lines += [f"    {stage:<24}{figure:10.4g} ms" for stage, figure in times.encode.items()]
    lines.append(f"first click                 {times.first_click:10.4g} ms")
    for share, stages in times.clicks.items():
        lines.append(f"later click, box of {share} of the side")
        for stage, figure in stages.items():
            lines.append(f"    {stage:<24}{figure:10.4g}" + ("" if stage == "boundary share" else " ms"))
    lines.append(f"peak memory                 {times.peak_memory_gib:10.3g} GiB")
    return "\n".join(lines)


def _run_session(options: argparse.Namespace) -> int:
    _set_threads(options.threads)
    if options.random_weights:
        engine = random_engine(options.preset, size=options.size, device=options.device)
    else:
        engine = make_predictor(options).engine
    shares = SHARES if options.box is None else (options.box,)
    times = measure_session(engine, options.preset, repeats=options.repeats, shares=shares)
    print(json.dumps(times.to_dict() | {"kernels": kernels.active()}) if options.json else session_table(times))
    return 0


def _run_ablation(options: argparse.Namespace) -> int:
    _set_threads(options.threads)
    share = 0.5 if options.box is None else options.box
    rows = []
    config = preset(options.preset)
    measured = measure_ablation(config, size=options.size, share=share, repeats=options.repeats, device=options.device)
    for row in measured:
        rows.append(row)
        if sys.stderr.isatty():
            print(f"\r{row.name:<40}", end="", file=sys.stderr, flush=True)
    facts = {
        "machine": processor(),
        "preset": options.preset,
        "size": options.size,
        "box": share,
        "threads": torch.get_num_threads(),
        "device": options.device,
        "kernels": kernels.active(),
    }
    if options.json:
        print(json.dumps(facts | {"rows": [row.to_dict() for row in rows]}))
    else:
        print(_ablation_table(rows, facts))
    return 0


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        if threads < 1:
            raise ValueError(f"threads is {threads}; it must be at least 1")
        torch.set_num_threads(threads)


def _ablation_table(rows: list[AblationRow], facts: dict[str, object]) -> str:
    stages = list(rows[0].milliseconds)
    width = max(len(row.name) for row in rows)
    header = f"{'':<{width}}  parameters  boundary  " + "  ".join(f"{stage:>18}" for stage in (*stages, "one click"))
    lines = [
        f"{facts['preset']} at {facts['size']} px, object's box {facts['box']:.0%} of the side, "
        f"{facts['threads']} threads, {facts['machine']}",
        "Each stage: billions of operations in matrix products, convolutions and attention (counted; 2 for a product "
        "and its sum), median milliseconds.",
        header,
    ]
    for row in rows:
        cells = [(row.operations[stage], row.milliseconds[stage]) for stage in stages]
        cells.append((sum(row.operations.values()), sum(row.milliseconds.values())))
        figures = "  ".join(f"{count / 1e9:8.2f}  {time:8.1f}" for count, time in cells)
        lines.append(f"{row.name:<{width}}  {row.parameters:10d}  {row.boundary_share:8.1%}  {figures}")
    return "\n".join(lines)
