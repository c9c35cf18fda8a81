"""`inter2former COMMAND ...`: dispatch, and errors in one sentence."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from inter2former import __version__
from inter2former.cli import (
    annotate,
    bench,
    convert,
    distil,
    doctor,
    evaluate,
    export,
    precompute,
    pretrain,
    pseudo_label,
    segment,
    shards,
    synthesise,
    train,
)
from inter2former.errors import Inter2FormerError

__all__ = ["main"]

COMMANDS = (
    annotate,
    segment,
    precompute,
    evaluate,
    train,
    pretrain,
    pseudo_label,
    distil,
    synthesise,
    shards,
    convert,
    export,
    bench,
    doctor,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: as on the command line, without the program's name; None: those of the process.
    Returns:
        the exit code: 0, 1 where `doctor` found something wrong, 2 after bad input, 130 after an interruption.
    """
    options = _build_parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (Inter2FormerError, ValueError, OSError) as error:
        print(f"inter2former {options.command}: {_sentence(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"inter2former {options.command}: interrupted", file=sys.stderr)
        return 130


def _build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="inter2former", description="Click on an object, get a pixel-accurate mask, on an ordinary CPU."
    )
    parser.add_argument("--version", action="version", version=f"inter2former {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def _sentence(error: Exception) -> str:
    """The message; what the system says about a file starts with the file, without the error's number."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
