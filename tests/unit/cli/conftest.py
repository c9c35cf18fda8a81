"""Commands run in this process; a traceback would reach the test as an exception."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from PIL import Image

from inter2former.cli.__main__ import main


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys, torch_threads):
    """Run a command: `run("segment", path, ...)`."""

    def call(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        return Result(code, *capsys.readouterr())

    return call


@pytest.fixture
def refused(run):
    """Run a command that must fail with exit code 2 and, after any progress, one sentence, which is returned."""

    def call(*arguments):
        result = run(*arguments)
        assert result.code == 2
        assert "Traceback" not in result.err
        last = result.err.splitlines()[-1]
        assert last.startswith(f"inter2former {arguments[0]}: ")
        return last

    return call


@pytest.fixture
def photo_file(tmp_path, photo):
    path = tmp_path / "photo.png"
    Image.fromarray(photo()).save(path)
    return path


@pytest.fixture
def small(random_weights):
    """Options for the network with random weights at a small size."""
    return "--weights", random_weights, "--size", 128
