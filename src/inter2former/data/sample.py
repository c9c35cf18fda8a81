"""What a data set holds: items, each an image with its annotation, and in that the single objects.

    Dataset  ->  Item (one image, not read yet)  ->  Annotation (its objects, masks decoded one by one)  ->  Sample

A layout on disk is a function that lists items; everything else is the same for all of them. Listing never fails over
one bad image: `Dataset.annotation` raises `DataError` for that image and for no other.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inter2former.errors import DataError
from inter2former.images import load_image

__all__ = ["Annotation", "Dataset", "Item", "Sample"]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One object of one image.

    Attributes:
        id: unique within the data set.
        image_path: the image file.
        mask: (H, W) bool, the object's pixels.
        ignore: (H, W) bool, pixels that count neither as object nor as background; None: there are none.
        source: name of the data set.
    """

    id: str
    image_path: Path
    mask: NDArray[np.bool_]
    ignore: NDArray[np.bool_] | None
    source: str


@dataclass(frozen=True, eq=False)
class Annotation(ABC):
    """All objects of one image; they may overlap, and a mask is decoded only when it is asked for.

    Attributes:
        id: unique within the data set.
        image_path: the image file.
        source: name of the data set.
    """

    id: str
    image_path: Path
    source: str

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Height and width of the masks in pixels, those of the upright image."""

    @property
    @abstractmethod
    def object_ids(self) -> tuple[int, ...]:
        """The objects' numbers, ascending; unique within the image."""

    @abstractmethod
    def areas(self) -> NDArray[np.float64]:
        """(N,) the areas in pixels in the order of `object_ids`, as the data set states them where it does."""

    @abstractmethod
    def mask(self, position: int) -> NDArray[np.bool_]:
        """The pixels of object number `position`.

        Args:
            position: 0..N-1, in the order of `object_ids`.
        Returns:
            (H, W) bool; may be all False where a data set lists an object without a pixel.
        Raises:
            DataError: the mask cannot be decoded.
        """

    @abstractmethod
    def ignored(self) -> NDArray[np.bool_] | None:
        """(H, W) bool, pixels of which nothing is known, whatever the object; None: there are none.

        Raises:
            DataError: they cannot be decoded.
        """

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.object_ids)

    def mask_and_ignore(self, position: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
        """An object's pixels, and the ignored ones that are not its own.

        Raises:
            DataError: one of the two cannot be decoded.
        """
        mask, ignored = self.mask(position), self.ignored()
        return mask, None if ignored is None else ignored & ~mask

    def sample_id(self, position: int) -> str:
        """The id of a sample; it names the object where the image has several."""
        return self.id if len(self) == 1 else f"{self.id}#{self.object_ids[position]}"

    def sample(self, position: int) -> Sample:
        """One object.

        Raises:
            DataError: the mask cannot be decoded or has no pixel.
        """
        mask, ignore = self.mask_and_ignore(position)
        name = self.sample_id(position)
        if not mask.any():
            raise DataError(f"the object {name} has no pixel; remove it from the annotation of {self.image_path}")
        return Sample(name, self.image_path, mask, ignore, self.source)

    def samples(self) -> Iterator[Sample]:
        """The objects one by one; to go on after a bad one, call `sample` for each position instead.

        Raises:
            DataError: there is no object, or one of them is bad.
        """
        if not len(self):
            raise DataError(self.nothing())
        for position in range(len(self)):
            yield self.sample(position)

    def nothing(self) -> str:
        """The sentence that refuses this image where it has no object."""
        ignored = self.ignored()
        state = "every pixel is ignored" if ignored is not None and ignored.all() else "nothing is marked"
        return f"the annotation of {self.image_path} has no object ({state}); mark one, or take the image out"


class Item(Protocol):
    """One image of a data set, not read yet; a small value that can be pickled.

    Attributes:
        id: unique within the data set, the same on every machine.
    """

    @property
    def id(self) -> str:
        """Unique within the data set, the same on every machine."""
        ...

    @property
    def image_path(self) -> Path:
        """The image file; it need not exist."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file whose bytes shape the samples, image first; only those that exist can be read."""
        ...

    def annotation(self, source: str) -> Annotation:
        """Read the objects.

        Args:
            source: name of the data set.
        Raises:
            DataError: a file is missing, damaged or does not fit the other; the message names it.
        """
        ...


@dataclass(frozen=True)
class Dataset:
    """Images with their objects, in a fixed order. Can be pickled; reads nothing until it is asked.

    Attributes:
        name: of the data set, also the first part of every id.
        root: the folder or file that was opened.
        items: the images.
        terms: under which the data may be used, in words; "" where nobody said.
        commercial_use: whether the terms allow it; None: unknown.
        split: which of the layout's splits this is, such as "val"; "" where it has none or nothing says which.
    """

    name: str
    root: Path
    items: tuple[Item, ...] = dataclasses.field(repr=False)
    terms: str = ""
    commercial_use: bool | None = None
    split: str = ""

    def __len__(self) -> int:
        """Number of images."""
        return len(self.items)

    def identity(self, index: int) -> str:
        """The id of image number `index`: the name of the data set and the image's place in it."""
        return f"{self.name}/{self.items[index].id}"

    def image_path(self, index: int) -> Path:
        """The file of image number `index`; it need not exist."""
        return self.items[index].image_path

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image number `index`, (H, W, 3) uint8 RGB, upright.

        Raises:
            ImageReadError: there is none that can be read.
        """
        return load_image(self.items[index].image_path)

    def files(self, index: int) -> tuple[Path, ...]:
        """Every file whose bytes shape the samples of image number `index`, the image first.

        An annotation file that serves many images is named for each of them. A file may be missing; `annotation` then
        says so.
        """
        return self.items[index].files

    def annotation(self, index: int) -> Annotation:
        """Read the objects of image number `index`.

        Raises:
            DataError: a file is missing, damaged or does not fit the other; the message names it.
        """
        return self.items[index].annotation(self.name)

    def samples(self) -> Iterator[Sample]:
        """All objects of all images.

        Raises:
            DataError: an image or object that cannot be used.
        """
        for index in range(len(self)):
            yield from self.annotation(index).samples()

    def subset(self, indices: Sequence[int]) -> Dataset:
        """The data set of some of the images, such as `range(0, len(dataset), 10)`.

        Args:
            indices: 0..len-1, in the order wanted.
        Returns:
            a data set of the same name and terms.
        """
        return dataclasses.replace(self, items=tuple(self.items[index] for index in indices))
