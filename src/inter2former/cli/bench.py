"""`inter2former bench`: time every stage on this machine, or what each part of the method costs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from inter2former import kernels
from inter2former.benchmark.ablation import measure_ablation
from inter2former.benchmark.picture import session_picture
from inter2former.benchmark.scene import SHARES, photo_like
from inter2former.benchmark.session import measure_session, random_engine
from inter2former.cli.bench_tables import ablation_table, peer_table, session_table
from inter2former.cli.options import Subparsers, add_command, add_predictor_options, make_predictor
from inter2former.config import preset
from inter2former.evaluation.peers import PeerLatency, measure_peers, mobile_sam_peers, transformers_peers
from inter2former.files import write_whole
from inter2former.machine import processor, use_threads

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "bench",
        "time every stage of a session on this machine, or with --ablation what each part of the method costs",
        "inter2former bench --threads 2 --peers mobile_sam.safetensors --plot bench.svg\n"
        "  inter2former bench --ablation --preset inter2former-b --box 0.5",
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
    parser.add_argument(
        "--peers",
        nargs="?",
        const="",
        metavar="FILE",
        help="time other segmenters in the same run: transformers' with random weights, and with a .safetensors file "
        "in the MobileSAM layout that network under torch, ONNX Runtime and OpenVINO (extra: peers)",
    )
    parser.add_argument("--plot", metavar="FILE.svg", help="also draw the result")
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
    if options.ablation and (options.peers is not None or options.plot):
        raise ValueError("--ablation compares rows of one network; leave out --peers and --plot")
    if options.weights and (options.ablation or options.random_weights):
        raise ValueError("--weights has no use here, the weights are random; leave it out")
    # Before the minutes that the measuring takes.
    if options.plot and not Path(options.plot).absolute().parent.is_dir():
        raise ValueError(f"--plot is {options.plot}, but there is no such folder; make it first")
    if options.peers and not Path(options.peers).is_file():
        raise ValueError(f"--peers is {options.peers}, but there is no such file; give a .safetensors file")
    return _run_ablation(options) if options.ablation else _run_session(options)


def _run_session(options: argparse.Namespace) -> int:
    use_threads(options.threads)
    if options.random_weights:
        engine = random_engine(
            options.preset,
            size=options.size,
            device=options.device,
            encoder=options.encoder,
            precision=options.precision,
        )
    else:
        engine = make_predictor(options).engine
    shares = SHARES if options.box is None else (options.box,)
    times = measure_session(engine, options.preset, repeats=options.repeats, shares=shares)
    peers, missing = ({}, {}) if options.peers is None else _measured_peers(options)
    if options.plot is not None:
        write_whole(options.plot, session_picture(times, peers))
    if options.json:
        rows = {name: peer.to_dict() for name, peer in peers.items()}
        print(json.dumps(times.to_dict() | {"kernels": kernels.active(), "peers": rows, "missing_peers": missing}))
    else:
        print(session_table(times))
        print(peer_table(peers, missing), end="")
    return 0


def _measured_peers(options: argparse.Namespace) -> tuple[dict[str, PeerLatency], dict[str, str]]:
    threads = torch.get_num_threads()
    # Those of transformers have one size only.
    peers = transformers_peers(threads=threads) if options.size == 1024 else {}
    if options.peers:
        peers |= mobile_sam_peers(options.peers, size=options.size, threads=threads)
    return measure_peers(peers, photo_like(options.size), repeats=options.repeats)


def _run_ablation(options: argparse.Namespace) -> int:
    use_threads(options.threads)
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
        print(ablation_table(rows, facts))
    return 0
