"""Options that several commands share."""

from __future__ import annotations

import argparse

from inter2former.config import PRESETS
from inter2former.predictor import Predictor

__all__ = ["Subparsers", "add_command", "add_predictor_options", "make_predictor"]

Subparsers = argparse._SubParsersAction  # argparse has no public name for what add_subparsers returns


def add_command(
    subparsers: Subparsers[argparse.ArgumentParser], name: str, help: str, example: str
) -> argparse.ArgumentParser:
    """Add a command whose `--help` ends with an example."""
    return subparsers.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_predictor_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the network and how it runs."""
    parser.add_argument(
        "--preset", default="inter2former-t", metavar="NAME", help=f"the network: {', '.join(sorted(PRESETS))}"
    )
    parser.add_argument("--weights", metavar="FILE", help="a .safetensors file; default: the weights of the package")
    parser.add_argument("--size", type=int, default=1024, metavar="PX", help="working size of the longest side (1024)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads; default: as many as there are cores")


def make_predictor(options: argparse.Namespace) -> Predictor:
    """Build the predictor that the options describe.

    Raises:
        ValueError, WeightsError: as `Predictor`.
    """
    return Predictor(options.preset, weights=options.weights, size=options.size, threads=options.threads)
