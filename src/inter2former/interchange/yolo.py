"""YOLO segmentation: one text file per image with a polygon per object, relative to the image, and data.yaml."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inter2former.errors import DataError
from inter2former.interchange.exchange import Export, Finder, FoundImage, FoundObject, free_stem
from inter2former.interchange.reading import damaged_as_data_error, files_below, label_or_none
from inter2former.polygons import joined_ring
from inter2former.shapes import fill_rings

__all__ = ["read", "write"]

_LEAST_NUMBERS = 6


def write(export: Export) -> None:
    """Write labels/STEM.txt per image, train.txt with the images, and data.yaml; `with_images` fills images/.

    The format knows one ring per object: holes and further parts are joined to it by cuts of no width.
    """
    with (export.out / "train.txt").open("w", encoding="utf-8") as listing:
        for record, found in export.images():
            stem = free_stem(record.path, lambda name: (export.out / f"labels/{name}.txt").exists(), export.report)
            lines = []
            for item in found:
                size = np.array([record.width, record.height])
                parts = export.parts(record, item, lambda ring, by=size: _read_back(_text(ring / by)) * by)  # type: ignore[misc]
                if len(parts) > 1 or parts[0].holes:
                    export.report.notes["object with holes or several parts, joined by cuts of no width"] += 1
                ring = joined_ring([ring for part in parts for ring in part.rings])
                lines.append(f"{export.category(item) - 1} {_text(ring / size)}\n")
            export.file(f"labels/{stem}.txt").write_text("".join(lines), encoding="utf-8")
            image = f"images/{stem}{Path(record.path).suffix}"
            listing.write(f"./{image}\n")
            export.copy_image(record, image)
    if not export.options.with_images:
        export.report.notes[
            "images are not part of the export; put them into images/ or export with --with-images"
        ] += 1
    names = "".join(
        f"  {number - 1}: {json.dumps(name, ensure_ascii=False)}\n" for name, number in export.categories().items()
    )
    (export.out / "data.yaml").write_text(f"path: .\ntrain: train.txt\nval: train.txt\nnames:\n{names}", "utf-8")


def read(path: Path, finder: Finder) -> Iterator[FoundImage]:
    """Read the folder that holds data.yaml and labels/.

    Raises:
        DataError: a file is missing, damaged or of another format.
    """
    names = _names(path / "data.yaml")
    folder = path / "labels"
    for file in files_below(folder, ".txt"):
        stem = file.relative_to(folder).with_suffix("").as_posix()
        if not file.stat().st_size or (found := finder.find(stem)) is None:
            continue
        image, width, height = found
        objects = []
        with damaged_as_data_error(file):
            for line in file.read_text(encoding="utf-8").splitlines():
                numbers = line.split()
                if len(numbers) - 1 < _LEAST_NUMBERS:
                    finder.report.notes["line with a box only, left out"] += 1
                    continue
                ring = _read_back(line.split(maxsplit=1)[1]) * (width, height)
                label = label_or_none(names.get(int(numbers[0]), numbers[0]))
                objects.append(FoundObject(label, fill_rings([ring], width, height)))
        yield FoundImage(image, objects)


def _text(ring: NDArray[np.float64]) -> str:
    return " ".join(f"{value:.6f}".rstrip("0").rstrip(".") for value in ring.reshape(-1))


def _read_back(text: str) -> NDArray[np.float64]:
    return np.array(text.split(), dtype=np.float64).reshape(-1, 2)


def _names(file: Path) -> dict[int, str]:
    """The names of data.yaml: a list, a list in brackets, or numbered lines, each plain or in quotes."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(
            f"{file}: cannot be read ({error.strerror or error}); name the folder that has data.yaml"
        ) from error
    names: dict[int, str] = {}
    inside = False
    for line in lines:
        text = line.split(" #")[0].rstrip()
        if text.startswith("names:"):
            inside = True
            rest = text.removeprefix("names:").strip()
            if rest.startswith("["):
                names = dict(enumerate(_plain(part) for part in rest.strip("[]").split(",")))
        elif inside and text.lstrip().startswith("- "):
            names[len(names)] = _plain(text.lstrip()[2:])
        elif inside and text.startswith(" ") and ":" in text:
            number, name = text.split(":", 1)
            with damaged_as_data_error(file):
                names[int(number)] = _plain(name)
        elif text:
            inside = False
    return names


def _plain(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]:
        return str(json.loads(text)) if text[0] == '"' else str(ast.literal_eval(text))
    return text
