"""Numbers made by a reference implementation, and how tests get at them.

The folder is INTER2FORMER_FIXTURES where that is set, else `../shared/fixtures/public` beside the repository where that
exists, else the committed subset `fixtures/` beside this file. Another folder may hold other seeds, shapes and numbers
of cases, so a test reads all of these from the files.

    tensors, description = load_fixture("losses")
    for case in cases(tensors):
        tensors[f"{case}.logits"], description["cases"][case], weights(tensors, case)
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from inter2former.released_keys import rename

VARIABLE = "INTER2FORMER_FIXTURES"
REPOSITORY = Path(__file__).resolve().parents[2]
COMMITTED = Path(__file__).resolve().parent / "fixtures"

Tensors = dict[str, np.ndarray]

# c0, 00, 7, click3_unknown, pred0, silu1 and the single letters of sessions; never a weight's or a tensor's own name.
_CASE = re.compile(r"(?!q8$)[a-z]*\d+(_[a-z]+)?|[ab]")


def fixture_folder() -> Path:
    """The folder that the files are read from."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    shared = REPOSITORY.parent / "shared" / "fixtures" / "public"
    return shared if shared.is_dir() else COMMITTED


def _require(name: str) -> Path:
    path = fixture_folder() / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {path.parent}; set {VARIABLE} to a folder that holds it")
    return path


def _load_description(name: str) -> dict[str, Any]:
    return json.loads(_require(f"{name}.json").read_text(encoding="utf-8"))


def _load_fixture(name: str) -> tuple[Tensors, dict[str, Any]]:
    return load_file(_require(f"{name}.safetensors")), _load_description(name)


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part or 0), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text)]


def _cases(tensors: Mapping[str, object]) -> list[str]:
    prefixes = {key.split(".")[0] for key in tensors if "." in key}
    return sorted((prefix for prefix in prefixes if _CASE.fullmatch(prefix)), key=_natural)


def _weights(tensors: Tensors, prefix: str = "") -> dict[str, torch.Tensor]:
    start = f"{prefix}." if prefix else ""
    found: dict[str, torch.Tensor] = {}
    for name, values in tensors.items():
        if name.startswith(f"{start}w."):
            found[name.removeprefix(f"{start}w.")] = torch.from_numpy(values.copy())
        elif name.startswith(f"{start}q8."):
            key = name.removeprefix(f"{start}q8.")
            found[key] = torch.from_numpy(np.asarray(values * tensors[f"{start}q8scale.{key}"], dtype=np.float32))
    return found


def _renamed(found: Mapping[str, torch.Tensor], released: str, ours: str) -> dict[str, torch.Tensor]:
    keys = {key: rename(released + key) for key in found}
    return {name.removeprefix(ours): found[key] for key, name in keys.items() if name is not None}


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(values))


def _within(description: Mapping[str, Any]) -> Callable[..., None]:
    tolerance = description["tolerance_float32"]
    bounds = {kind: float(value) for kind, value in re.findall(r"(atol|rtol) ([0-9.e-]+[0-9])", tolerance)}
    assert set(bounds) == {"atol", "rtol"}, tolerance

    def check(measured: torch.Tensor, stored: np.ndarray, name: str, *, rounding: float = 0.0) -> None:
        atol = bounds["atol"] + rounding
        torch.testing.assert_close(
            measured, _tensor(stored), rtol=bounds["rtol"], atol=atol, msg=lambda text: f"{name}: {text}"
        )

    return check


@pytest.fixture(scope="session")
def load_fixture() -> Callable[[str], tuple[Tensors, dict[str, Any]]]:
    """`load_fixture(name)`: tensors and description of one file; skips the test, aloud, where it is absent."""
    return _load_fixture


@pytest.fixture(scope="session")
def load_description() -> Callable[[str], dict[str, Any]]:
    """`load_description(name)`: a description that has no tensors; skips the test, aloud, where it is absent."""
    return _load_description


@pytest.fixture(scope="session")
def cases() -> Callable[[Mapping[str, object]], list[str]]:
    """`cases(tensors)`: the prefixes of the independent cases in a file, in natural order."""
    return _cases


@pytest.fixture(scope="session")
def weights() -> Callable[..., dict[str, torch.Tensor]]:
    """`weights(tensors, case="")`: the float32 state dict of a file or of one case, from `w.` and `q8.` entries."""
    return _weights


@pytest.fixture(scope="session")
def renamed() -> Callable[[Mapping[str, torch.Tensor], str, str], dict[str, torch.Tensor]]:
    """`renamed(weights, released, ours)`: a state dict from weights whose names lack the prefix `released`.

    The names are those of the released checkpoint below that prefix; the result's are ours below the prefix `ours`.
    """
    return _renamed


@pytest.fixture(scope="session")
def tensor() -> Callable[[np.ndarray], torch.Tensor]:
    """`tensor(values)`: a copy as a torch tensor."""
    return _tensor


@pytest.fixture(scope="session")
def within() -> Callable[[Mapping[str, Any]], Callable[..., None]]:
    """`within(description)(measured, stored, name)`: equal, element by element, within the tolerance the file states.

    `rounding` is added to the absolute tolerance; who passes it says why.
    """
    return _within
