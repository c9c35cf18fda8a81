"""`inter2former precompute`: encode a folder of images ahead of time."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from inter2former.cli.options import Subparsers, add_command, add_predictor_options, make_predictor
from inter2former.cli.progress import ProgressBar
from inter2former.errors import ImageReadError
from inter2former.images import load_image
from inter2former.project.library import IMAGE_SUFFIXES, Library
from inter2former.session.engine import Engine

__all__ = ["add_parser", "run"]

MEGABYTE = 1_000_000
# What is left free on the disk, so that the cache never takes the last byte of it.
SPARE = 500 * MEGABYTE


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "precompute",
        "encode a folder of images ahead of time, so that a first click waits for nothing",
        "inter2former precompute photos/ --cache photos-cache/\n"
        "  inter2former segment photos/cat.jpg --click 320,240 --out mask.png --cache photos-cache/",
    )
    parser.add_argument("folder", metavar="FOLDER", help="images, in it and in the folders below")
    parser.add_argument("--cache", required=True, metavar="DIR", help="where the encodings are kept")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_predictor_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Encode what the cache does not hold yet; images that cannot be used are named and passed over."""
    folder = Path(options.folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give one that holds images")
    images = [folder / path for path in Library(folder).listing().paths]
    if not images:
        raise ValueError(f"no image in {folder}; wanted files that end in {', '.join(sorted(IMAGE_SUFFIXES))}")
    engine = make_predictor(options).engine
    encoded, kept, refused = 0, 0, []
    with ProgressBar(len(images), "images") as bar:
        for number, path in enumerate(images, start=1):
            try:
                if _encode(engine, path):
                    encoded += 1
                else:
                    kept += 1
            except ImageReadError as error:
                refused.append(str(error))
            bar.show(number)
    for sentence in refused:
        print(f"passed over: {sentence}", file=sys.stderr)
    result = {"folder": options.folder, "cache": options.cache, "encoded": encoded, "kept": kept, "refused": refused}
    sentence = f"{options.cache}: {encoded} images encoded, {kept} were there already, {len(refused)} passed over"
    print(json.dumps(result) if options.json else sentence)
    return 0


def _encode(engine: Engine, path: Path) -> bool:
    """Encode one image; False where the cache has it already.

    Raises:
        ImageReadError: it cannot be used.
        ValueError: the disk is nearly full.
    """
    assert engine.store is not None
    image = load_image(path)
    if engine.store.get(image) is not None:
        return False
    free = shutil.disk_usage(engine.store.folder).free
    if free < SPARE:
        raise ValueError(
            f"{engine.store.folder} has {free // MEGABYTE} MB left; {SPARE // MEGABYTE} are kept free. Make room, or "
            "name another --cache; what was encoded stays, and the same command goes on"
        )
    engine.encode(image)
    return True
