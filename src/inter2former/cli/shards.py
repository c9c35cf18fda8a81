"""`inter2former shards`: write data sets as tar files that training reads over a network at full speed."""

from __future__ import annotations

import argparse
from pathlib import Path

from inter2former.cli.options import Subparsers, add_command
from inter2former.cli.progress import ProgressBar
from inter2former.data.layouts import open_dataset
from inter2former.data.shard_writer import write_shards

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "shards",
        "write a data set as tar files in webdataset format, for training from network or object stores",
        "inter2former shards train/coco shards/coco --per-shard 500",
    )
    parser.add_argument("dataset", metavar="DATASET", help="a data set in any layout of docs/datasets.md")
    parser.add_argument("out", metavar="OUT", help="a folder without shards")
    parser.add_argument("--per-shard", type=int, default=1000, metavar="N", help="pictures per tar file (1000)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the shards."""
    dataset = open_dataset(options.dataset, split="train")
    out = Path(options.out)
    with ProgressBar(len(dataset), "pictures") as bar:
        written = write_shards(out, dataset, pictures_per_shard=options.per_shard, report=bar.show)
    print(f"{written} pictures of {dataset.name} in {len(list(out.glob('*.tar')))} shards in {out}")
    return 0
