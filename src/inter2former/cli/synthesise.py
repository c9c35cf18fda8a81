"""`inter2former synthesise`: make pictures up whose masks are exact, and write them as a plain folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from inter2former.cli.options import Subparsers, add_command
from inter2former.cli.progress import ProgressBar
from inter2former.data.synthetic import SyntheticConfig, SyntheticSource
from inter2former.data.synthetic_cutouts import Split
from inter2former.data.synthetic_folder import combined_terms, open_cut_outs, open_material, write_pictures

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "synthesise",
        "make pictures up whose masks are exact to the pixel: cut-outs and thin procedural things over photos",
        "inter2former synthesise train/made-up --backgrounds train/coco --foregrounds cut-outs --count 500",
    )
    parser.add_argument("out", metavar="OUT", help="the folder to write; pictures that are there already stay")
    parser.add_argument(
        "--backgrounds", nargs="+", required=True, metavar="FOLDER", help="photos, or data sets with images/"
    )
    parser.add_argument(
        "--foregrounds",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="cut-outs: PNG or WebP with an alpha channel; default: procedural things only",
    )
    parser.add_argument("--count", type=int, default=100, metavar="N", help="number of pictures (100)")
    parser.add_argument("--size", type=int, default=1024, metavar="PX", help="longest side (1024)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed gives other pictures (0)")
    parser.add_argument("--thin-only", action="store_true", help="only thin things: wires, nets, twigs, hair, text")
    parser.add_argument(
        "--split",
        choices=[split.value for split in Split],
        default=Split.TRAIN.value,
        help="which cut-outs: every fifth, by a hash of its name, is held out for evaluation (train)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the pictures and say under which terms they are."""
    if options.count < 1 or options.seed < 0:
        raise ValueError(f"--count is {options.count} and --seed {options.seed}; wanted at least 1 and at least 0")
    split = Split(options.split)
    photos = [open_material(folder) for folder in options.backgrounds]
    cut_outs = [open_cut_outs(folder, split) for folder in options.foregrounds]
    source = SyntheticSource(
        tuple(file for material in photos for file in material.files),
        tuple(file for material in cut_outs for file in material.files),
        SyntheticConfig.thin(options.size) if options.thin_only else SyntheticConfig(options.size),
        options.seed,
        split,
    )
    terms, commercial_use = combined_terms([*photos, *cut_outs])
    out = Path(options.out)
    for folder in (*options.backgrounds, *options.foregrounds):
        if Path(folder).resolve() == out.resolve():
            raise ValueError(f"{out} is also what the pictures are made of; write into another folder")
    with ProgressBar(options.count, "pictures") as bar:
        write_pictures(out, source, range(options.count), terms=terms, commercial_use=commercial_use, report=bar.show)
    allowed = "allow commercial use" if commercial_use else "are not known to allow commercial use"
    print(f"{options.count} pictures in {out}; their terms {allowed}, see dataset.json")
    return 0
