"""Plain PNG masks: one picture per object, or one per image that numbers its objects; objects.jsonl names them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inter2former.errors import DataError
from inter2former.images import without_pillow_limit
from inter2former.interchange.exchange import Export, Finder, FoundImage, FoundObject, free_stem
from inter2former.interchange.reading import damaged_as_data_error, files_below, label_or_none

__all__ = ["read", "read_picture", "write"]

_LINES = "objects.jsonl"
_MOST_BYTE, _MOST_WORD = 255, 65535


def write(export: Export) -> None:
    """Write STEM/NUMBER.png per object, 0 and 255; with `label_map` STEM.png per image, in front over behind.

    A label map has 8 bits for up to 255 objects and 16 for more. objects.jsonl says which object is where.
    """
    with (export.out / _LINES).open("w", encoding="utf-8") as lines:

        def line(**values: object) -> None:
            lines.write(json.dumps(values, ensure_ascii=False) + "\n")

        for record, found in export.images():
            taken = export.out
            stem = free_stem(
                record.path,
                lambda name, at=taken: (at / name).exists() or (at / f"{name}.png").exists(),  # type: ignore[misc]
                export.report,
            )
            kept = found[:_MOST_WORD]
            numbers = np.zeros((record.height, record.width), np.uint8 if len(kept) <= _MOST_BYTE else np.uint16)
            for number, item in enumerate(kept, 1):
                mask = item.mask.mask
                name = f"{stem}.png" if export.options.label_map else f"{stem}/{item.id}.png"
                value = number if export.options.label_map else 255
                line(image=record.path, file=name, value=value, object=item.id, label=export.name(item))
                if not export.options.label_map:
                    Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(export.file(name))
                    continue
                if np.any(numbers[mask]):
                    export.report.notes["object that covers another, whose covered pixels are lost"] += 1
                numbers[mask] = number
            if export.options.label_map:
                Image.fromarray(numbers).save(export.file(f"{stem}.png"))
            export.copy_image(record, f"images/{record.path}")


def read(path: Path, finder: Finder) -> Iterator[FoundImage]:
    """Read a folder that `write` filled; without objects.jsonl, label maps named as the images.

    Raises:
        DataError: a picture is missing or damaged.
    """
    if (path / _LINES).is_file():
        yield from _read_named(path, finder)
        return
    for file in files_below(path, ".png"):
        stem = file.relative_to(path).with_suffix("").as_posix()
        if (found := finder.find(stem)) is None:
            continue
        numbers = read_picture(file)
        if finder.fits(found[0], found[1:], (numbers.shape[1], numbers.shape[0])):
            masks = [numbers == number for number in np.unique(numbers) if number]
            yield FoundImage(found[0], [FoundObject(None, mask) for mask in masks])


def read_picture(file: Path) -> NDArray[np.integer[Any]]:
    """Read a picture of numbers: (H, W) of uint8 or of the depth that the file has.

    Raises:
        DataError: it is missing, damaged, or in colour.
    """
    try:
        with without_pillow_limit(), Image.open(file) as picture:
            values = np.asarray(picture)
    except Exception as error:
        raise DataError(f"{file}: is missing or damaged ({error}); export it again") from error
    if values.ndim != 2:
        raise DataError(f"{file}: is in colour; wanted numbers or grey values, one per pixel")
    return values.astype(np.uint8) if values.dtype == np.bool_ else values


def _read_named(path: Path, finder: Finder) -> Iterator[FoundImage]:
    image = ""
    objects: list[FoundObject] = []
    found: tuple[str, int, int] | None = None
    with damaged_as_data_error(path / _LINES), (path / _LINES).open(encoding="utf-8") as lines:
        for text in lines:
            line = json.loads(text)
            name, file = str(line["image"]), str(line["file"])
            if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
                raise DataError(f"{path / _LINES}: the file {file!r} leads out of the folder")
            if name != image:
                if objects:
                    yield FoundImage(image, objects)
                image, objects = name, []
                found = finder.find(name)
            if found is None:
                continue
            numbers = read_picture(path / file)
            if finder.fits(found[0], found[1:], (numbers.shape[1], numbers.shape[0])):
                image = found[0]
                objects.append(FoundObject(label_or_none(line.get("label")), numbers == line["value"]))
    if objects:
        yield FoundImage(image, objects)
