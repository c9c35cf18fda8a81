"""The report of a run, as HTML and as Markdown, from the same tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inter2former.evaluation.metrics import clicks_to_reach
from inter2former.evaluation.records import SessionRecord
from inter2former.evaluation.reporting.charts import Bar, Curve, Sample, bar_chart, curve_chart, latency_chart
from inter2former.evaluation.reporting.loading import LoadedRun
from inter2former.evaluation.reporting.measures import estimates, ious_of, timings_of
from inter2former.evaluation.reporting.page import figure, key_figures, page
from inter2former.evaluation.reporting.run_tables import (
    click_table,
    problem_table,
    protocol_table,
    robustness_table,
    run_table,
    summary_table,
    time_table,
)
from inter2former.evaluation.reporting.sessions import (
    LEGEND,
    ORDER,
    session_card,
    session_name,
    session_table,
)
from inter2former.evaluation.reporting.tables import Table
from inter2former.evaluation.reporting.text import NOTHING, count, escape, escape_markdown, milliseconds
from inter2former.evaluation.summary import Summary

__all__ = ["Report", "as_html", "as_markdown"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a report is made from.

    Attributes:
        run: with its records.
        summary: of the run; None where no session was finished.
        images: the folder that the sessions' image paths are relative to.
        worst: sessions to show as pictures, with their masks.
        median: likewise.
    """

    run: LoadedRun
    summary: Summary | None
    images: Path
    worst: Sequence[SessionRecord] = ()
    median: Sequence[SessionRecord] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """A section: tables for both formats, figures for HTML alone."""

    anchor: str
    heading: str
    tables: tuple[Table, ...] = ()
    figures: tuple[str, ...] = ()
    words: str = ""


def as_html(report: Report) -> str:
    """The report as one HTML document that needs nothing else.

    Raises:
        ValueError: a session's stored masks are damaged.
    """
    sections = [(part.anchor, part.heading, _part_html(part)) for part in _parts(report)]
    if report.run.sessions:
        shown = {(session.id, session.seed) for session in report.worst}
        new = [session for session in report.median if (session.id, session.seed) not in shown]
        repeated = len(report.median) - len(new)
        words = f"<p>{escape(_order(report))}</p><p>{escape(LEGEND)}</p>"
        again = f"<p>{count(repeated, 'of these stands', 'of these stand')} above already.</p>" if repeated else ""
        sections.append(("worst", _heading("worst", len(report.worst)), words + _cards(report, report.worst)))
        sections.append(("median", _heading("median", len(report.median)), again + _cards(report, new)))
    return page(_title(report.run), _lead(report.run), sections, head=key_figures(_key_figures(report)))


def as_markdown(report: Report) -> str:
    """The same tables as Markdown; the sessions that HTML shows as pictures are rows of figures."""
    lines = [f"# {escape_markdown(_title(report.run))}", "", escape_markdown(_lead(report.run)), ""]
    for part in _parts(report):
        lines += [f"## {part.heading}", ""]
        lines += [part.words, ""] if part.words else []
        lines += [table.to_markdown() for table in part.tables]
    if report.run.sessions:
        lines += ["## Sessions", "", _order(report), ""]
        for kind, sessions in (("worst", report.worst), ("median", report.median)):
            lines.append(
                session_table(
                    f"{_heading(kind, len(sessions))}.", sessions, report.run.clicks, report.run.seeds
                ).to_markdown()
            )
    return "\n".join(lines)


def _title(run: LoadedRun) -> str:
    return f"{run.header.segmenter} on {run.header.dataset}"


def _lead(run: LoadedRun) -> str:
    objects = count(len({session.id for session in run.sessions}), "object")
    begun = len({session.index for session in run.sessions} | {problem.index for problem in run.problems})
    unfinished = f" Unfinished: {begun} of {count(run.header.objects, 'image')}." if begun < run.header.objects else ""
    users = f" by {len(run.seeds)} simulated users" if len(run.seeds) > 1 else ""
    return (
        f"{count(len(run.sessions), 'session')} on {objects}{users}, up to {count(run.clicks, 'click')} each, protocol "
        f"{run.header.protocol}; {count(len(run.problems), 'problem')}.{unfinished}"
    )


def _parts(report: Report) -> list[_Part]:
    run, summary = report.run, report.summary
    parts = []
    if summary is not None:
        tables = summary_table(summary, run.sessions, run.clicks), click_table(summary, run.sessions)
        parts.append(_Part("quality", "Quality", tables, _quality_charts(report, summary)))
        if summary.noc_over_seeds:
            parts.append(_Part("robustness", "Robustness", (robustness_table(summary, run.sessions, run.clicks),)))
        kept = "Image embeddings were kept from earlier runs: encode times are those of fetching them, where they were."
        words = kept if run.header.settings.get("embeddings") else ""
        parts.append(_Part("times", "Times", (time_table(summary, run.sessions),), _time_charts(report), words))
    else:
        parts.append(_Part("quality", "Quality", words="No session was finished, so there is nothing to measure."))
    if run.problems:
        parts.append(_Part("problems", "Problems", (problem_table(run.problems, run.images),)))
    else:
        parts.append(_Part("problems", "Problems", words="None: every object of the run was evaluated."))
    parts.append(_Part("run", "The run", (run_table(run.header), protocol_table(run.header.protocol, run.protocol))))
    return parts


def _part_html(part: _Part) -> str:
    words = f"<p>{escape(part.words)}</p>" if part.words else ""
    blocks = [*part.figures, *(f"<div>{table.to_html()}</div>" for table in part.tables)]
    # One block alone takes the width that it needs.
    return words + (f'<div class="columns">{"".join(blocks)}</div>' if len(blocks) > 1 else "".join(blocks))


def _key_figures(report: Report) -> list[tuple[str, str, str]]:
    if report.summary is None:
        return []
    fifth = max(k for k in report.summary.iou if k <= 5)
    wanted = (f"IoU@{fifth}", f"boundary IoU@{fifth}", "NoC@90", "NoC@95", "NoF@90")
    figures = []
    for name, mean, ends in summary_table(report.summary, report.run.sessions, report.run.clicks).rows:
        if name in wanted:
            amount, _, share = mean.partition(" (")
            known = [share.removesuffix(")"), ends if ends != NOTHING else ""]
            figures.append((name, amount, ", ".join(filter(None, known))))
    half, most = report.summary.spc_decode_p50_ms / 1000, report.summary.spc_decode_p95_ms / 1000
    return [*figures, ("click, median", f"{milliseconds(half)} ms", f"p95 {milliseconds(most)} ms")]


def _quality_charts(report: Report, summary: Summary) -> tuple[str, str]:
    run, length = report.run, len(summary.iou_per_click)
    ious, boundary = ious_of(run.sessions, run.clicks)
    ids = [session.id for session in run.sessions]
    curves = [
        Curve(name, found.means, found.low, found.high)
        for name, found in (
            ("IoU", estimates(ids, ious[:, :length])),
            ("boundary IoU", estimates(ids, boundary[:, :length])),
        )
    ]
    label = f"Mean IoU goes from {curves[0].values[0]:.3f} after click 1 to {curves[0].values[-1]:.3f} after {length}."
    lines = curve_chart(curves, label=label, x_label="clicks", y_label="mean over the sessions", ceiling=1)
    reached = clicks_to_reach(ious, 0.90)
    amounts = [int((reached == k).sum()) for k in range(1, run.clicks + 2)]
    bars = [Bar(str(k), amount) for k, amount in enumerate(amounts[:-1], start=1)]
    bars.append(Bar("never", amounts[-1], apart=True))
    never = f"{amounts[-1]} of {count(len(reached), 'session')} never got there."
    columns = bar_chart(bars, label=f"Clicks to IoU 0.90: {never}", x_label="clicks to IoU 0.90", y_label="sessions")
    short = " The protocol's curve ends with the shortest session." if length < run.clicks else ""
    return (
        figure(lines, f"Mean IoU and boundary IoU after each click, with 95 % intervals over the objects.{short}"),
        figure(columns, f"Clicks to IoU 0.90: {never}"),
    )


def _time_charts(report: Report) -> tuple[str, ...]:
    samples = [Sample(timing.name, timing.seconds) for timing in timings_of(report.run.sessions) if timing.seconds.size]
    if not samples:
        return ()
    label = "Histograms of the times of " + ", ".join(sample.name for sample in samples) + "."
    caption = "How the times are distributed; the upright lines are the median and the 95th percentile."
    return (figure(latency_chart(samples, label=label), caption),)


def _cards(report: Report, sessions: Sequence[SessionRecord]) -> str:
    run = report.run
    cards = (session_card(each, session_name(each, run.seeds), run.clicks, report.images) for each in sessions)
    return f'<div class="cards">{"".join(cards)}</div>'


def _heading(kind: str, amount: int) -> str:
    return f"The {amount} {kind} sessions" if amount > 1 else f"The {kind} session"


def _order(report: Report) -> str:
    return ORDER.format(fifth=min(5, report.run.clicks)) + " The median sessions are those in the middle of that order."
