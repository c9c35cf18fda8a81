"""Objects that may overlap, as COCO and LVIS list them: a mask is decoded only when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inter2former.data.mask_files import check_size
from inter2former.data.sample import Annotation
from inter2former.data.segmentations import decode
from inter2former.errors import DataError, ImageReadError
from inter2former.images import upright_size

__all__ = ["Instance", "InstanceImage", "Instances"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One entry of `annotations`.

    Attributes:
        id: of the entry.
        area: in pixels as the file states it; None: it does not.
        segmentation: the mask as it stands in the file, or compacted; not checked.
    """

    id: int
    area: float | None
    segmentation: object


@dataclass(frozen=True, eq=False)
class Instances(Annotation):
    """The objects of an image.

    Attributes:
        file: the JSON file.
        size: height and width in pixels.
        objects: by ascending id.
        crowds: regions whose objects were not told apart; they are ignored.
    """

    file: Path
    size: tuple[int, int]
    objects: tuple[Instance, ...]
    crowds: tuple[Instance, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.size

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The ids of the entries, ascending."""
        return tuple(entry.id for entry in self.objects)

    def areas(self) -> NDArray[np.float64]:
        """(N,) the areas in pixels as the file states them, counted where it does not.

        Raises:
            DataError: a mask without a stated area cannot be decoded.
        """
        areas = (np.count_nonzero(self._decoded(one)) if one.area is None else one.area for one in self.objects)
        return np.array(list(areas), dtype=np.float64)

    def mask(self, position: int) -> NDArray[np.bool_]:
        """The pixels of object number `position`, (H, W) bool.

        Raises:
            DataError: the entry has no segmentation or a damaged one.
        """
        return self._decoded(self.objects[position])

    def ignored(self) -> NDArray[np.bool_] | None:
        """The crowds, (H, W) bool; None: there are none.

        Raises:
            DataError: one of them cannot be decoded.
        """
        return self._crowded

    @cached_property
    def _crowded(self) -> NDArray[np.bool_] | None:
        regions = [self._decoded(crowd) for crowd in self.crowds]
        return np.logical_or.reduce(regions) if regions else None

    def _decoded(self, entry: Instance) -> NDArray[np.bool_]:
        try:
            return decode(entry.segmentation, *self.size)
        except ValueError as error:
            raise DataError(f"annotation {entry.id} of {self.image_path} in {self.file}: {error}") from error


@dataclass(frozen=True, slots=True)
class InstanceImage:
    """One entry of `images` with its objects.

    Attributes:
        id: the name of the image file without its suffix, unique within the data set.
        image_path: the image.
        file: the JSON file.
        size: height and width in pixels as the file states them; None: it does not.
        objects: by ascending id.
        crowds: regions whose objects were not told apart.
    """

    id: str
    image_path: Path
    file: Path
    size: tuple[int, int] | None
    objects: tuple[Instance, ...]
    crowds: tuple[Instance, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """The image, and the JSON file, which serves all images."""
        return self.image_path, self.file

    def annotation(self, source: str) -> Instances:
        """Compare the image's size with what the file states; no mask is decoded.

        Raises:
            DataError: the image is missing or of another size, or two objects share an id.
        """
        if len({entry.id for entry in self.objects}) < len(self.objects):
            raise DataError(f"two annotations of {self.image_path} in {self.file} share an id; make the ids unique")
        size = self.size or self._size_of_image()
        check_size(self.image_path, size, f"the entry of {self.id} in {self.file}")
        return Instances(f"{source}/{self.id}", self.image_path, source, self.file, size, self.objects, self.crowds)

    def _size_of_image(self) -> tuple[int, int]:
        try:
            width, height = upright_size(self.image_path)
        except ImageReadError as error:
            raise DataError(str(error)) from error
        return height, width
