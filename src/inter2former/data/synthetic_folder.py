"""Folders of photos and cut-outs to make pictures of, and made-up pictures on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from inter2former.data.synthetic import SyntheticSource
from inter2former.data.synthetic_cutouts import Split, check_cut_out, list_images
from inter2former.data.terms import folder_name, stated_terms
from inter2former.files import replacing, write_whole

__all__ = ["Material", "combined_terms", "open_cut_outs", "open_material", "write_pictures"]

_QUALITY = 95


@dataclass(frozen=True, slots=True)
class Material:
    """A folder of photos or cut-outs.

    Attributes:
        name: of the data set that it belongs to.
        terms: under which it may be used, in words; "" where nobody said.
        commercial_use: whether the terms allow it; None: unknown.
        files: the images.
    """

    name: str
    terms: str
    commercial_use: bool | None
    files: tuple[Path, ...] = field(repr=False)


def open_material(folder: str | Path, split: Split = Split.ALL) -> Material:
    """List a folder of images, or the `images/` of a data set's folder; the terms are those of its `dataset.json`.

    Raises:
        DataError: there is no image of that split, or the description cannot be understood.
    """
    root = Path(folder)
    images = root / "images" if (root / "images").is_dir() else root
    files = list_images(images, split)
    described = images.parent if images.name == "images" else images
    name, terms = stated_terms(described)
    return Material(name or folder_name(described), terms.text, terms.commercial_use, files)


def open_cut_outs(folder: str | Path, split: Split) -> Material:
    """List a folder as `open_material` does, and look at each file, so that none stops the work hours later.

    Raises:
        DataError: as `open_material`; or a file cannot be read or has no transparency.
    """
    material = open_material(folder, split)
    for path in material.files:
        check_cut_out(path)
    return material


def combined_terms(materials: Sequence[Material]) -> tuple[str, bool]:
    """Terms of what is made of several materials, and whether every one of them is known to allow commercial use."""
    text = "; ".join(f"{material.name}: {material.terms or 'no terms stated'}" for material in materials)
    return f"made of {text}", all(material.commercial_use for material in materials)


def write_pictures(
    folder: Path,
    source: SyntheticSource,
    indices: range,
    *,
    terms: str,
    commercial_use: bool,
    report: Callable[[int], None] = lambda done: None,
) -> None:
    """Write pictures as `images/` and `masks/`, with a `dataset.json` that says what they may be used for.

    Images are JPEG of quality 95 with colours at full resolution; masks are PNG, the number of the object per pixel.
    A picture that is already there stays, so that an interrupted run can go on.

    Args:
        folder: made if needed.
        source: makes the pictures.
        indices: which pictures; the number is the file's name.
        terms: in words, whose material it is and under what terms.
        commercial_use: whether all of them allow it.
        report: called with the number of pictures done after each.

    Raises:
        ValueError: no pictures are asked for, or the folder holds pictures of another source or under other terms.
        DataError, ImageReadError: a file cannot be read.
    """
    if not len(indices):
        raise ValueError("no pictures are asked for; the number of pictures must be at least 1")
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    _describe(folder / "dataset.json", {"name": folder_name(folder), "terms": terms, "commercial_use": commercial_use})
    # An interrupted run must not go on with other pictures.
    _describe(
        folder / "made_by.json",
        {
            "config": str(source.config),
            "seed": source.seed,
            "split": source.split.value,
            "backgrounds": len(source.backgrounds),
            "foregrounds": len(source.foregrounds),
        },
    )
    for done, index in enumerate(indices, 1):
        image_file, mask_file = folder / "images" / f"{index:06d}.jpg", folder / "masks" / f"{index:06d}.png"
        if not image_file.exists():
            picture = source.picture(index)
            with replacing(mask_file) as stream:
                Image.fromarray(np.asarray(picture.labels, np.uint8)).save(stream, "PNG")
            # The image comes last: where it is, the mask is too.
            with replacing(image_file) as stream:
                Image.fromarray(picture.image).save(stream, "JPEG", quality=_QUALITY, subsampling=0)
        report(done)


def _describe(path: Path, values: dict[str, str | bool | int]) -> None:
    text = json.dumps(values, indent=2) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise ValueError(f"{path} describes other pictures than these; write into another folder, or delete it")
    write_whole(path, text)
