"""Writes the shards that `shards` reads."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inter2former.data.sample import Annotation, Dataset
from inter2former.data.shards import DESCRIPTION, IGNORED, IMAGE, LAYER
from inter2former.errors import DataError
from inter2former.files import replacing, write_whole

__all__ = ["write_shards"]


def write_shards(
    folder: Path,
    dataset: Dataset,
    *,
    pictures_per_shard: int = 1000,
    report: Callable[[int], None] = lambda done: None,
) -> int:
    """Write a data set as shards. The same data set gives the same bytes.

    Pictures without an object are left out. A shard appears under its name only when it is complete.

    Args:
        folder: made if needed; must not hold shards yet.
        dataset: what to write.
        pictures_per_shard: how many pictures a shard holds, the last one fewer.
        report: called with the number of pictures done after each.

    Returns:
        the number of pictures written.

    Raises:
        ValueError: no pictures per shard, or the folder is the data set's own or holds shards.
        DataError: an image or mask cannot be read, or no picture has an object.
    """
    if pictures_per_shard < 1:
        raise ValueError(f"{pictures_per_shard} pictures per shard; it must be at least 1")
    if any(folder.glob("*.tar")):
        raise ValueError(f"{folder} holds shards already; write into another folder, or delete them")
    if folder.resolve() == (dataset.root if dataset.root.is_dir() else dataset.root.parent).resolve():
        raise ValueError(f"{folder} is that of the data set itself; write into another folder")
    folder.mkdir(parents=True, exist_ok=True)
    described: dict[str, str | bool] = {"name": dataset.name, "terms": dataset.terms}
    if dataset.commercial_use is not None:
        described["commercial_use"] = dataset.commercial_use
    write_whole(folder / "dataset.json", json.dumps(described, indent=2) + "\n")
    written = 0
    for start in range(0, len(dataset), pictures_per_shard):
        shard = folder / f"{start // pictures_per_shard:06d}.tar"
        with (
            replacing(shard) as stream,
            tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive,
        ):
            for index in range(start, min(start + pictures_per_shard, len(dataset))):
                annotation = dataset.annotation(index)
                if len(annotation):
                    _add_picture(archive, f"{index:09d}", annotation)
                    written += 1
                report(index + 1)
    if not written:
        raise DataError(f"no picture of {dataset.name} has an object; there is nothing to write")
    return written


def _add_picture(archive: tarfile.TarFile, key: str, annotation: Annotation) -> None:
    path = annotation.image_path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the image {path}: {error.strerror}") from error
    _add_file(archive, f"{key}.{IMAGE}{path.suffix.lower().lstrip('.')}", content)
    layers: list[NDArray[np.uint16]] = []
    objects = []
    for position, number in enumerate(annotation.object_ids):
        mask = annotation.mask(position)
        if mask.any():
            layer, value = _place(layers, mask)
            area = int(np.count_nonzero(mask))
            objects.append({"id": number, "layer": layer, "value": value, "area": area})
    for index, plane in enumerate(layers):
        # Eight bits where they suffice: half the time to read.
        _add_file(archive, f"{key}.{LAYER.format(index)}", _png(plane.astype(np.uint8) if plane.max() < 256 else plane))
    ignored = annotation.ignored()
    if ignored is not None:
        _add_file(archive, f"{key}.{IGNORED}", _png(ignored.astype(np.uint8) * np.uint8(255)))
    name = annotation.id.removeprefix(f"{annotation.source}/")
    described = {"id": name, "shape": list(annotation.shape), "objects": objects}
    _add_file(archive, f"{key}.{DESCRIPTION}", json.dumps(described).encode())


def _place(layers: list[NDArray[np.uint16]], mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Put an object on the first layer where it overlaps no other; its layer and its value there."""
    free = [index for index, plane in enumerate(layers) if not plane[mask].any()]
    if not free:
        free = [len(layers)]
        layers.append(np.zeros(mask.shape, np.uint16))
    plane = layers[free[0]]
    value = int(plane.max()) + 1
    plane[mask] = value
    return free[0], value


def _png(plane: NDArray[np.integer]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(plane).save(stream, "PNG")
    return stream.getvalue()


def _add_file(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    # Times and owners stay at their defaults of 0 and "", so that the same data give the same bytes.
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
