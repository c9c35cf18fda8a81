"""Pascal VOC: palette pictures, one with the number of each object, one with that of each class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from inter2former.errors import DataError
from inter2former.interchange.exchange import Export, Finder, FoundImage, FoundObject, free_stem
from inter2former.interchange.pictures import read_picture
from inter2former.interchange.reading import files_below, label_or_none

__all__ = ["palette", "read", "write"]

_VOID = 255


def palette() -> list[int]:
    """VOC's 256 colours, red, green and blue in turn: the bits of the number, spread over the three, highest first."""
    colours = []
    for number in range(256):
        red = green = blue = 0
        for place in range(8):
            bits = number >> (3 * place)
            red |= (bits & 1) << (7 - place)
            green |= (bits >> 1 & 1) << (7 - place)
            blue |= (bits >> 2 & 1) << (7 - place)
        colours += [red, green, blue]
    return colours


def write(export: Export) -> None:
    """Write SegmentationObject/ and SegmentationClass/ PNG files, labels.txt and ImageSets/Segmentation/trainval.txt.

    A pixel belongs to one object: the one in front. 0 is background; 255, which VOC uses for undecided, is not used.
    """
    colours = palette()
    with export.file("ImageSets/Segmentation/trainval.txt").open("w", encoding="utf-8") as listing:
        for record, found in export.images():
            taken = export.out / "SegmentationObject"
            stem = free_stem(record.path, lambda name, at=taken: (at / f"{name}.png").exists(), export.report)  # type: ignore[misc]
            numbers = np.zeros((record.height, record.width), dtype=np.uint8)
            classes = np.zeros_like(numbers)
            kept = found[: _VOID - 1]
            for number, item in enumerate(kept, 1):
                mask = item.mask.mask
                if np.any(numbers[mask]):
                    export.report.notes["object that covers another, whose covered pixels are lost"] += 1
                numbers[mask] = number
                classes[mask] = min(export.category(item), _VOID - 1)
            if len(kept) < len(found):
                export.report.notes["object beyond the 254th of an image, not exported"] += len(found) - len(kept)
                export.report.objects -= len(found) - len(kept)
            for folder, values in (("SegmentationObject", numbers), ("SegmentationClass", classes)):
                picture = Image.fromarray(values)
                picture.putpalette(colours)
                picture.save(export.file(f"{folder}/{stem}.png"))
            listing.write(f"{stem}\n")
            export.copy_image(record, f"JPEGImages/{stem}{Path(record.path).suffix}")
    (export.out / "labels.txt").write_text("".join(f"{name}\n" for name in export.categories()), encoding="utf-8")


def read(path: Path, finder: Finder) -> Iterator[FoundImage]:
    """Read a folder with SegmentationObject/, SegmentationClass/ and, for the names, labels.txt.

    Raises:
        DataError: a picture is missing or damaged.
    """
    try:
        names = (path / "labels.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        names = []
        finder.report.notes["no labels.txt: labels are named class 1, class 2, ..."] += 1
    folder = path / "SegmentationObject"
    for file in files_below(folder, ".png"):
        stem = file.relative_to(folder).with_suffix("").as_posix()
        if (found := finder.find(stem)) is None:
            continue
        image, width, height = found
        numbers = read_picture(file)
        classes = read_picture(path / "SegmentationClass" / file.relative_to(folder))
        if numbers.shape != classes.shape:
            raise DataError(f"{file}: has another size than its picture of classes; export both again")
        if not finder.fits(image, (width, height), (numbers.shape[1], numbers.shape[0])):
            continue
        objects = []
        for number in np.unique(numbers):
            if number not in (0, _VOID):
                mask = numbers == number
                value = int(np.bincount(classes[mask]).argmax())
                name = names[value - 1] if 0 < value <= len(names) else f"class {value}"
                objects.append(FoundObject(label_or_none(name), mask))
        yield FoundImage(image, objects)
