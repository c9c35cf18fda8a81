"""What a data set holds: annotated images, and the single objects in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["Annotation", "Sample"]


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


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """All objects of one image.

    Attributes:
        id: unique within the data set.
        image_path: the image file.
        labels: (H, W) integers, 0: no object, otherwise the number of the object.
        ignore: (H, W) bool or None, as in `Sample`.
        source: name of the data set.
    """

    id: str
    image_path: Path
    labels: NDArray[np.integer]
    ignore: NDArray[np.bool_] | None
    source: str

    def objects(self) -> list[int]:
        """The numbers of the objects, ascending."""
        present = np.unique(self.labels)
        return [int(label) for label in present if label != 0]

    def samples(self) -> Iterator[Sample]:
        """The objects one by one, ascending; the id names the object where there are several."""
        objects = self.objects()
        for label in objects:
            name = self.id if len(objects) == 1 else f"{self.id}#{label}"
            yield Sample(name, self.image_path, self.labels == label, self.ignore, self.source)
