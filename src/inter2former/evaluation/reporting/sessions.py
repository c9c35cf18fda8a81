"""Sessions to look at: which ones, and each as a picture with its figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inter2former.evaluation.metrics import clicks_to_reach
from inter2former.evaluation.records import SessionRecord
from inter2former.evaluation.reporting.pictures import Cut, cut_around, session_picture
from inter2former.evaluation.reporting.tables import Table
from inter2former.evaluation.reporting.text import escape, number
from inter2former.evaluation.summary import AT_CLICKS
from inter2former.masks import decode_rle

__all__ = [
    "LEGEND",
    "ORDER",
    "cut_of",
    "reached_text",
    "session_card",
    "session_name",
    "session_table",
    "worst_and_median",
]

ORDER = (
    "Sessions are ordered by the IoU after click {fifth}, the lowest first; among equals, those with more clicks "
    "to IoU 0.90 come first, then the id and the seed decide."
)
LEGEND = (
    "Blue: the last mask. Yellow line: the object. Numbered clicks, oldest first: a green disc with + on the object, a "
    "red square with − on the background. Below each picture, the IoU after every click."
)


def worst_and_median(
    sessions: Sequence[SessionRecord], clicks: int, amount: int = 20
) -> tuple[list[SessionRecord], list[SessionRecord]]:
    """Choose the sessions to show, by the order that `ORDER` states.

    Args:
        sessions: of a run.
        clicks: how many were allowed.
        amount: how many of each kind.

    Returns:
        the first `amount` in that order, and the `amount` in its middle; in a small run some are both.
    """
    fifth = min(5, clicks) - 1

    def rank(session: SessionRecord) -> tuple[float, int, str, int]:
        ious = session.ious(clicks)
        return float(ious[fifth]), -int(clicks_to_reach(ious[None], 0.90)[0]), session.id, session.seed

    order = sorted(sessions, key=rank)
    start = max(0, (len(order) - amount) // 2)
    return order[:amount], order[start : start + amount]


def session_name(session: SessionRecord, seeds: Sequence[int]) -> str:
    """The id, with the seed where the run has several."""
    return f"{session.id}, seed {session.seed}" if len(seeds) > 1 else session.id


def reached_text(session: SessionRecord, clicks: int, threshold: float = 0.90) -> str:
    """When the session first reached the IoU: "click 3" or "never"."""
    reached = int(clicks_to_reach(session.ious(clicks)[None], threshold)[0])
    return f"click {reached}" if reached <= clicks else "never"


def session_table(caption: str, sessions: Sequence[SessionRecord], clicks: int, seeds: Sequence[int]) -> Table:
    """The figures of sessions, one row each."""
    at = [k for k in AT_CLICKS if k <= clicks]
    fifth = min(5, clicks)
    columns = ("session", *(f"IoU@{k}" for k in at), f"boundary IoU@{fifth}", "IoU 0.90 at")
    rows = tuple(
        (
            session_name(session, seeds),
            *(number(float(session.ious(clicks)[k - 1])) for k in at),
            number(float(session.boundary_ious(clicks)[fifth - 1])),
            reached_text(session, clicks),
        )
        for session in sessions
    )
    return Table(caption, columns, rows)


def session_card(session: SessionRecord, name: str, clicks: int, images: Path, cut: Cut | None = None) -> str:
    """A session as a figure: picture, name, figures, and the IoU after each click.

    Args:
        session: of a run.
        name: what to call it.
        clicks: how many were allowed.
        images: the folder that the session's image path is relative to.
        cut: the part of the image to show; None: what `cut_of` chooses.

    Returns:
        HTML.

    Raises:
        ValueError: the session's stored masks are damaged.
    """
    mask, target = _masks(session)
    picture, note = session_picture(session, mask, target, images / session.image, cut or cut_of((session,)))
    fifth = min(5, clicks)
    facts = (
        f"IoU@{fifth} <b>{number(float(session.ious(clicks)[fifth - 1]))}</b>, "
        f"boundary {number(float(session.boundary_ious(clicks)[fifth - 1]))}, "
        f"0.90 at: <b>{escape(reached_text(session, clicks))}</b>"
    )
    more = f"<p>{escape(note)}</p>" if note else ""
    return (
        f'<figure class="card"><div class="frame">{picture}</div><figcaption>'
        f"<code>{escape(name)}</code><p>{facts}</p>{_click_list(session)}{more}</figcaption></figure>"
    )


def cut_of(sessions: Sequence[SessionRecord]) -> Cut:
    """The part of the image that shows masks, target and clicks of all these sessions, which are on one image.

    Raises:
        ValueError: a session's stored masks are damaged.
    """
    shown = np.logical_or.reduce([mask for session in sessions for mask in _masks(session)])
    return cut_around(sessions[0].size, shown, tuple(entry.click for session in sessions for entry in session.clicks))


def _masks(session: SessionRecord) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The last mask and the target."""
    width, height = session.size
    empty = np.zeros((height, width), np.bool_)
    try:
        mask = decode_rle(session.mask, height, width) if session.mask else empty
        return mask, decode_rle(session.target, height, width) if session.target else empty
    except ValueError as error:
        raise ValueError(f"the record of {session.id} cannot be drawn: {error}") from error


def _click_list(session: SessionRecord) -> str:
    if not session.clicks:
        return "<p>No clicks.</p>"
    items = "".join(
        f"<li><span>{k}{'+' if entry.click.positive else '−'}</span>{_short(entry.iou)}</li>"
        for k, entry in enumerate(session.clicks, start=1)
    )
    return f'<ol class="clicks" aria-label="IoU after each click">{items}</ol>'


def _short(value: float) -> str:
    """Three digits: ".912", "1.00"."""
    text = f"{value:.3f}"
    return text[1:] if text.startswith("0") else text[:4]
