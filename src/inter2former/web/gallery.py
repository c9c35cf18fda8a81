"""The images of a project in memory: pixels, tiles for the page, encodings for the network; each once for all pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from inter2former.errors import ImageReadError
from inter2former.images import load_image
from inter2former.project.library import FileIdentity, Library
from inter2former.session.cache import ByteCache
from inter2former.session.engine import Encoding, Engine
from inter2former.web.freed import give_back
from inter2former.web.limits import Limits
from inter2former.web.metrics import Metrics
from inter2former.web.worker import Job, Priority, Worker, beat_within

__all__ = ["TILE", "Gallery", "Photo"]

TILE = 512
"""Side of a tile in pixels."""

Report = Callable[[str, float], None]
Pixels = NDArray[np.uint8]

_LOSSY = frozenset({".jpg", ".jpeg", ".webp"})
_QUALITY = 95


@dataclass(frozen=True, eq=False)
class Photo:
    """An image as the page and the network see it.

    Attributes:
        path: below the folder of the images.
        identity: which file it is; width and height are those of the pixels.
        stamp: time of the last change and size of the file when it was read.
        pixels: (H, W, 3) uint8 RGB, upright.
    """

    path: str
    identity: FileIdentity
    stamp: tuple[int, int]
    pixels: Pixels

    @property
    def key(self) -> str:
        """Short for its content."""
        return self.identity.sha256[:16]

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels with all levels."""
        return self.pixels.nbytes * 4 // 3

    @cached_property
    def levels(self) -> tuple[Pixels, ...]:
        """The image, then each time half as large, until one tile holds it."""
        found = [self.pixels]
        while max(found[-1].shape[:2]) > TILE:
            height, width = found[-1].shape[:2]
            half = ((width + 1) // 2, (height + 1) // 2)
            found.append(np.asarray(cv2.resize(found[-1], half, interpolation=cv2.INTER_AREA), np.uint8))
        return tuple(found)

    @property
    def level_count(self) -> int:
        """How many levels there are, without making them."""
        longest, count = max(self.pixels.shape[:2]), 1
        while longest > TILE:
            longest, count = (longest + 1) // 2, count + 1
        return count

    def tile(self, level: int, column: int, row: int) -> tuple[bytes, str]:
        """Encode one tile.

        Args:
            level: 0 is the image itself, each further one half as large.
            column: from 0 at the left, in tiles.
            row: from 0 at the top.
        Returns:
            a file and its media type: PNG for full pixels of files without loss, otherwise JPEG.
        Raises:
            ValueError: there is no such tile.
        """
        if not 0 <= level < self.level_count or column < 0 or row < 0:
            raise ValueError(f"level {level} has no tile ({column}, {row})")
        pixels = self.pixels if level == 0 else self.levels[level]
        part = pixels[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
        if not part.size:
            raise ValueError(f"level {level} has no tile ({column}, {row})")
        bgr = cv2.cvtColor(part, cv2.COLOR_RGB2BGR)
        if level == 0 and not self.path.lower().endswith(tuple(_LOSSY)):
            return cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes(), "image/png"
        options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
        return cv2.imencode(".jpg", bgr, options)[1].tobytes(), "image/jpeg"


class Gallery:
    """Reads and encodes images once for all pages, and forgets what was not used for longest."""

    def __init__(self, library: Library, worker: Worker, limits: Limits, metrics: Metrics) -> None:
        """Begin empty; `engine` is given when it is loaded."""
        self.library, self.worker, self.metrics = library, worker, metrics
        self.engine: asyncio.Future[Engine] = asyncio.get_running_loop().create_future()
        self.photos: ByteCache[str, Photo] = ByteCache(limits.pixels)
        self.encodings: ByteCache[object, Encoding] = ByteCache(limits.encodings)
        self._loading: dict[str, asyncio.Future[Photo]] = {}
        self._encoding: dict[object, Job[Encoding]] = {}
        self._wanted: dict[Job[Encoding], int] = {}
        self._readers = ThreadPoolExecutor(limits.loads, thread_name_prefix="reader")
        self._last: Photo | None = None
        self._steps = 1
        self._on_beat: Callable[[], None] | None = None

    def use(self, engine: Engine) -> None:
        """The network is loaded; have it step aside for urgent work."""
        self._steps = max(1, beat_within(engine.network, self._beat))
        self.engine.set_result(engine)

    async def photo(self, path: str) -> Photo:
        """The image as it is on the disk now.

        Raises:
            ProjectError: the path leads out of the folder, or the file is missing.
            ImageReadError: it is no image, or one that is too large.
        """
        loop = asyncio.get_running_loop()
        stamp = await loop.run_in_executor(self._readers, self._stamp, path)
        known = self._last if self._last is not None and self._last.path == path else self.photos.get(path)
        if known is not None and known.stamp == stamp:
            return known
        loading = self._loading.get(path)
        if loading is None:
            loading = self._loading[path] = loop.run_in_executor(self._readers, self._read, path)
            loading.add_done_callback(lambda _: self._loading.pop(path, None))
        photo = await asyncio.shield(loading)
        self.photos.put(path, photo, photo.nbytes)
        self._last = photo
        return photo

    def encoding_if_known(self, photo: Photo) -> Encoding | None:
        """What was made before and is still there."""
        return self.encodings.get(photo.key)

    async def encoding(self, photo: Photo, priority: Priority, report: Report | None = None) -> Encoding:
        """The encoding of an image; several callers share the work, at the urgency of the most urgent.

        Args:
            photo: the image.
            priority: how urgent it is.
            report: called on the worker's thread with a stage and the share of it that is done.
        """
        return await self._encoded(photo.key, lambda: photo.pixels, priority, report)

    async def region(self, photo: Photo, box: tuple[int, int, int, int]) -> Encoding:
        """The encoding of a part of an image as an image of its own, at the urgency of a region."""
        left, top, right, bottom = box
        cut = photo.pixels[top:bottom, left:right]
        return await self._encoded((photo.key, box), lambda: np.ascontiguousarray(cut), Priority.REGION, None)

    def close(self) -> None:
        """Stop reading."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def _encoded(
        self, key: object, pixels: Callable[[], Pixels], priority: Priority, report: Report | None
    ) -> Encoding:
        known = self.encodings.get(key)
        if known is not None:
            return known
        engine = await asyncio.shield(self.engine)
        job = self._encoding.get(key)
        if job is None or job.abandoned:
            job = self.worker.submit(priority, lambda: self._encode(engine, pixels(), report))
            self._encoding[key] = job
        job.priority = min(job.priority, priority)
        self._wanted[job] = self._wanted.get(job, 0) + 1
        try:
            waiting = asyncio.wrap_future(job.future)
            waiting.add_done_callback(_heed)
            encoding = await asyncio.shield(waiting)
        finally:
            self._wanted[job] -= 1
            if not self._wanted[job]:
                # The last one who wanted it has it, or has gone.
                del self._wanted[job]
                job.cancel()
                if self._encoding.get(key) is job:
                    del self._encoding[key]
        self.encodings.put(key, encoding, encoding.nbytes)
        return encoding

    def _encode(self, engine: Engine, pixels: Pixels, report: Report | None) -> Encoding:
        beats, outer = 0, self._on_beat

        def count() -> None:
            nonlocal beats
            beats += 1
            if report is not None and beats % 8 == 0:
                report("embed", min(beats / self._steps, 0.99))

        def stage(name: str) -> None:
            if report is not None:
                report(name, 0.0)

        self._on_beat = count
        try:
            encoding = engine.encode(pixels, stage)
        finally:
            self._on_beat = outer
            give_back()
        self.metrics.encode.observe(encoding.seconds)
        return encoding

    def _beat(self) -> None:
        if self._on_beat is not None:
            count, self._on_beat = self._on_beat, None
            try:
                count()
                self.worker.beat()
            finally:
                self._on_beat = count

    def _stamp(self, path: str) -> tuple[int, int]:
        try:
            status = self.library.file(path).stat()
        except OSError:
            return -1, -1
        return status.st_mtime_ns, status.st_size

    def _read(self, path: str) -> Photo:
        stamp = self._stamp(path)
        file = self.library.file(path)
        try:
            pixels = load_image(file)
        except ImageReadError as error:
            # The person knows the image by its name in the list.
            raise ImageReadError(str(error).replace(str(file), path)) from error
        height, width = pixels.shape[:2]
        return Photo(path, self.library.identity(path, (width, height)), stamp, pixels)


def _heed(future: asyncio.Future[Encoding]) -> None:
    """Whoever waited may have gone; asyncio would complain that nobody looked at the error."""
    if not future.cancelled():
        future.exception()
