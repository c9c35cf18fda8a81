"""What all importers need: files that are what they claim to be, and numbers that are numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import numpy.typing as npt

from inter2former.errors import DataError
from inter2former.interchange.exchange import UNLABELLED

__all__ = ["damaged_as_data_error", "files_below", "label_or_none", "name_of_url", "read_json", "rings_of"]


def read_json(path: Path, wanted: Mapping[str, type]) -> Mapping[str, Any]:
    """Read a JSON object that has these names with values of these types.

    Raises:
        DataError: it cannot be read, or is something else.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); name the file to import") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is no JSON ({error}); name a file of the format") from error
    for name, kind in wanted.items():
        if not isinstance(content, Mapping) or not isinstance(content.get(name), kind):
            raise DataError(f"{path}: has no {kind.__name__} {name!r}; is it a file of another format?")
    return content


@contextmanager
def damaged_as_data_error(path: Path) -> Iterator[None]:
    """Whatever goes wrong while a file is taken apart is the file's fault, and says so."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: is damaged or of another format ({error!r:.200}); export it again") from error


def files_below(path: Path, ending: str) -> list[Path]:
    """The file itself, or all files of an ending in a folder and below it, sorted.

    Raises:
        DataError: there is none.
    """
    if path.is_file():
        return [path]
    found = sorted(path.rglob(f"*{ending}"))
    if not found:
        raise DataError(f"{path}: is no file and holds none that ends in {ending}; name the file or folder to import")
    return found


def label_or_none(name: object) -> str | None:
    """The name of a label; None for objects that were exported without one."""
    return None if name in (None, "", UNLABELLED) else str(name)


def name_of_url(url: str) -> str:
    """The path of an image in what a tool calls its place: a URL, a local-files query, or a path."""
    parts = urlsplit(url)
    if parts.query.startswith("d="):
        return unquote(parts.query.removeprefix("d="))
    return unquote(parts.path).lstrip("/") if parts.scheme or parts.netloc else url


def rings_of(*rings: npt.ArrayLike) -> list[npt.NDArray[np.float64]]:
    """Corners as arrays (N, 2) of float64.

    Raises:
        ValueError: another shape, or a value that is no finite number.
    """
    arrays = [np.asarray(ring, dtype=np.float64) for ring in rings]
    for array in arrays:
        if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
            raise ValueError(f"a polygon has the shape {array.shape} or a value that is no number; wanted pairs x, y")
    return arrays
