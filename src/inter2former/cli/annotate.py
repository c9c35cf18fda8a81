"""`inter2former annotate`: a browser page in which a person annotates a folder of images."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from functools import partial

from inter2former.cli.options import Subparsers, add_command, add_encoder_options
from inter2former.config import PRESETS
from inter2former.session.engine import Engine

__all__ = ["add_parser", "run"]

MEBIBYTE = 1 << 20


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "annotate",
        "open a browser page to annotate a folder of images",
        "inter2former annotate photos/",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a folder of images, a project folder, or images")
    parser.add_argument(
        "--project", metavar="DIR", help="where the work is kept; default: inter2former/ in the folder of the images"
    )
    parser.add_argument("--port", type=int, metavar="N", help="port on 127.0.0.1; 0: any (8321, or any if taken)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument(
        "--cache", metavar="DIR", help="take images that precompute has encoded from here; nothing is added"
    )
    parser.add_argument("--memory", type=int, default=1024, metavar="MB", help="for images, encodings and masks (1024)")
    parser.add_argument(
        "--preset", default="inter2former-t", metavar="NAME", help=f"the network: {', '.join(sorted(PRESETS))}"
    )
    parser.add_argument("--weights", metavar="FILE", help="a .safetensors file; default: the weights of the package")
    parser.add_argument("--size", type=int, default=1024, metavar="PX", help="working size of the longest side (1024)")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="where the network runs: cpu or cuda (cpu)")
    add_encoder_options(parser)
    parser.add_argument("--json", action="store_true", help="print the address as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted, which is how it ends."""
    if options.memory < 64:
        raise ValueError(f"--memory is {options.memory} MB; it must be at least 64")
    # Not at the top: the other commands need not wait for the server's packages.
    from inter2former.web.folders import open_project
    from inter2former.web.limits import Limits
    from inter2former.web.serve import open_port, serve
    from inter2former.web.workspace import Workspace

    taken = open_port(options.port)
    try:
        opened = open_project(options.paths, options.project)
        with opened.project as project:
            load = partial(
                Engine.load,
                options.preset,
                options.weights,
                size=options.size,
                device=options.device,
                encodings=options.cache,
                read_only=True,
                encoder=options.encoder,
                precision=options.precision,
            )
            limits = Limits(memory=options.memory * MEBIBYTE)
            workspace = Workspace(project, load, only=opened.only, limits=limits)

            def announce(address: str) -> None:
                if options.json:
                    print(json.dumps({"address": address, "project": str(project.folder)}), flush=True)
                    return
                print(f"open {address}", flush=True)
                print(f"kept in {project.folder}; Ctrl+C ends", file=sys.stderr, flush=True)

            with suppress(KeyboardInterrupt):
                serve(workspace, taken, announce=announce, browser=not options.no_browser)
    finally:
        taken.close()
    return 0
