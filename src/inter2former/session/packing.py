"""Planes of few values, kept small: the reference maps and painted pixels of every step of a session."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["PackedPlane", "pack"]

_BYTES_PER_RUN = 5


class PackedPlane(NamedTuple):
    """A plane as runs of equal values in row-major order, or as it was where that is smaller.

    Attributes:
        shape: (H, W).
        values: (n,) uint8, the value of each run; or (H * W,), one value per pixel.
        starts: (n,) uint32, the first pixel of each run; None: there are no runs.
    """

    shape: tuple[int, int]
    values: NDArray[np.uint8]
    starts: NDArray[np.uint32] | None

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.values.nbytes + (0 if self.starts is None else self.starts.nbytes)

    def unpack(self) -> NDArray[np.uint8]:
        """Draw the plane: (H, W) uint8, a new array."""
        if self.starts is None:
            return self.values.reshape(self.shape).copy()
        lengths = np.diff(self.starts, append=np.uint32(self.shape[0] * self.shape[1]))
        return np.repeat(self.values, lengths).reshape(self.shape)


def pack(plane: NDArray[np.uint8]) -> PackedPlane:
    """Pack a plane (H, W) of uint8; noise, which has no runs, is copied as it is."""
    flat = np.ascontiguousarray(plane).reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    shape = (plane.shape[0], plane.shape[1])
    if (len(changes) + 1) * _BYTES_PER_RUN >= flat.size:
        return PackedPlane(shape, flat.copy(), None)
    starts = np.concatenate([[0], changes + 1]).astype(np.uint32)
    return PackedPlane(shape, flat[starts], starts)
