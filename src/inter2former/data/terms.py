"""Under which terms a data set may be used: known for published layouts, or stated in a `dataset.json`.

    {"name": "workshop", "terms": "CC0", "commercial_use": true}

The file lies in the data set's folder (for COCO and LVIS, beside the JSON file). Every entry may be left out; what it
states goes before what the layout implies.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from inter2former.data.sample import Dataset, Item
from inter2former.errors import DataError

__all__ = ["HasTerms", "Terms", "dataset_of", "folder_name", "refuse_other_than_commercial", "stated_terms"]

DESCRIPTION = "dataset.json"
ENTRIES = {"name": str, "terms": str, "commercial_use": bool}


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of use.

    Attributes:
        text: in words; "" where nobody said.
        commercial_use: whether they allow it; None: unknown.
    """

    text: str = ""
    commercial_use: bool | None = None


class HasTerms(Protocol):
    """Whatever has a name and terms of use, with the meaning that they have in `Dataset`."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def terms(self) -> str:
        """In words; "" where nobody said."""
        ...

    @property
    def commercial_use(self) -> bool | None:
        """Whether the terms allow it; None: unknown."""
        ...


def folder_name(path: Path) -> str:
    """The name of a folder as it was given; that of the folder it stands for where the path is relative."""
    return Path(os.path.abspath(path)).name


def dataset_of(
    root: Path, items: Iterable[Item], *, name: str = "", split: str = "", terms: Terms | None = None
) -> Dataset:
    """Put a data set together, with what its `dataset.json` says where there is one.

    Args:
        root: the folder or file that was opened.
        items: the images.
        name: of the data set; "": that of the folder.
        split: goes behind the name, also behind one that the description states.
        terms: what the layout implies.
    Raises:
        DataError: there is no image at all, or the description cannot be understood.
    """
    implied = terms or Terms()
    folder = root if root.is_dir() else root.parent
    stated = _stated(folder / DESCRIPTION)
    listed = tuple(items)
    if not listed:
        raise DataError(f"{root} has no images, or no masks for them; give a folder or list with at least one of each")
    named = stated.get("name", name or folder_name(folder))
    return Dataset(
        f"{named}-{split}" if split else named,
        root,
        listed,
        stated.get("terms", implied.text),
        stated.get("commercial_use", implied.commercial_use),
        split,
    )


def stated_terms(folder: Path) -> tuple[str, Terms]:
    """Name and terms that the `dataset.json` of a folder states; "" and unknown ones where there is none.

    Raises:
        DataError: the description cannot be understood.
    """
    stated = _stated(folder / DESCRIPTION)
    return stated.get("name", ""), Terms(stated.get("terms", ""), stated.get("commercial_use"))


def refuse_other_than_commercial(datasets: Iterable[HasTerms]) -> None:
    """Make sure that all data may be used commercially.

    Raises:
        DataError: naming those that may not, or of which nobody said.
    """
    refused = [
        f"{dataset.name} ({dataset.terms or 'no terms stated'})" for dataset in datasets if not dataset.commercial_use
    ]
    if refused:
        raise DataError(
            f"commercial use is not known to be allowed for {', '.join(refused)}; leave these out, or state the terms "
            f'in a {DESCRIPTION} with "commercial_use": true'
        )


def _stated(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}; write a JSON object") from error
    wrong = not isinstance(stated, dict) or any(
        not isinstance(value, ENTRIES.get(entry, ())) for entry, value in stated.items()
    )
    if wrong:
        raise DataError(f'{path} holds {stated}; give {{"name": text, "terms": text, "commercial_use": true or false}}')
    return stated
