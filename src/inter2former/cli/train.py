"""`inter2former train`: train the decoder of a preset on data sets in any layout that `open_dataset` knows."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path

import torch

from inter2former.checkpoint import load_mobile_sam_encoder, load_weights
from inter2former.cli.options import Subparsers, add_command
from inter2former.cli.progress import ProgressBar
from inter2former.config import preset
from inter2former.data.layouts import KINDS, open_dataset
from inter2former.data.sample import Dataset
from inter2former.data.shards import is_shards, open_shards
from inter2former.data.synthetic_cutouts import Split
from inter2former.data.synthetic_folder import open_material
from inter2former.data.terms import refuse_other_than_commercial
from inter2former.errors import Inter2FormerError
from inter2former.model.inter2former import Inter2Former
from inter2former.training.batches import Prefetched
from inter2former.training.distributed import join, own_device, process_rank
from inter2former.training.embedding_cache import EmbeddingCache
from inter2former.training.loop import StepReport, Trainer
from inter2former.training.settings import SETTINGS, TrainingSettings, named_settings
from inter2former.training.sources import cached_share, make_source

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "train",
        "train a preset with simulated clicks, by default its decoder on cached embeddings of a frozen encoder",
        "inter2former train inter2former-t --data train/coco train/pets --encoder mobile_sam.safetensors --out runs/a",
    )
    parser.add_argument("preset", metavar="PRESET", help="the network, for example inter2former-t")
    parser.add_argument(
        "--data",
        nargs="+",
        default=[],
        metavar="PATH",
        help="data sets: folders with images/ and masks/, files of COCO or LVIS, others of docs/datasets.md; shards",
    )
    parser.add_argument("--kind", metavar="LAYOUT", help=f"of all --data: {', '.join(KINDS)}; default: recognised")
    parser.add_argument("--backgrounds", nargs="+", default=[], metavar="FOLDER", help="photos for made-up pictures")
    parser.add_argument("--foregrounds", nargs="+", default=[], metavar="FOLDER", help="cut-outs for made-up pictures")
    parser.add_argument(
        "--commercial-only",
        action="store_true",
        help="refuse to train on data whose terms do not allow commercial use, or do not say",
    )
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--encoder", metavar="FILE", help="MobileSAM-layout weights to take the image encoder from")
    start.add_argument("--weights", metavar="FILE", help="weights of this package to go on from, encoder included")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="the run's folder; a run there is resumed")
    parser.add_argument("--cache", metavar="FOLDER", help="where embeddings are kept; default: OUT/cache")
    parser.add_argument(
        "--settings", default="laptop", metavar="NAME", help=f"settings to start from: {', '.join(sorted(SETTINGS))}"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help="change a setting")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="where the network lies: cpu or cuda (cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads; default: as many as there are cores")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prepare embeddings, train, and say where the weights are."""
    join()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    settings = TrainingSettings.from_dict(
        dict(_setting(text) for text in options.set), defaults=named_settings(options.settings)
    )
    shards = [open_shards(path) for path in options.data if is_shards(Path(path))]
    folders = [path for path in options.data if not is_shards(Path(path))]
    datasets = [open_dataset(path, options.kind, split="train") for path in folders]
    backgrounds = [open_material(folder) for folder in options.backgrounds]
    foregrounds = [open_material(folder, Split.TRAIN) for folder in options.foregrounds]
    if options.commercial_only:
        refuse_other_than_commercial([*datasets, *shards, *backgrounds, *foregrounds])
    network = _network(options, settings)
    out = Path(options.out)
    cache = EmbeddingCache(options.cache or out / "cache", network.encoder, size=settings.size)
    source = make_source(
        settings, datasets, cache=cache, shards=shards, backgrounds=backgrounds, foregrounds=foregrounds
    )
    if cached_share(settings) > 0:
        _encode_all(cache, datasets)
    with ExitStack() as stack:
        if settings.workers:
            source = stack.enter_context(Prefetched(source, settings.workers))
        trainer = Trainer(network.to(own_device(options.device)), source, settings, out)
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
    else:
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


def _encode_all(cache: EmbeddingCache, datasets: list[Dataset]) -> None:
    """Fill the cache; an annotation that cannot be used comes to light here and not hours later."""
    every = [(dataset, index) for dataset in datasets for index in range(len(dataset))]
    missing = [(dataset, index) for dataset, index in every if not _holds(cache, dataset.image_path(index))]
    with ProgressBar(len(missing), "images encoded") as bar:
        for number, (dataset, index) in enumerate(missing, 1):
            try:
                dataset.annotation(index)
                cache.get(dataset.image_path(index))
            except Inter2FormerError as error:
                raise ValueError(f"cannot train on {dataset.identity(index)}: {error}") from error
            bar.show(number)
    if missing:
        print(f"encoded {len(missing)} images", file=sys.stderr, flush=True)


def _holds(cache: EmbeddingCache, image_path: Path) -> bool:
    return image_path.is_file() and cache.holds(image_path)
