"""`inter2former train`: train a preset with simulated clicks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from inter2former.cli.options import Subparsers, add_command
from inter2former.cli.progress import ProgressBar
from inter2former.cli.training_run import add_training_options, train_network
from inter2former.data.layouts import KINDS, open_dataset
from inter2former.data.sample import Dataset
from inter2former.data.shards import is_shards, open_shards
from inter2former.data.synthetic_cutouts import Split
from inter2former.data.synthetic_folder import open_cut_outs, open_material
from inter2former.data.terms import refuse_other_than_commercial
from inter2former.errors import Inter2FormerError
from inter2former.model.inter2former import Inter2Former
from inter2former.training.batches import CropSource
from inter2former.training.clicking import Clicking
from inter2former.training.embedding_cache import EmbeddingCache
from inter2former.training.settings import TrainingSettings
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
    add_training_options(parser, settings="laptop")
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
    parser.add_argument("--cache", metavar="FOLDER", help="where embeddings are kept; default: OUT/cache")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prepare embeddings, train, and say where the weights are."""
    return train_network(options, _source, Clicking)


def _source(options: argparse.Namespace, settings: TrainingSettings, network: Inter2Former) -> CropSource:
    shards = [open_shards(path) for path in options.data if is_shards(Path(path))]
    folders = [path for path in options.data if not is_shards(Path(path))]
    datasets = [open_dataset(path, options.kind, split="train") for path in folders]
    backgrounds = [open_material(folder) for folder in options.backgrounds]
    foregrounds = [open_cut_outs(folder, Split.TRAIN) for folder in options.foregrounds]
    if options.commercial_only:
        refuse_other_than_commercial([*datasets, *shards, *backgrounds, *foregrounds])
    cache = EmbeddingCache(options.cache or Path(options.out) / "cache", network.encoder, size=settings.size)
    source = make_source(
        settings, datasets, cache=cache, shards=shards, backgrounds=backgrounds, foregrounds=foregrounds
    )
    if cached_share(settings) > 0:
        _encode_all(cache, datasets)
    return source


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
