"""The report of a run: one HTML file that needs nothing else, and the same tables as Markdown."""

from __future__ import annotations

from pathlib import Path

from inter2former.evaluation.records import Record
from inter2former.evaluation.reporting.loading import load_run, with_masks
from inter2former.evaluation.reporting.run_page import Report, as_html, as_markdown
from inter2former.evaluation.reporting.sessions import worst_and_median
from inter2former.evaluation.summary import summarise
from inter2former.files import write_whole

__all__ = ["HTML_FILE", "MARKDOWN_FILE", "write_report"]

HTML_FILE = "report.html"
MARKDOWN_FILE = "report.md"


def write_report(run: Path, *, images: Path | None = None) -> tuple[Path, Path]:
    """Write the report of a run into its folder; what an earlier report said is replaced.

    A run that was interrupted, or in which no session was finished, has a report too.

    Args:
        run: the run's folder.
        images: the folder of the data set, for the pictures; None: where it was during the run. Pictures whose photo is
            gone are drawn on grey.

    Returns:
        the HTML and the Markdown file.

    Raises:
        RunError: the folder holds no run or a damaged one, or its protocol is none of this version.
        ValueError: the stored masks of a session are damaged.
        OSError: the files cannot be written.
    """
    loaded = load_run(run)
    summary = None
    if loaded.sessions:
        records: list[Record] = [*loaded.sessions, *loaded.problems]
        summary = summarise(loaded.header.dataset, records, loaded.clicks, loaded.protocol)
    worst, median = (with_masks(run, chosen) for chosen in worst_and_median(loaded.sessions, loaded.clicks))
    report = Report(loaded, summary, images or loaded.images, worst, median)
    page, text = run / HTML_FILE, run / MARKDOWN_FILE
    write_whole(page, as_html(report))
    write_whole(text, as_markdown(report))
    return page, text
