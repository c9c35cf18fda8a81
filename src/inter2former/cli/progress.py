"""A line on the error stream that says how far a long run has come and how long it will still take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

__all__ = ["ProgressBar", "duration"]

BAR = 24
SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_REDRAWS = 0.2


class ProgressBar:
    """A bar on a terminal; elsewhere a line every half minute, and one at the end of what took longer.

    Example:
        >>> with ProgressBar(345, "images") as bar:
        ...     for number in range(1, 346):
        ...         bar.show(number)
    """

    def __init__(
        self,
        total: int,
        word: str,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin at 0.

        Args:
            total: where it ends.
            word: what is counted or what happens to it, such as "images" or "written".
            stream: where the line goes; None: the error stream.
            clock: seconds from any beginning.
        """
        self._total, self._word = total, word
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._clock = clock
        self._started = self._shown = clock()
        self._drawn = False

    def show(self, number: int, text: str = "") -> None:
        """Say that `number` of the total are done.

        Args:
            number: 0..total.
            text: what else is to be seen.
        """
        now, last = self._clock(), number >= self._total
        wait = SECONDS_BETWEEN_REDRAWS if self._terminal else SECONDS_BETWEEN_LINES
        due = (
            now - self._shown >= wait
            or (last and (self._drawn or self._terminal))
            or (self._terminal and not self._drawn)
        )
        if not due:
            return
        self._shown, self._drawn = now, True
        parts = [f"{number}/{self._total} {self._word}"]
        if text:
            parts.append(text)
        if last:
            parts.append(f"{duration(now - self._started)} taken")
        elif number:
            parts.append(f"{duration((self._total - number) * (now - self._started) / number)} left")
        self._write(number, ", ".join(parts))

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the terminal's line, so that what follows begins on its own."""
        if self._terminal and self._drawn:
            print(file=self._stream, flush=True)

    def _write(self, number: int, text: str) -> None:
        if self._terminal:
            filled = BAR * number // max(1, self._total)
            print(f"\r\x1b[K[{'#' * filled}{'.' * (BAR - filled)}] {text}", end="", file=self._stream, flush=True)
        else:
            print(text, file=self._stream, flush=True)


def duration(seconds: float) -> str:
    """Seconds as a person says them: "45 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
