"""What the commands that train have in common: data, settings, the network to begin with, and the run itself."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import torch

from inter2former.checkpoint import load_mobile_sam_encoder, load_weights
from inter2former.cli.progress import ProgressBar
from inter2former.config import preset
from inter2former.data.synthetic_folder import open_material
from inter2former.data.terms import refuse_other_than_commercial
from inter2former.machine import use_threads
from inter2former.model.inter2former import Inter2Former
from inter2former.training.batches import CropSource, Prefetched
from inter2former.training.distributed import join, own_device, process_rank
from inter2former.training.loop import StepReport, Trainer
from inter2former.training.objective import Objective
from inter2former.training.settings import SETTINGS, TrainingSettings, named_settings
from inter2former.training.sources import photo_source

__all__ = ["MakeObjective", "MakeSource", "add_photos_option", "add_training_options", "photo_folders", "train_network"]

MakeSource: TypeAlias = Callable[[argparse.Namespace, TrainingSettings, Inter2Former], CropSource]
MakeObjective: TypeAlias = Callable[[Inter2Former, TrainingSettings], Objective]


def add_training_options(parser: argparse.ArgumentParser, *, settings: str, start_needed: bool = True) -> None:
    """Add the options that all of these commands share.

    Args:
        parser: of the command.
        settings: name of those that are meant where none are named.
        start_needed: whether the run must say which weights it begins with.
    """
    parser.add_argument("preset", metavar="PRESET", help="the network, for example inter2former-t")
    parser.add_argument(
        "--commercial-only",
        action="store_true",
        help="refuse to train on data whose terms do not allow commercial use, or do not say",
    )
    start = parser.add_mutually_exclusive_group(required=start_needed)
    start.add_argument("--encoder", metavar="FILE", help="MobileSAM-layout weights to take the image encoder from")
    start.add_argument("--weights", metavar="FILE", help="weights of this package to go on from, encoder included")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="the run's folder; a run there is resumed")
    parser.add_argument(
        "--settings",
        default=settings,
        metavar="NAME",
        help=f"to start from: {', '.join(sorted(SETTINGS))} ({settings})",
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help="change a setting")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="where the network lies: cpu or cuda (cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads; default: as many as there are cores")


def train_network(options: argparse.Namespace, make_source: MakeSource, make_objective: MakeObjective) -> int:
    """Prepare the data, train, and say where the weights are.

    Args:
        options: from `add_training_options`.
        make_source: where the pictures come from.
        make_objective: what the run shall minimise, for a network on its device.
    Returns:
        the exit code.
    """
    join()
    use_threads(options.threads)
    settings = TrainingSettings.from_dict(
        dict(_setting(text) for text in options.set), defaults=named_settings(options.settings)
    )
    # Before the pictures are encoded, which can take an hour.
    device = own_device(options.device)
    network, out = _network(options, settings), Path(options.out)
    with ExitStack() as stack:
        source = make_source(options, settings, network)
        if settings.workers:
            source = stack.enter_context(Prefetched(source, settings.workers))
        objective = make_objective(network.to(device), settings)
        trainer = Trainer(objective, source, settings, out)
        if process_rank() == 0:
            print(json.dumps(settings.to_dict(), indent=2), flush=True)
        bar = stack.enter_context(ProgressBar(settings.steps, "steps")) if sys.stderr.isatty() else None
        trainer.run(lambda report: _show(report, bar))
    if process_rank() == 0:
        print(f"mean weights after {trainer.step} steps: {out / 'weights.safetensors'}")
    return 0


def _network(options: argparse.Namespace, settings: TrainingSettings) -> Inter2Former:
    torch.manual_seed(settings.seed)
    network = Inter2Former(preset(options.preset)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if options.encoder:
        load_mobile_sam_encoder(network.encoder, options.encoder)
    elif options.weights:
        load_weights(network, options.weights)
    return network


def _show(report: StepReport, bar: ProgressBar | None) -> None:
    """On a terminal one line that moves, elsewhere a line each time."""
    if bar is None:
        print(f"{report.step}/{report.steps}  {report}", flush=True)
    else:
        bar.show(report.step, str(report))


def _setting(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        raise ValueError(f"--set {text} is no NAME=JSON; write for example --set steps=2000") from None


def photo_folders(options: argparse.Namespace, settings: TrainingSettings, network: Inter2Former) -> CropSource:
    """The source of the commands that need no labels.

    Raises:
        DataError: a folder has no image, or its terms are not those that were asked for.
    """
    photos = [open_material(folder) for folder in options.photos]
    if options.commercial_only:
        refuse_other_than_commercial(photos)
    return photo_source(settings, photos)


def add_photos_option(parser: argparse.ArgumentParser) -> None:
    """Add what `photo_folders` reads."""
    parser.add_argument("--photos", nargs="+", required=True, metavar="FOLDER", help="images, or data sets' folders")
