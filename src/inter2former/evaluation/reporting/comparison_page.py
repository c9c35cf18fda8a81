"""A comparison of two runs as a page: tables, curves, and the sessions that changed most side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inter2former.evaluation.compare import Change, Comparison
from inter2former.evaluation.reporting.charts import Curve, curve_chart
from inter2former.evaluation.reporting.measures import estimates, ious_of
from inter2former.evaluation.reporting.page import figure, key_figures, page
from inter2former.evaluation.reporting.run_tables import run_table
from inter2former.evaluation.reporting.sessions import LEGEND, cut_of, reached_text, session_card, session_name
from inter2former.evaluation.reporting.tables import Table
from inter2former.evaluation.reporting.text import count, escape, interval, signed

__all__ = ["comparison_page"]


def comparison_page(comparison: Comparison, images: Path | None = None) -> str:
    """The comparison as one HTML document that needs nothing else.

    Args:
        comparison: of two runs.
        images: the folder of the data set, for the pictures; None: where it was during run A.

    Returns:
        a complete HTML document.

    Raises:
        ValueError: a session's stored masks are damaged.
    """
    a, b = comparison.header_a, comparison.header_b
    folder = images or Path(str(a.settings.get("folder", ".")))
    charts = f'<div class="columns">{"".join(_charts(comparison))}</div>'
    legend = f"<p>{escape(LEGEND)}</p>" if comparison.improved or comparison.worsened else ""
    rose, fell = (_pairs(comparison, changes, folder) for changes in (comparison.improved, comparison.worsened))
    sections = [
        ("difference", "The difference", charts + comparison.tables()[0].to_html()),
        ("runs", "The runs", _runs_table(comparison).to_html() + _unpaired(comparison)),
        ("rose", "Where the IoU rose most", legend + rose),
        ("fell", "Where the IoU fell most", fell),
    ]
    lead = (
        f"B ({b.segmenter}) against A ({a.segmenter}) on {a.dataset}: {count(len(comparison.pairs), 'pair')} of "
        f"sessions, protocol {a.protocol}. Differences are B − A."
    )
    title = f"{b.segmenter} against {a.segmenter}" if a.segmenter != b.segmenter else f"Two runs of {a.segmenter}"
    return page(title, lead, sections, head=key_figures(_key_figures(comparison)))


def _key_figures(comparison: Comparison) -> list[tuple[str, str, str]]:
    fifth = min(5, comparison.clicks)
    wanted = (f"IoU@{fifth}", f"boundary IoU@{fifth}", "NoC@90", "NoC@95", "later clicks")
    figures = []
    for measure in comparison.measures:
        if measure.name in wanted and measure.pairs:
            scale, digits, unit = (1000.0, 1, " ms") if measure.unit == "ms" else (1.0, measure.digits, "")
            below = f"{interval(scale * measure.low, scale * measure.high, digits, sign=True)}{unit}"
            figures.append((measure.name, f"{signed(scale * measure.difference, digits)}{unit}", below))
    return figures


def _charts(comparison: Comparison) -> tuple[str, str]:
    ids = [change.a.id for change in comparison.pairs]
    a = ious_of([change.a for change in comparison.pairs], comparison.clicks)
    b = ious_of([change.b for change in comparison.pairs], comparison.clicks)
    both = [_curve(name, ids, table) for name, table in (("A", a[0]), ("B", b[0]))]
    differences = [_curve(name, ids, b[k] - a[k]) for k, name in enumerate(("IoU", "boundary IoU"))]
    last = both[1].values[-1] - both[0].values[-1]
    return (
        figure(
            curve_chart(
                both,
                label=f"Mean IoU after each click of both runs; after the last they differ by {signed(float(last))}.",
                x_label="clicks",
                y_label="mean IoU",
                ceiling=1,
            ),
            "Mean IoU after each click of both runs, with 95 % intervals over the objects.",
        ),
        figure(
            curve_chart(
                differences,
                label="Mean difference of IoU and boundary IoU after each click, B minus A.",
                x_label="clicks",
                y_label="mean of B − A",
            ),
            "Mean difference after each click with 95 % intervals; above 0 run B is better.",
        ),
    )


def _curve(name: str, ids: Sequence[str], table: NDArray[np.float64]) -> Curve:
    found = estimates(ids, table)
    return Curve(name, found.means, found.low, found.high)


def _runs_table(comparison: Comparison) -> Table:
    sides = [
        {row[0]: row[1] for row in run_table(header).rows} for header in (comparison.header_a, comparison.header_b)
    ]
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    values = [tuple(side.get(name, "–") for side in sides) for name in names]
    rows = tuple((name if pair[0] == pair[1] else f"{name} ≠", *pair) for name, pair in zip(names, values, strict=True))
    note = "≠ marks what differs."
    return Table("What was run, on what, and where.", ("", "A", "B"), rows, frozenset({1, 2}), note)


def _unpaired(comparison: Comparison) -> str:
    """Name the sessions that only one run has."""
    parts = []
    for name, keys in (("A", comparison.only_a), ("B", comparison.only_b)):
        if keys:
            listed = ", ".join(f"<code>{escape(key)}</code> (seed {seed})" for key, seed in keys)
            parts.append(f"<p>Only in {name}, and in no figure: {count(len(keys), 'session')}: {listed}</p>")
    return "".join(parts)


def _pairs(comparison: Comparison, changes: Sequence[Change], images: Path) -> str:
    if not changes:
        return "<p>In no pair of sessions.</p>"
    seeds = sorted({change.a.seed for change in comparison.pairs})
    fifth = min(5, comparison.clicks)
    cards = []
    for change in changes:
        a, b = (reached_text(session, comparison.clicks) for session in (change.a, change.b))
        facts = f"IoU@{fifth} {signed(change.difference)}; IoU 0.90 at: {a} in A, {b} in B"
        cut = cut_of((change.a, change.b))
        sides = "".join(
            session_card(session, side, comparison.clicks, images, cut)
            for side, session in (("A", change.a), ("B", change.b))
        )
        name = escape(session_name(change.a, seeds))
        cards.append(
            f'<article class="pair"><h3><code>{name}</code></h3><p class="note">{escape(facts)}</p>'
            f'<div class="sides">{sides}</div></article>'
        )
    return f'<div class="cards pairs">{"".join(cards)}</div>'
