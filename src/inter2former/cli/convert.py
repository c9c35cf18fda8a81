"""`inter2former convert`: the released checkpoint to safetensors, and back."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import torch

from inter2former.cli.options import Subparsers, add_command
from inter2former.released_checkpoint import Conversion, convert_back, convert_release

__all__ = ["add_parser", "run"]

DTYPES = {"float32": torch.float32, "float16": torch.float16}


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "convert",
        "turn the released checkpoint into safetensors for the preset inter2former-b, or back",
        "inter2former convert RELEASE.pth inter2former-b.safetensors\n"
        "  inter2former convert --to-release inter2former-b.safetensors RELEASE.pth",
    )
    parser.add_argument("source", metavar="IN", help="the released .pth; with --to-release a .safetensors file")
    parser.add_argument("target", metavar="OUT", help="the .safetensors file to write; with --to-release a .pth")
    parser.add_argument("--to-release", action="store_true", help="write the form that the released code loads")
    parser.add_argument(
        "--dtype", choices=DTYPES, default="float32", help="of the safetensors; float16 halves the file (float32)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Convert and say what was written.

    Raises:
        ValueError: the options contradict each other.
        WeightsError: the source cannot be converted.
    """
    if options.to_release and options.dtype != "float32":
        raise ValueError("--dtype is float16 but a released checkpoint is float32; leave --dtype out")
    if Path(options.source).resolve() == Path(options.target).resolve():
        raise ValueError(f"{options.target} is also the source; name another file to write")
    if options.to_release:
        result = convert_back(options.source, options.target)
    else:
        result = convert_release(options.source, options.target, dtype=DTYPES[options.dtype])
    if options.json:
        print(json.dumps({"out": options.target, **dataclasses.asdict(result)}))
    else:
        print(_sentences(result, options.target))
    return 0


def _sentences(result: Conversion, target: str) -> str:
    size = Path(target).stat().st_size / 1e6
    change = f", no number changed by more than {result.largest_change:.2g}" if result.dtype != "float32" else ""
    lines = [f"{target}: {result.tensors} tensors, {result.parameters} numbers, {result.dtype}{change}, {size:.0f} MB"]
    if result.other_constants:
        lines.append(
            "Not as in the release known here, and computed instead of read, so masks will differ from its code: "
            + ", ".join(result.other_constants)
        )
    return "\n".join(lines)
