"""The program as a whole: commands, help, version."""

from __future__ import annotations

import pytest

from inter2former import __version__
from inter2former.cli import __main__ as program

COMMANDS = ("segment", "evaluate", "train", "doctor")


def test_version(run):
    assert run("--version") == (0, f"inter2former {__version__}\n", "")


def test_help_lists_the_commands(run):
    result = run("--help")
    assert result.code == 0
    assert all(f"    {command} " in result.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_ends_with_an_example(run, command):
    result = run(command, "--help")
    assert result.code == 0
    assert f"example:\n  inter2former {command}" in result.out


@pytest.mark.parametrize("arguments", [(), ("segmnt",), ("segment",), ("doctor", "--presets", "x")])
def test_wrong_usage_is_exit_code_2(run, arguments):
    result = run(*arguments)
    assert result.code == 2
    assert result.err.startswith("usage: inter2former")


def test_an_interruption_is_exit_code_130(run, monkeypatch):
    def interrupt(name):
        raise KeyboardInterrupt

    monkeypatch.setattr("inter2former.cli.doctor.preset", interrupt)
    assert run("doctor") == (130, "", "inter2former doctor: interrupted\n")


def test_what_the_system_says_begins_with_the_file():
    with pytest.raises(FileNotFoundError) as caught:
        open("absent/file")
    assert program._sentence(caught.value) == "absent/file: No such file or directory"
