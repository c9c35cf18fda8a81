"""OpenVINO's entry point, loaded so that it leaves the process's signals alone."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = ["load_core"]


def load_core() -> Any:  # noqa: ANN401 - an openvino.Core
    """Make an `openvino.Core` with its CPU plugin loaded.

    The plugin gives the thread that loads it an alternate signal stack too small for Python's handlers: in the main
    thread the next Ctrl+C or SIGTERM would be a segmentation fault. So a thread of its own loads it, and ends.

    Raises:
        ImportError: there is no OpenVINO.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="openvino") as pool:
        return pool.submit(_load).result()


def _load() -> Any:  # noqa: ANN401 - an openvino.Core
    core = importlib.import_module("openvino").Core()
    core.get_property("CPU", "FULL_DEVICE_NAME")  # what loads the plugin
    return core
