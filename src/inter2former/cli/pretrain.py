"""`inter2former pretrain`: pre-train the image encoder of a preset without labels."""

from __future__ import annotations

import argparse

from inter2former.cli.options import Subparsers, add_command
from inter2former.cli.training_run import add_photos_option, add_training_options, photo_folders, train_network
from inter2former.training.masked_images import MaskedImages

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "pretrain",
        "pre-train the image encoder of a preset on hidden patches, without labels",
        "inter2former pretrain inter2former-t --photos photos/ --out runs/pretrained",
    )
    add_photos_option(parser)
    add_training_options(parser, settings="pretrain", start_needed=False)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train, and say where the weights are."""
    return train_network(options, photo_folders, MaskedImages)
