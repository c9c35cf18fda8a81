"""Encodings in memory: those of the last images within a budget of bytes, and those made ahead of time."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from inter2former.session.cache import ByteCache
from inter2former.session.encoding_store import image_digest
from inter2former.session.engine import Encoding, Engine

__all__ = ["Encodings"]


class Encodings:
    """Encodes each image once as long as there is room for it; safe to share between threads."""

    def __init__(self, engine: Engine, budget: int = 0) -> None:
        """Begin empty.

        Args:
            engine: the network.
            budget: bytes of all encodings that are kept, at 1024 px some 40 to 55 million each; 0: none is kept.
        Raises:
            ValueError: a negative budget.
        """
        self._engine = engine
        self._kept: ByteCache[str, Encoding] = ByteCache(budget)
        self._coming: dict[str, Future[Encoding]] = {}
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None

    def get(self, image: NDArray[np.uint8]) -> Encoding:
        """The encoding of an image: kept, on its way, or made now.

        Args:
            image: (H, W, 3) uint8 RGB.
        """
        if not self._kept.budget and not self._coming:
            return self._engine.encode(image)
        digest = image_digest(image)
        with self._lock:
            coming = self._coming.pop(digest, None)
        if coming is not None and not coming.cancel():
            return self._keep(digest, coming.result())
        return self._kept.get(digest) or self._keep(digest, self._engine.encode(image))

    def prefetch(self, image: NDArray[np.uint8]) -> None:
        """Encode an image on a thread of its own, so that `get` has it sooner; one at a time, in the order they come.

        What was made ahead is kept until `get` asks for it, whatever the budget.

        Args:
            image: (H, W, 3) uint8 RGB; not changed afterwards.
        """
        digest = image_digest(image)
        with self._lock:
            if digest in self._coming or digest in self._kept:
                return
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
            self._coming[digest] = self._thread.submit(self._engine.encode, image)

    def _keep(self, digest: str, encoding: Encoding) -> Encoding:
        self._kept.put(digest, encoding, encoding.nbytes)
        return encoding
