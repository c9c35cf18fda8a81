"""What the annotator's server takes at most, so that neither a large folder nor a hostile page can exhaust it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one server.

    Attributes:
        memory: bytes for images, encodings and answers together; what was not used for longest leaves first. One image
            and its encoding are always kept, whatever they take.
        pages: that may be open at once.
        message: bytes of one message from a page.
        prompts: on one object.
        corners: of one scribble, lasso or stroke.
        waiting_moves: of one page that have not been answered.
        waiting_bytes: of answers that a page has not read.
        labels: of a project.
        loads: images that are read from the disk at the same time.
    """

    memory: int = 1024 * MEBIBYTE
    pages: int = 64
    message: int = 4 * MEBIBYTE
    prompts: int = 2000
    corners: int = 20_000
    waiting_moves: int = 1000
    waiting_bytes: int = 256 * MEBIBYTE
    labels: int = 1000
    loads: int = 2

    @property
    def pixels(self) -> int:
        """The share of the memory for images."""
        return self.memory * 2 // 5

    @property
    def encodings(self) -> int:
        """The share of the memory for encodings."""
        return self.memory * 2 // 5

    @property
    def predictions(self) -> int:
        """The share of the memory for answers."""
        return self.memory // 5
