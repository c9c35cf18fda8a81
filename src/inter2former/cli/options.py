"""Options that several commands share."""

from __future__ import annotations

import argparse
from typing import get_args

from inter2former.config import PRESETS
from inter2former.predictor import Predictor
from inter2former.session.compiled_encoder import EncoderRuntime, Precision

__all__ = [
    "Subparsers",
    "add_command",
    "add_encoder_options",
    "add_predictor_options",
    "make_predictor",
]

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


def add_encoder_options(
    parser: argparse.ArgumentParser, *, encoder: EncoderRuntime = "auto", precision: Precision = "auto"
) -> None:
    """Add the options that choose what runs the image encoder.

    Args:
        parser: of the command.
        encoder: what runs it where nothing is asked for.
        precision: of its arithmetic, likewise.
    """
    parser.add_argument(
        "--encoder",
        default=encoder,
        choices=get_args(EncoderRuntime),
        help=f"what runs the image encoder; auto: openvino where it is installed and far ahead ({encoder})",
    )
    parser.add_argument(
        "--precision",
        default=precision,
        choices=get_args(Precision),
        help="of the image encoder; auto: bfloat16 where openvino runs that of inter2former-t and the processor has it "
        f"({precision})",
    )


def add_predictor_options(
    parser: argparse.ArgumentParser,
    *,
    threads: int | None = None,
    encoder: EncoderRuntime = "auto",
    precision: Precision = "auto",
) -> None:
    """Add the options that choose the network and how it runs.

    Args:
        parser: of the command.
        threads: how many are used where none are asked for; None: as many as there are cores.
        encoder: what runs the image encoder where nothing is asked for.
        precision: of its arithmetic, likewise.
    """
    parser.add_argument(
        "--preset", default="inter2former-t", metavar="NAME", help=f"the network: {', '.join(sorted(PRESETS))}"
    )
    parser.add_argument("--weights", metavar="FILE", help="a .safetensors file; default: the weights of the package")
    parser.add_argument("--size", type=int, default=1024, metavar="PX", help="working size of the longest side (1024)")
    usual = "as many as there are cores" if threads is None else f"{threads}, for the same results everywhere"
    parser.add_argument("--threads", type=int, default=threads, metavar="N", help=f"threads; default: {usual}")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="where the network runs: cpu or cuda (cpu)")
    add_encoder_options(parser, encoder=encoder, precision=precision)


def make_predictor(options: argparse.Namespace) -> Predictor:
    """Build the predictor that the options describe.

    Raises:
        ValueError, MissingPackageError, WeightsError: as `Predictor`.
    """
    return Predictor(
        options.preset,
        weights=options.weights,
        size=options.size,
        threads=options.threads,
        device=options.device,
        cache=getattr(options, "cache", None),
        encoder=options.encoder,
        precision=options.precision,
    )
