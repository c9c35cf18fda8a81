"""Figures about a running server in Prometheus' text format; plain counters, nothing is sent anywhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

__all__ = ["Counter", "Histogram", "Metrics"]

_BOUNDS = (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8)


class Counter:
    """Something that is counted, in all and by kind."""

    def __init__(self, name: str, help: str, label: str) -> None:
        """Name it; `label` says by what it is told apart."""
        self.name, self.help, self.label = name, help, label
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def add(self, kind: str, count: int = 1) -> None:
        """Count one of a kind, or several."""
        with self._lock:
            self._counts[kind] = self._counts.get(kind, 0) + count

    def lines(self) -> list[str]:
        """As Prometheus reads it."""
        with self._lock:
            counts = sorted(self._counts.items())
        head = [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} counter"]
        return head + [f'{self.name}{{{self.label}="{kind}"}} {count}' for kind, count in counts]


class Histogram:
    """Seconds, counted by upper bound."""

    def __init__(self, name: str, help: str) -> None:
        """Name it."""
        self.name, self.help = name, help
        self._lock = threading.Lock()
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        with self._lock:
            self._counts[sum(seconds > bound for bound in _BOUNDS)] += 1
            self._sum += seconds

    def lines(self) -> list[str]:
        """As Prometheus reads it."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        lines = [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} histogram"]
        reached = 0
        for bound, count in zip((*map(str, _BOUNDS), "+Inf"), counts, strict=True):
            reached += count
            lines.append(f'{self.name}_bucket{{le="{bound}"}} {reached}')
        return [*lines, f"{self.name}_sum {total:.6f}", f"{self.name}_count {reached}"]


class Metrics:
    """Everything that the server counts."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.moves = Counter("inter2former_moves_total", "Moves of all pages by kind.", "move")
        self.refusals = Counter("inter2former_refusals_total", "What was refused, by what it was.", "what")
        self.sent = Counter("inter2former_sent_bytes_total", "Bytes sent to pages, by message.", "message")
        self.click = Histogram(
            "inter2former_answer_seconds", "From a prompt's arrival to its mask being handed to the page's socket."
        )
        self.encode = Histogram("inter2former_encode_seconds", "Encoding one image, without waiting.")
        self.waited = Histogram("inter2former_queue_seconds", "What jobs waited for the network.")
        self.gauges: Mapping[str, tuple[str, Callable[[], float]]] = {}

    def text(self) -> str:
        """All figures in Prometheus' text format 0.0.4."""
        lines: list[str] = []
        for part in (self.moves, self.refusals, self.sent, self.click, self.encode, self.waited):
            lines += part.lines()
        for name, (help, read) in self.gauges.items():
            lines += [f"# HELP {name} {help}", f"# TYPE {name} gauge", f"{name} {read():g}"]
        return "\n".join(lines) + "\n"
