"""`inter2former pseudo-label`: let a Segment Anything network label photos, to train on them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inter2former.checkpoint import file_hash, load_mobile_sam
from inter2former.cli.options import Subparsers, add_command
from inter2former.cli.progress import ProgressBar
from inter2former.cli.training_run import add_photos_option
from inter2former.data.synthetic_folder import Material, combined_terms, open_material
from inter2former.data.terms import DESCRIPTION
from inter2former.errors import ImageReadError
from inter2former.files import write_whole
from inter2former.images import load_image
from inter2former.machine import use_threads
from inter2former.masks import encode_rle
from inter2former.model.mobile_sam import MobileSam
from inter2former.training.pseudo_labels import LabellingRules, PseudoLabels, pseudo_labels

__all__ = ["add_parser", "run"]

_SAVE_EVERY = 25


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "pseudo-label",
        "let a Segment Anything network label photos, to train on what it finds",
        "inter2former pseudo-label --photos photos/ --teacher mobile_sam.safetensors --out found/objects.json\n"
        "  inter2former train inter2former-t --data found/objects.json train/coco --out runs/first ...",
    )
    add_photos_option(parser)
    parser.add_argument(
        "--teacher", required=True, metavar="FILE", help="a .safetensors file in the layout of MobileSAM"
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="COCO's JSON; photos that it lists already stay")
    parser.add_argument("--clicks", type=int, default=6, metavar="N", help="along the longer side of a photo (6)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed clicks elsewhere (0)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads; default: as many as there are cores")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Label what the file does not list yet; photos that cannot be used are named and passed over."""
    if options.clicks < 1 or options.seed < 0:
        raise ValueError(f"--clicks is {options.clicks} and --seed {options.seed}; wanted at least 1 and at least 0")
    use_threads(options.threads)
    photos = [open_material(folder) for folder in options.photos]
    rules, teacher_hash = LabellingRules(clicks=options.clicks), file_hash(options.teacher)
    found = _File(Path(options.out), photos, asdict(rules) | {"seed": options.seed, "teacher": teacher_hash})
    teacher = MobileSam()
    load_mobile_sam(teacher, options.teacher)
    teacher.requires_grad_(False).eval()
    waiting = [path for material in photos for path in material.files if not found.lists(path)]
    refused = []
    with ProgressBar(len(waiting), "photos") as bar:
        for number, path in enumerate(waiting, start=1):
            try:
                image = load_image(path)
                rng = np.random.default_rng((options.seed, image.shape[0], image.shape[1]))
                found.add(path, pseudo_labels(teacher, image, rules, rng))
            except ImageReadError as error:
                refused.append(str(error))
            if number % _SAVE_EVERY == 0 or number == len(waiting):
                found.save()
            bar.show(number)
    for sentence in refused:
        print(f"passed over: {sentence}", file=sys.stderr)
    print(f"{found.path}: {found.objects} objects in {found.photos} photos, {len(refused)} passed over")
    return 0


class _File:
    """COCO's JSON as it grows; photos are named relative to its folder."""

    def __init__(self, path: Path, photos: list[Material], made_by: dict[str, Any]) -> None:
        """Begin a file, or go on with the one that is there.

        Raises:
            ValueError: it was made otherwise, is no such file, or the folder is another data set's.
        """
        self.path = path
        self._description = path.parent / DESCRIPTION
        if self._description.exists() and not path.exists():
            raise ValueError(f"{self._description} describes another data set; name an --out in a folder of its own")
        self._terms = combined_terms(photos)
        self._data: dict[str, Any] = {
            "info": {"made_by": made_by},
            "images": [],
            "annotations": [],
            "categories": [{"id": 1, "name": "object"}],
        }
        if path.exists():
            self._data = _read(path, made_by)
        self._listed = {entry["file_name"] for entry in self._data["images"]}

    @property
    def photos(self) -> int:
        """How many it lists."""
        return len(self._listed)

    @property
    def objects(self) -> int:
        """How many it holds."""
        return sum(not entry["iscrowd"] for entry in self._data["annotations"])

    def lists(self, photo: Path) -> bool:
        """Whether the photo was labelled already."""
        return self._name(photo) in self._listed

    def add(self, photo: Path, labels: PseudoLabels) -> None:
        """Take the objects of a photo; what is undecided becomes a crowd, which every reader leaves out."""
        height, width = labels.undecided.shape
        image = len(self._data["images"]) + 1
        name = self._name(photo)
        self._data["images"].append({"id": image, "file_name": name, "width": width, "height": height})
        self._listed.add(name)
        for mask in labels.objects:
            self._append(image, mask, crowd=False)
        if labels.objects:
            self._append(image, labels.undecided, crowd=True)

    def save(self) -> None:
        """Write the file and, beside it, the terms of the photos; it appears under its name only when it is whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, json.dumps(self._data))
        text, commercial_use = self._terms
        stated = {"name": self.path.stem, "terms": text, "commercial_use": commercial_use}
        write_whole(self._description, json.dumps(stated, indent=2) + "\n")

    def _append(self, image: int, mask: NDArray[np.bool_], *, crowd: bool) -> None:
        annotations = self._data["annotations"]
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": image,
                "category_id": 1,
                "iscrowd": int(crowd),
                "area": int(np.count_nonzero(mask)),
                "segmentation": {"size": list(mask.shape), "counts": encode_rle(mask)},
            }
        )

    def _name(self, photo: Path) -> str:
        return Path(os.path.relpath(photo, self.path.parent)).as_posix()


def _read(path: Path, made_by: dict[str, Any]) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        before = data["info"]["made_by"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} was not written by this command; name another --out") from error
    if before != made_by:
        raise ValueError(f"{path} was made with {before}, not with {made_by}; name another --out, or remove it")
    assert isinstance(data, dict)
    return data
