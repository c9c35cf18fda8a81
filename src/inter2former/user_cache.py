"""The user's cache folder: what can be made again at any time and need not be."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["user_cache"]

_SWITCH = "INTER2FORMER_CACHE"


def user_cache() -> Path:
    """The folder, which may not exist yet.

    `INTER2FORMER_CACHE` names it; without that it is `inter2former` in the place that the system has for caches:
    `%LOCALAPPDATA%` on Windows, `~/Library/Caches` on macOS, `$XDG_CACHE_HOME` or `~/.cache` elsewhere.
    """
    if named := os.environ.get(_SWITCH):
        return Path(named)
    if sys.platform == "win32":
        place = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        place = Path.home() / "Library" / "Caches"
    else:
        place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return place / "inter2former"
