"""What `inter2former evaluate` does with runs that are there already: `--report` and `--compare`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from inter2former.evaluation.compare import compare_runs
from inter2former.evaluation.report import write_report
from inter2former.evaluation.reporting.comparison_page import comparison_page
from inter2former.files import write_whole

__all__ = ["add_report_options", "compare", "report"]


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that only read runs."""
    parser.add_argument("--report", type=Path, metavar="RUN", help="only write RUN/report.html and RUN/report.md")
    parser.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("RUN_A", "RUN_B"),
        help="only say what changed from A to B; with --out FILE.html also as a page with pictures",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="where the images of a JSON file are; for --report and --compare: where the data set lies now",
    )


def report(options: argparse.Namespace) -> int:
    """Write the report of a run and say where it is.

    Raises:
        ValueError, RunError, OSError: as `write_report`; or `--images` is no folder.
    """
    page, text = write_report(options.report, images=_images(options))
    print(json.dumps({"html": str(page), "markdown": str(text)}) if options.json else f"{page}\n{text}")
    return 0


def compare(options: argparse.Namespace) -> int:
    """Print what changed between two runs, and write it as a page where `--out` names one.

    Raises:
        ValueError, RunError, OSError: as `compare_runs`; or `--out` names no HTML file, or `--images` is no folder.
    """
    out, images = options.out, _images(options)
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--out is {out}; a comparison is written as one page, so give a name that ends in .html")
    comparison = compare_runs(*options.compare)
    if out is not None:
        write_whole(out, comparison_page(comparison, images))
    if options.json:
        print(json.dumps(comparison.to_dict()))
    else:
        print("\n\n".join(table.to_text() for table in comparison.tables()))
    return 0


def _images(options: argparse.Namespace) -> Path | None:
    images: Path | None = options.images
    if images is not None and not images.is_dir():
        raise ValueError(f"--images is {images}, which is no folder; name the folder of the data set")
    return images
