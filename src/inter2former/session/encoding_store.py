"""Encodings on disk: what the network computes once per image need not be computed again.

One file per image in a folder per network and working size. Nothing is rounded, so masks are the same with a store as
without; an image of 1024x768 takes about 55 MB.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from inter2former.files import replacing
from inter2former.model.inter2former import EncodedImage

__all__ = ["EncodingStore", "image_digest"]

# The layout in memory decides which kernels run, and with them the last bits: it is kept as part of the name.
_LAST = ":channels_last"


class EncodingStore:
    """A folder of encoded images by content of the image; damaged entries count as missing."""

    def __init__(
        self, folder: str | os.PathLike[str], *, weights_hash: str, size: int, read_only: bool = False
    ) -> None:
        """Open the store; the folder is made where it is missing.

        Args:
            folder: other networks and working sizes may keep theirs in it too.
            weights_hash: of the network.
            size: working size in pixels.
            read_only: what is there is read and nothing is added.
        Raises:
            ValueError: it is only to be read and there is nothing of this network and size.
        """
        self.folder = Path(folder) / f"{weights_hash[:16]}-{size}"
        self.read_only = read_only
        if read_only and not self.folder.is_dir():
            raise ValueError(
                f"{os.fspath(folder)} holds no encodings of this network at {size} px; make them first: "
                f"inter2former precompute IMAGES --cache {os.fspath(folder)}, with the same network and size"
            )
        if not read_only:
            self.folder.mkdir(parents=True, exist_ok=True)

    def holds(self, image: NDArray[np.uint8]) -> bool:
        """Whether there is an entry for an equal image, whole or not.

        Args:
            image: (H, W, 3) uint8 RGB.
        """
        return self._path(image).exists()

    def get(self, image: NDArray[np.uint8]) -> EncodedImage | None:
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
        return _encoded(tensors) if stated == _checksum(tensors.items()) else None

    def put(self, image: NDArray[np.uint8], encoded: EncodedImage) -> None:
        """Write an encoded image, except where the store is only read; the file appears complete or not at all.

        Args:
            image: (H, W, 3) uint8 RGB.
            encoded: on any device.
        Raises:
            OSError: it cannot be written; the disk is full, for instance.
        """
        if self.read_only:
            return
        tensors = _tensors(encoded)
        path = self._path(image)
        with replacing(path) as stream:  # several processes may write the same entry
            stream.write(save(tensors, metadata={"checksum": _checksum(tensors.items())}))

    def _path(self, image: NDArray[np.uint8]) -> Path:
        return self.folder / f"{image_digest(image)}.safetensors"


def image_digest(image: NDArray[np.uint8]) -> str:
    """32 hexadecimal digits that say which image it is, by its pixels."""
    digest = hashlib.sha256(str(image.shape).encode("ascii"))
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()[:32]


def _tensors(encoded: EncodedImage) -> dict[str, Tensor]:
    named = {"embedding": encoded.embedding, **{f"edges{level}": maps for level, maps in enumerate(encoded.edges)}}
    return {
        f"{name}{_LAST if _channels_last(tensor) else ''}": tensor.detach().cpu().contiguous()
        for name, tensor in named.items()
    }


def _encoded(tensors: Mapping[str, Tensor]) -> EncodedImage:
    named = {
        name.removesuffix(_LAST): tensor.contiguous(memory_format=torch.channels_last)
        if name.endswith(_LAST)
        else tensor
        for name, tensor in tensors.items()
    }
    return EncodedImage(named["embedding"], tuple(named[f"edges{level}"] for level in range(len(named) - 1)))


def _channels_last(tensor: Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()


def _checksum(tensors: Iterable[tuple[str, Tensor]]) -> str:
    value = 0
    for key, tensor in sorted(tensors, key=lambda item: item[0]):
        value = zlib.crc32(key.encode("utf-8"), value)
        value = zlib.crc32(tensor.contiguous().view(torch.uint8).numpy().data, value)
    return f"{value:08x}"
