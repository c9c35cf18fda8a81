"""Image embeddings on disk, so that a frozen encoder runs once per image and not once per step."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from inter2former.config import STRIDE
from inter2former.files import replacing
from inter2former.frame import WorkingFrame, resize_to_working
from inter2former.images import load_image
from inter2former.model.image_encoder import ImageEncoder
from inter2former.model.normalise import normalised_input

__all__ = ["CachedImage", "EmbeddingCache"]


class CachedImage(NamedTuple):
    """One image at working size.

    Attributes:
        image: (h, w, 3) uint8 RGB, not padded; mapped from disk.
        embedding: (C, ceil(h/16), ceil(w/16)) float16; mapped from disk.
    """

    image: NDArray[np.uint8]
    embedding: NDArray[np.float16]


class EmbeddingCache:
    """A folder of image embeddings by content of the image file, working size and encoder."""

    def __init__(self, folder: str | Path, encoder: ImageEncoder, *, size: int) -> None:
        """Open the cache; the folder is made if needed.

        Args:
            folder: where the files lie; files of other encoders and sizes may lie there too.
            encoder: computes what is missing; its weights are part of the key.
            size: working size in pixels of the longest side.
        """
        self.encoder = encoder.eval()
        self.size = size
        self.folder = Path(folder) / f"{_fingerprint(encoder)}-{size}"
        self.folder.mkdir(parents=True, exist_ok=True)

    def holds(self, image_path: Path) -> bool:
        """Whether the image's embedding is there already."""
        return self._paths(image_path)[1].exists()

    def get(self, image_path: Path) -> CachedImage:
        """Read the image's embedding, computing it first if it is not there.

        Raises:
            ImageReadError: the image cannot be read.
        """
        image_file, embedding_file = self._paths(image_path)
        if not embedding_file.exists():
            self._compute(image_path, image_file, embedding_file)
        return CachedImage(np.load(image_file, mmap_mode="r"), np.load(embedding_file, mmap_mode="r"))

    def _compute(self, image_path: Path, image_file: Path, embedding_file: Path) -> None:
        image = load_image(image_path)
        frame = WorkingFrame.fit(image.shape[1], image.shape[0], size=self.size, stride=STRIDE)
        working = resize_to_working(image, frame)
        with torch.inference_mode():
            embedding = self.encoder(normalised_input(working, stride=STRIDE)).embedding[0].half()
        _save(image_file, working)
        # The embedding comes last: where it is, the image is too.
        _save(embedding_file, embedding.contiguous().numpy())

    def _paths(self, image_path: Path) -> tuple[Path, Path]:
        digest = hashlib.sha256(image_path.read_bytes()).hexdigest()[:20]
        return self.folder / f"{digest}.image.npy", self.folder / f"{digest}.embedding.npy"


def _save(path: Path, array: NDArray[np.generic]) -> None:
    with replacing(path) as stream:  # several processes may write the same entry
        np.save(stream, array)


def _fingerprint(encoder: ImageEncoder) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(encoder.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
