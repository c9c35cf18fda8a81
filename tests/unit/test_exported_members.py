"""`__all__` tells the truth: what it names exists, and what is public is named."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from types import ModuleType

import pytest

import inter2former

MODULES = ["inter2former", *(found.name for found in pkgutil.walk_packages(inter2former.__path__, "inter2former."))]


def defined_in(module: ModuleType) -> set[str]:
    """Public functions and classes that the module itself defines at its top level."""
    if not module.__file__ or not module.__file__.endswith(".py"):
        return set()
    with open(module.__file__, encoding="utf-8") as file:
        body = ast.parse(file.read()).body
    definitions = (node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef))
    return {node.name for node in definitions if not node.name.startswith("_")}


@pytest.mark.parametrize("name", MODULES)
def test_all_is_true(name: str) -> None:
    module = importlib.import_module(name)
    if not hasattr(module, "__all__"):
        pytest.skip(f"{name} declares no __all__")
    exported = list(module.__all__)
    assert len(exported) == len(set(exported)), f"{name}.__all__ names something twice: {sorted(exported)}"
    assert not [member for member in exported if not hasattr(module, member)], f"{name}.__all__ names what is not there"
    assert not defined_in(module) - set(exported), f"{name}.__all__ leaves out public definitions"


def test_package_exports_its_public_names_and_nothing_else() -> None:
    public = {
        name
        for name, value in vars(inter2former).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }
    assert public == {name for name in inter2former.__all__ if not name.startswith("_")}
    assert "Predictor" in public
