"""Shards: pictures with their objects in plain tar files, in the format of the `webdataset` library.

    shards/
    ├── 000000.tar       000000000.image.jpg, 000000000.layer0.png, 000000000.json, 000000001.image.jpg, ...
    ├── 000001.tar
    └── dataset.json     optional, see `terms`

The files of one picture stand next to each other and share the name before the first dot. The image is the file as it
was, byte by byte. A layer is a PNG with the number of an object per pixel, 0 for none; objects that overlap are in
different layers. `ignored.png` is there where pixels are ignored. The JSON says
{"id": ..., "shape": [height, width], "objects": [{"id": 3, "layer": 0, "value": 1, "area": 512}, ...]}.

A few large files are read faster than many small ones from network and object stores; nothing but the standard library
is needed to read them.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inter2former.data.sample import Annotation
from inter2former.data.terms import folder_name, stated_terms
from inter2former.errors import DataError
from inter2former.images import load_image, without_pillow_limit

__all__ = ["Member", "ShardAnnotation", "ShardDataset", "is_shards", "open_shards", "picture_order"]

IMAGE, IGNORED, DESCRIPTION, LAYER = "image.", "ignored.png", "json", "layer{}.png"


class Member(NamedTuple):
    """Where a file lies in a shard.

    Attributes:
        offset: of its first byte.
        size: in bytes.
    """

    offset: int
    size: int


class _Entry(NamedTuple):
    """One picture: its shard, its key, and its files by what stands after the key's dot."""

    shard: Path
    key: str
    members: dict[str, Member]


@dataclass(frozen=True, eq=False)
class ShardAnnotation(Annotation):
    """The objects of one picture of a shard.

    Attributes:
        entry: where the picture lies.
        described: what its JSON says.
    """

    entry: _Entry
    described: dict[str, list[dict[str, int]]] = field(repr=False)

    def check(self) -> None:
        """Look at every value of the JSON once.

        Raises:
            KeyError, TypeError, ValueError: one is missing or of another kind.
        """
        if not all(side > 0 for side in self.shape):
            raise ValueError(f"the shape is {self.shape}")
        for entry in self.described["objects"]:
            _ = entry["id"] + entry["layer"] + entry["value"] + entry["area"]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the masks in pixels."""
        height, width = self.described["shape"]
        return int(height), int(width)  # type: ignore[call-overload]

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects' numbers, ascending."""
        return tuple(entry["id"] for entry in self.described["objects"])

    def areas(self) -> NDArray[np.float64]:
        """(N,) the objects' areas in pixels."""
        return np.array([entry["area"] for entry in self.described["objects"]], dtype=np.float64)

    def mask(self, position: int) -> NDArray[np.bool_]:
        """The pixels of object number `position`, (H, W) bool.

        Raises:
            DataError: the layer cannot be read or is of another size.
        """
        found = self.described["objects"][position]
        return np.asarray(self._plane(LAYER.format(found["layer"])) == found["value"])

    def ignored(self) -> NDArray[np.bool_] | None:
        """(H, W) bool, pixels of which nothing is known; None: there are none.

        Raises:
            DataError: they cannot be read.
        """
        return self._plane(IGNORED) > 0 if IGNORED in self.entry.members else None

    def _plane(self, name: str) -> NDArray[np.integer]:
        if name in self._planes:
            return self._planes[name]
        where = f"{self.entry.shard}:{self.entry.key}.{name}"
        try:
            with _opened(self.entry, name) as image:
                plane = np.asarray(image)
        # Pillow's readers raise nearly any exception on bytes that only begin like their format.
        except Exception as error:
            raise DataError(f"cannot read the mask {where}: {error}; write the shard again") from error
        if plane.shape != self.shape:
            raise DataError(f"the mask {where} is {plane.shape}, its JSON says {self.shape}; write the shard again")
        self._planes[name] = plane
        return plane

    @cached_property
    def _planes(self) -> dict[str, NDArray[np.integer]]:
        return {}


@dataclass(frozen=True)
class ShardDataset:
    """Pictures in shards, in the order of the shards' names. Can be pickled; reads a picture when it is asked for.

    Attributes:
        name: of the data set.
        shards: the tar files.
        terms: under which the data may be used, in words; "" where nobody said.
        commercial_use: whether the terms allow it; None: unknown.
        entries: where every picture lies.
    """

    name: str
    shards: tuple[Path, ...]
    terms: str
    commercial_use: bool | None
    entries: tuple[_Entry, ...] = field(repr=False)

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.entries)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Image number `index`, (H, W, 3) uint8 RGB.

        Raises:
            DataError: it cannot be read.
        """
        entry = self.entries[index]
        name = next(name for name in entry.members if name.startswith(IMAGE))
        try:
            with _opened(entry, name) as image:
                return load_image(image)
        except Exception as error:
            raise DataError(f"cannot read the image {entry.shard}:{entry.key}.{name}: {error}") from error

    def annotation(self, index: int) -> ShardAnnotation:
        """The objects of picture number `index`.

        Raises:
            DataError: its JSON cannot be read.
        """
        entry = self.entries[index]
        try:
            described = json.loads(_content(entry, DESCRIPTION))
            found = ShardAnnotation(
                f"{self.name}/{described['id']}", entry.shard / entry.key, self.name, entry, described
            )
            found.check()
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"cannot understand {entry.shard}:{entry.key}.json: {error}; write the shard again"
            ) from error
        return found


def is_shards(path: Path) -> bool:
    """Whether a path is a shard or a folder of shards."""
    return path.suffix == ".tar" if path.is_file() else path.is_dir() and any(path.glob("*.tar"))


def open_shards(path: str | Path) -> ShardDataset:
    """List the pictures of a shard or of a folder of shards; of each shard only the headers are read.

    Raises:
        DataError: no shard there, one that is damaged, or a picture without its image or JSON.
    """
    root = Path(path)
    shards = (root,) if root.is_file() else tuple(sorted(root.glob("*.tar")))
    if not shards:
        raise DataError(f"{root} holds no shards; give a .tar file or a folder of them")
    folder = root.parent if root.is_file() else root
    name, terms = stated_terms(folder)
    entries = tuple(entry for shard in shards for entry in _entries(shard))
    name = name or (root.stem if root.is_file() else folder_name(root))
    return ShardDataset(name, shards, terms.text, terms.commercial_use, entries)


def picture_order(dataset: ShardDataset, *, seed: int, epoch: int, part: int = 0, parts: int = 1) -> Iterator[int]:
    """The pictures of one epoch in random order, one part of several.

    Shards come in random order and their pictures in random order within each, so that a shard is read while it is in
    the file system's cache. The parts are disjoint and together hold every picture once.

    Args:
        dataset: the pictures.
        seed: of the order.
        epoch: gives another order each time.
        part: 0..parts-1; number it over processes and their workers, such as rank * workers + worker.
        parts: how many there are.

    Yields:
        indices into the data set.

    Raises:
        ValueError: no such part.
    """
    if not 0 <= part < parts:
        raise ValueError(f"there is no part {part} of {parts}; the first is 0")
    rng = np.random.default_rng((seed, epoch))
    shard_of: dict[Path, list[int]] = {}
    for index, entry in enumerate(dataset.entries):
        shard_of.setdefault(entry.shard, []).append(index)
    members = list(shard_of.values())
    order = [index for number in rng.permutation(len(members)) for index in rng.permutation(members[number]).tolist()]
    yield from order[part::parts]


def _entries(shard: Path) -> Iterator[_Entry]:
    """The pictures of one shard; neighbours with the same key are one picture, as `webdataset` has it."""
    try:
        with tarfile.open(shard, "r:") as archive:
            files = [(info.name, Member(info.offset_data, info.size)) for info in archive if info.isfile()]
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"cannot read the shard {shard}: {error}; it must be a plain tar file") from error
    entry: _Entry | None = None
    for path, member in files:
        folder, _, name = path.rpartition("/")
        key, _, kind = name.partition(".")
        key = f"{folder}/{key}" if folder else key
        if entry is None or entry.key != key:
            if entry is not None:
                yield _whole(entry)
            entry = _Entry(shard, key, {})
        entry.members[kind] = member
    if entry is not None:
        yield _whole(entry)


def _whole(entry: _Entry) -> _Entry:
    if DESCRIPTION not in entry.members or not any(name.startswith(IMAGE) for name in entry.members):
        raise DataError(
            f"{entry.shard}:{entry.key} has {', '.join(sorted(entry.members))}; a picture has an image and a json"
        )
    return entry


def _opened(entry: _Entry, name: str) -> Image.Image:
    content = io.BytesIO(_content(entry, name))
    with without_pillow_limit():
        return Image.open(content)


def _content(entry: _Entry, name: str) -> bytes:
    if name not in entry.members:
        raise DataError(f"{entry.shard}:{entry.key} has no {name}; write the shard again")
    offset, size = entry.members[name]
    with entry.shard.open("rb") as file:
        file.seek(offset)
        content = file.read(size)
    if len(content) != size:
        raise DataError(f"the shard {entry.shard} is cut short; copy or write it again")
    return content
