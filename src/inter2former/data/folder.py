"""A plain folder: `images/` and `masks/` with the same file stems.

A mask is a PNG of the image's size. Three kinds, told apart by their values:
    binary     8-bit, 0 background and 255 object
    trimap     8-bit, the same and 128 where it is undecided (ignored)
    labels     anything else: 0 no object, every other value one object; 8 or 16 bit, or palette indices
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from inter2former.data.sample import Annotation, Sample
from inter2former.errors import DataError

__all__ = ["FolderDataset"]

TRIMAP_VALUES = {0, 128, 255}


class FolderDataset:
    """Images with masks in a plain folder, in the order of their names."""

    def __init__(self, root: str | Path) -> None:
        """List the folder.

        Raises:
            DataError: a subfolder is missing or empty, or an image has no mask.
        """
        self.root = Path(root)
        self.name = self.root.name
        masks = {path.stem: path for path in self._list("masks")}
        images = self._list("images")
        missing = [path for path in images if path.stem not in masks]
        if missing:
            raise DataError(
                f"{missing[0]} has no mask in {self.root / 'masks'} ({len(missing)} images without one); "
                "a mask is a PNG of the same name"
            )
        self.pairs = [(path, masks[path.stem]) for path in images]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pairs)

    def annotation(self, index: int) -> Annotation:
        """Read the objects of image number `index`.

        Raises:
            DataError: the mask cannot be read.
        """
        image_path, mask_path = self.pairs[index]
        values = _read_mask(mask_path)
        ignore = None
        if values.dtype == np.uint8 and set(np.unique(values).tolist()) <= TRIMAP_VALUES:
            undecided = values == 128
            ignore = undecided if undecided.any() else None
            values = (values == 255).astype(np.uint8)
        return Annotation(f"{self.name}/{image_path.stem}", image_path, values, ignore, self.name)

    def samples(self) -> Iterator[Sample]:
        """All objects of all images."""
        for index in range(len(self)):
            yield from self.annotation(index).samples()

    def _list(self, name: str) -> list[Path]:
        folder = self.root / name
        paths = folder.iterdir() if folder.is_dir() else iter(())
        files = sorted(path for path in paths if path.is_file() and not path.name.startswith("."))
        if not files:
            raise DataError(
                f"{folder} holds no files; a data set folder has images/ and masks/ with the same file stems"
            )
        return files


def _read_mask(path: Path) -> NDArray[np.integer]:
    try:
        with Image.open(path) as image:
            values = np.asarray(image)
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise DataError(f"cannot read the mask {path}: {error}") from error
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * 255
    if values.ndim != 2:
        raise DataError(f"the mask {path} has {values.ndim} dimensions; it must have one channel")
    if not np.issubdtype(values.dtype, np.integer):
        raise DataError(f"the mask {path} holds {values.dtype}; it must hold whole numbers of 8 or 16 bit")
    return values
