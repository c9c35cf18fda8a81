"""`inter2former export` and `inter2former import`: a project's objects in the files of other programs, and back."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from inter2former.cli.options import Subparsers, add_command
from inter2former.interchange.exchange import ExportOptions, Report
from inter2former.interchange.transfer import FORMATS, export_project, import_into_project
from inter2former.project.store import Project

__all__ = ["add_parser", "run_export", "run_import"]

_EVERY_SECONDS = 1.0


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add both commands."""
    parser = add_command(
        subparsers,
        "export",
        "write the objects of a project in a format that other programs read",
        "inter2former export plates/ --format coco --out plates-coco",
    )
    parser.add_argument("project", metavar="PROJECT", help="the project folder")
    parser.add_argument("--format", required=True, choices=list(FORMATS), help="what to write")
    parser.add_argument("--out", required=True, metavar="DIR", help="a folder that is missing or empty")
    parser.add_argument(
        "--polygons", action="store_true", help="coco, labelme, label-studio, cvat: polygons in place of masks"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1.0,
        metavar="PX",
        help="how far a polygon may leave the edge of the mask (1); 0 follows every pixel",
    )
    parser.add_argument("--label-map", action="store_true", help="png: one picture per image that numbers its objects")
    parser.add_argument("--with-images", action="store_true", help="copy the images too")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run_export)

    parser = add_command(
        subparsers,
        "import",
        "read objects that other programs wrote into a project",
        "inter2former import plates/ --format coco annotations.json --images photos/",
    )
    parser.add_argument("project", metavar="PROJECT", help="the project folder")
    parser.add_argument("path", metavar="PATH", help="the file or folder to read")
    parser.add_argument("--format", required=True, choices=list(FORMATS), help="what it holds")
    parser.add_argument("--images", metavar="FOLDER", help="the images: makes the project where it is missing")
    parser.add_argument("--add", action="store_true", help="also to images that have objects already")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run_import)


def run_export(options: argparse.Namespace) -> int:
    """Export, report progress on the error stream, print what came of it.

    Raises:
        ProjectError, ValueError: as `export_project`; or an option has no meaning for the format.
    """
    if options.polygons and options.format in ("png", "voc"):
        raise ValueError(f"--polygons: the format {options.format} holds masks only; leave it out")
    if options.label_map and options.format != "png":
        raise ValueError(f"--label-map is for the format png, not {options.format}; leave it out")
    wanted = ExportOptions(options.polygons, options.tolerance, options.label_map, options.with_images)
    with Project(options.project, write=False) as project:
        report = export_project(project, options.format, Path(options.out), wanted, _Progress())
    _print(report, options, f"{options.out}: {options.format}")
    return 0


def run_import(options: argparse.Namespace) -> int:
    """Import, report progress on the error stream, print what came of it."""
    folder, holder = Path(options.project), "inter2former import"
    if options.images is not None and not folder.exists():
        project = Project.create(folder, options.images, holder=holder)
    else:
        project = Project(folder, holder=holder)
    with project:
        if options.images is not None:
            project.library.require(options.images)
        report = import_into_project(project, options.format, Path(options.path), add=options.add, progress=_Progress())
    _print(report, options, f"{options.project}: from {options.format}")
    return 0


class _Progress:
    """One line now and then, so that long work is seen to go on."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _EVERY_SECONDS

    def __call__(self, report: Report) -> None:
        if time.monotonic() >= self._next:
            print(f"{report.images} images, {report.objects} objects", file=sys.stderr, flush=True)
            self._next = time.monotonic() + _EVERY_SECONDS


def _print(report: Report, options: argparse.Namespace, what: str) -> None:
    summary = report.summary()
    if options.json:
        print(json.dumps(summary, ensure_ascii=False))
        return
    print(f"{what}, {report.images} images, {report.objects} objects")
    if "polygon_iou" in summary:
        quality = summary["polygon_iou"]
        print(f"polygons against masks: mean IoU {quality['mean']:.4f}; the least, of all in polygons.jsonl:")
        for entry in quality["least"]:
            print(f"  {entry['iou']:.4f}  {entry['what']}")
    for note, count in report.notes.items():
        print(f"note: {count} x {note}")
    for name, why in report.skipped:
        print(f"left out: {name}: {why}")
