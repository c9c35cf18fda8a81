"""Image embeddings on disk between runs: what the network computes once per image need not be computed again.

One file per image in a folder per network and working size. Nothing is rounded, so a run with kept embeddings has the
same masks as one without; an image of 1024x768 takes about 55 MB.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

__all__ = ["EmbeddingStore"]


class EmbeddingStore:
    """A folder of tensors by content of the image; damaged entries count as missing."""

    def __init__(self, folder: Path, *, weights_hash: str, size: int) -> None:
        """Open the store; the folder is made where it is missing.

        Args:
            folder: other networks and working sizes may keep theirs in it too.
            weights_hash: of the network.
            size: working size in pixels.
        """
        self.folder = folder / f"{weights_hash[:16]}-{size}"
        self.folder.mkdir(parents=True, exist_ok=True)

    def get(self, image: NDArray[np.uint8]) -> dict[str, Tensor] | None:
        """Read what `put` wrote for an equal image; None where there is nothing, or nothing whole.

        Args:
            image: (H, W, 3) uint8 RGB.
        """
        try:
            with safe_open(str(self._path(image)), framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}
                stated = (file.metadata() or {}).get("checksum")
        except (OSError, SafetensorError):
            return None
        return tensors if stated == _checksum(tensors.items()) else None

    def put(self, image: NDArray[np.uint8], tensors: dict[str, Tensor]) -> None:
        """Write tensors for an image; the file appears complete or not at all.

        Args:
            image: (H, W, 3) uint8 RGB.
            tensors: on any device.
        """
        tensors = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        path = self._path(image)
        temporary = path.with_suffix(f".{os.getpid()}.partial")  # several processes may write the same entry
        temporary.write_bytes(save(tensors, metadata={"checksum": _checksum(tensors.items())}))
        os.replace(temporary, path)

    def _path(self, image: NDArray[np.uint8]) -> Path:
        digest = hashlib.sha256(str(image.shape).encode("ascii"))
        digest.update(np.ascontiguousarray(image).data)
        return self.folder / f"{digest.hexdigest()[:32]}.safetensors"


def _checksum(tensors: Iterable[tuple[str, Tensor]]) -> str:
    value = 0
    for key, tensor in sorted(tensors, key=lambda item: item[0]):
        value = zlib.crc32(key.encode("utf-8"), value)
        value = zlib.crc32(tensor.contiguous().view(torch.uint8).numpy().data, value)
    return f"{value:08x}"
