"""`inter2former distil`: teach the image encoder of a preset what a Segment Anything network knows."""

from __future__ import annotations

import argparse

from inter2former.checkpoint import load_mobile_sam
from inter2former.cli.options import Subparsers, add_command
from inter2former.cli.training_run import add_photos_option, add_training_options, photo_folders, train_network
from inter2former.model.inter2former import Inter2Former
from inter2former.model.mobile_sam import MobileSam
from inter2former.training.distillation import Distillation
from inter2former.training.settings import TrainingSettings
from inter2former.training.teachers import TransformersTeacher

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "distil",
        "teach the image encoder of a preset what a Segment Anything network knows",
        "inter2former distil inter2former-t --photos photos/ --teacher mobile_sam.safetensors --out runs/distilled",
    )
    teacher = parser.add_mutually_exclusive_group(required=True)
    teacher.add_argument("--teacher", metavar="FILE", help="a .safetensors file in the layout of MobileSAM")
    teacher.add_argument(
        "--transformers",
        metavar="MODEL",
        help="a Segment Anything model of transformers: its folder or its cached name",
    )
    add_photos_option(parser)
    add_training_options(parser, settings="distil", start_needed=False)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train, and say where the weights are."""
    teacher = TransformersTeacher(options.transformers) if options.transformers else _mobile_sam(options.teacher)

    def objective(network: Inter2Former, settings: TrainingSettings) -> Distillation:
        return Distillation(network, teacher, settings)

    return train_network(options, photo_folders, objective)


def _mobile_sam(path: str) -> MobileSam:
    teacher = MobileSam()
    load_mobile_sam(teacher, path)
    return teacher
