"""`inter2former train`: train the decoder of a preset on folders of images and masks."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from inter2former.checkpoint import load_mobile_sam_encoder, load_weights
from inter2former.cli.options import Subparsers, add_command
from inter2former.config import preset
from inter2former.data.folder import FolderDataset
from inter2former.errors import Inter2FormerError
from inter2former.model.inter2former import Inter2Former
from inter2former.training.crops import CropSampler
from inter2former.training.distributed import join
from inter2former.training.embedding_cache import EmbeddingCache
from inter2former.training.loop import Trainer
from inter2former.training.settings import TrainingSettings

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "train",
        "train the decoder of a preset with simulated clicks, on cached embeddings of a frozen encoder",
        "inter2former train inter2former-t --data train/coco train/pets --encoder mobile_sam.safetensors --out runs/a",
    )
    parser.add_argument("preset", metavar="PRESET", help="the network, for example inter2former-t")
    parser.add_argument("--data", nargs="+", required=True, metavar="FOLDER", help="folders with images/ and masks/")
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--encoder", metavar="FILE", help="MobileSAM-layout weights to take the image encoder from")
    start.add_argument("--weights", metavar="FILE", help="weights of this package to go on from, encoder included")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="the run's folder; a run there is resumed")
    parser.add_argument("--cache", metavar="FOLDER", help="where embeddings are kept; default: OUT/cache")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help="change a setting")
    parser.add_argument("--threads", type=int, metavar="N", help="threads; default: as many as there are cores")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prepare embeddings, train, and say where the weights are."""
    join()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    settings = TrainingSettings.from_dict(dict(_setting(text) for text in options.set))
    datasets = [FolderDataset(folder) for folder in options.data]
    torch.manual_seed(settings.seed)
    network = Inter2Former(preset(options.preset)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if options.encoder:
        load_mobile_sam_encoder(network.encoder, options.encoder)
    else:
        load_weights(network, options.weights)
    out = Path(options.out)
    cache = EmbeddingCache(options.cache or out / "cache", network.encoder, size=settings.size)
    _encode_all(cache, datasets)
    trainer = Trainer(network, CropSampler(datasets, cache, settings), settings, out)
    print(json.dumps(settings.to_dict(), indent=2))
    trainer.run(lambda line: print(line, flush=True))
    print(f"mean weights after {trainer.step} steps: {out / 'weights.safetensors'}")
    return 0


def _setting(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        raise ValueError(f"--set {text} is no NAME=JSON; write for example --set steps=2000") from None


def _encode_all(cache: EmbeddingCache, datasets: list[FolderDataset]) -> None:
    paths = [path for dataset in datasets for path, _ in dataset.pairs]
    missing = [path for path in paths if not cache.holds(path)]
    for index, path in enumerate(missing, 1):
        try:
            cache.get(path)
        except Inter2FormerError as error:
            raise ValueError(f"cannot train on {path}: {error}") from error
        if index % 20 == 0 or index == len(missing):
            print(f"encoded {index}/{len(missing)} images", file=sys.stderr, flush=True)
