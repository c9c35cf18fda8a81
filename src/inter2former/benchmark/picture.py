"""The times of a session as one picture: a bar per stage with its floor, and the peers of the same run."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from inter2former.benchmark.session import SessionTimes, StageTimes
from inter2former.evaluation.peers import PeerLatency

__all__ = ["session_picture"]

_WIDTH, _LABEL, _ROW = 860, 300, 20
_STYLE = (
    "text{font:12px sans-serif;fill:#1b1f24}.head{font-weight:bold}.bar{fill:#8fb8de}.floor{fill:#1f5f9e}"
    ".peer{fill:#d9b38c}.whole{fill:#5a93c8}@media(prefers-color-scheme:dark){svg{background:#15181c}text{fill:#e6e8ea}}"
)


class _Bar(NamedTuple):
    label: str
    milliseconds: float
    kind: str
    floor: float = 0.0


def session_picture(times: SessionTimes, peers: Mapping[str, PeerLatency]) -> str:
    """Draw a session and its peers.

    Args:
        times: of the session.
        peers: measured in the same run, by name; may be empty.
    Returns:
        an SVG document; encoding and clicks each have their own scale, from 0.
    """
    encode = _bars(times.encode) + [_Bar(name, 1000 * peer.encode.median, "peer") for name, peer in peers.items()]
    clicks = [_Bar("first click", times.first_click.time.median, "whole")]
    for share, stages in times.clicks.items():
        clicks += [bar._replace(label=f"{bar.label}, box {share}") for bar in _bars(stages)]
    clicks += [_Bar(name, 1000 * peer.click.median, "peer") for name, peer in peers.items()]
    title = f"{times.preset}, {times.size} px, {times.threads} threads, {times.machine}: milliseconds; dark: the floor"
    parts = [_text(8, 20, title, "head")]
    top = 32
    for heading, bars in (("once per image", encode), ("per click", clicks)):
        parts += [_text(8, top + 16, heading, "head"), *_chart(bars, top + 24)]
        top += 24 + _ROW * len(bars) + 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}">'
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>\n"
    )


def _bars(stages: Mapping[str, StageTimes]) -> list[_Bar]:
    return [
        _Bar(
            name,
            stage.time.median,
            "whole" if name == "total" else "bar",
            0.0 if stage.floor is None else stage.floor.milliseconds,
        )
        for name, stage in stages.items()
    ]


def _chart(bars: list[_Bar], top: int) -> list[str]:
    scale = (_WIDTH - _LABEL - 80) / max(bar.milliseconds for bar in bars)
    parts = []
    for number, bar in enumerate(bars):
        y = top + number * _ROW
        parts.append(_text(16, y + 14, bar.label))
        parts.append(_rectangle(y + 3, bar.milliseconds * scale, bar.kind))
        if bar.floor:
            parts.append(_rectangle(y + 3, min(bar.floor, bar.milliseconds) * scale, "floor"))
        parts.append(_text(_LABEL + bar.milliseconds * scale + 6, y + 14, f"{bar.milliseconds:.3g}"))
    return parts


def _rectangle(y: float, width: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_ROW - 6}"/>'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y}">{escape(text)}</text>'
