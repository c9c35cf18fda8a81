"""How long a person waits for an answer, and for what."""

from __future__ import annotations

import time
from typing import NamedTuple

from inter2former.web.metrics import Histogram

__all__ = ["Clock", "Reading"]


class Reading(NamedTuple):
    """What a wait took so far.

    Attributes:
        waited: seconds until the network began; 0 where it was not asked.
        elapsed: seconds until now.
    """

    waited: float
    elapsed: float


class Clock:
    """Measures from the arrival of what a person asks for to its answer; of several that wait, the last counts."""

    def __init__(self, answered: Histogram) -> None:
        """Begin with nothing asked.

        Args:
            answered: told how long each answer took.
        """
        self._answered = answered
        self._asked = self._began = 0.0

    def asked(self) -> None:
        """Something was asked for just now."""
        self._asked, self._began = time.perf_counter(), 0.0

    def began(self, at: float) -> None:
        """The network began to answer.

        Args:
            at: as `time.perf_counter` counts.
        """
        self._began = at

    def read(self, *, final: bool) -> Reading:
        """What it took so far; zeros where nothing is asked.

        Args:
            final: whether this is the answer, so that nothing is asked any more.
        """
        if not self._asked:
            return Reading(0.0, 0.0)
        found = Reading(max(self._began - self._asked, 0.0), time.perf_counter() - self._asked)
        if final:
            self._answered.observe(found.elapsed)
            self._asked = 0.0
        return found
