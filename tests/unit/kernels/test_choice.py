"""Which implementation carries an operation out, and what the environment and the compiled module have to say to it."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path

import pytest
import torch

from inter2former import kernels
from inter2former.errors import KernelError
from inter2former.kernels import _native, native, reference


@pytest.fixture
def environment(monkeypatch):
    """Sets variables as if the process had started with them; puts choice and level back afterwards."""
    before = _native.level()

    def choose(**variables):
        for name in ("KERNELS", "ISA"):
            monkeypatch.delenv(f"INTER2FORMER_{name}", raising=False)
            if name in variables:
                monkeypatch.setenv(f"INTER2FORMER_{name}", variables[name])
        kernels._compiled.cache_clear()

    yield choose
    kernels._compiled.cache_clear()
    _native.set_level(before)


def test_native_kernels_are_the_default(environment):
    environment()
    assert kernels.level() == _native.level()
    assert {name for name, kind in kernels.active().items() if kind == "native"} == set(native.OPERATIONS)
    assert set(kernels.active()) == set(reference.OPERATIONS)


def test_reference_on_request(environment):
    environment(KERNELS="reference")
    assert kernels.level() is None
    assert set(kernels.active().values()) == {"reference"}


@pytest.mark.parametrize("level", _native.levels())
def test_level_on_request(environment, level):
    environment(ISA=level)
    assert kernels.level() == level


def test_what_there_is_not_is_refused(environment):
    environment(KERNELS="fast")
    with pytest.raises(KernelError, match="INTER2FORMER_KERNELS is 'fast'; it must be 'native' or 'reference'"):
        kernels.level()
    environment(ISA="mmx")
    with pytest.raises(KernelError, match=f"level 'mmx' does not run on this processor; it runs {_native.levels()[0]}"):
        kernels.active()


def test_missing_module_is_an_error_and_no_slow_path(environment, monkeypatch):
    environment()
    monkeypatch.delattr(kernels, "_native")
    monkeypatch.setitem(sys.modules, "inter2former.kernels._native", None)
    with pytest.raises(KernelError, match=r"cannot be loaded .* set INTER2FORMER_KERNELS=reference"):
        kernels.linear(torch.ones(2, 3), torch.ones(4, 3), torch.ones(4))
    environment(KERNELS="reference")
    assert kernels.linear(torch.ones(2, 3), torch.ones(4, 3), torch.ones(4)).tolist() == [[4.0] * 4] * 2


def test_kernels_take_plain_tensors_only(environment, monkeypatch):
    environment()
    calls = []
    monkeypatch.setattr(native, "linear", lambda *arguments: calls.append(arguments))
    x, weight, bias = torch.ones(2, 3), torch.ones(4, 3), torch.ones(4)
    expected = reference.linear(x, weight, bias)
    trained = weight.clone().requires_grad_()
    assert torch.equal(kernels.linear(x, trained, bias).detach(), expected)
    assert torch.equal(kernels.linear(x.double(), weight.double(), bias.double()), expected.double())
    with kernels.reference_only():
        assert torch.equal(kernels.linear(x, weight, bias), expected)
    assert not calls
    with torch.no_grad():
        kernels.linear(x, trained, bias)
    kernels.linear(x, weight, bias)
    assert len(calls) == 2


def test_stub_names_what_the_module_has():
    tree = ast.parse(Path(inspect.getfile(kernels)).with_name("_native.pyi").read_text(encoding="utf-8"))
    stub = {node.name: [a.arg for a in node.args.args] for node in tree.body if isinstance(node, ast.FunctionDef)}
    compiled = {}
    for name, function in vars(_native).items():
        if not name.startswith("_"):
            (signature, *_), *overloads = function.__nb_signature__
            assert not overloads
            inside = signature[signature.index("(") + 1 : signature.rindex(")")]
            compiled[name] = re.findall(r"(?:^|, )(\w+): ", inside)
    assert stub == compiled
