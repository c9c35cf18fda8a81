"""What is kept within a budget of bytes; what was not used for longest leaves first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

__all__ = ["ByteCache"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class ByteCache(Generic[Key, Value]):
    """A table of values whose sizes add up to at most a budget; safe to share between threads and sessions.

    Example:
        >>> cache = ByteCache(budget=10)
        >>> cache.put("a", 1, nbytes=6)
        >>> cache.put("b", 2, nbytes=6)
        >>> cache.get("a") is None, cache.get("b")
        (True, 2)
    """

    def __init__(self, budget: int) -> None:
        """Begin empty.

        Args:
            budget: bytes, >= 0; with 0 nothing is kept.
        Raises:
            ValueError: a negative budget.
        """
        if budget < 0:
            raise ValueError(f"the budget is {budget} bytes; it must be at least 0")
        self.budget = budget
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._used = 0

    @property
    def used(self) -> int:
        """Bytes of all values."""
        return self._used

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def get(self, key: Key) -> Value | None:
        """Look a value up and mark it as used; None: it was never put or has left."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: Key, value: Value, nbytes: int) -> None:
        """Keep a value in place of the key's former one, and drop what no longer fits, itself if need be.

        Args:
            key: where to find it.
            value: the value.
            nbytes: its size.
        """
        with self._lock:
            self._drop(key)
            self._entries[key] = (value, nbytes)
            self._used += nbytes
            while self._used > self.budget:
                self._drop(next(iter(self._entries)))

    def forget(self, keys: Iterable[Key]) -> None:
        """Drop the values of these keys; unknown ones are passed over."""
        with self._lock:
            for key in keys:
                self._drop(key)

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._used -= entry[1]
