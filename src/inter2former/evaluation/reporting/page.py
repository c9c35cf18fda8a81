"""The page around a report: one file, no script, nothing fetched, light and dark, printable."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from inter2former.evaluation.reporting.text import escape

__all__ = ["figure", "key_figures", "page", "section"]

# The policy makes a browser refuse whatever a mistake here might let in.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(title: str, lead: str, sections: Sequence[tuple[str, str, str]], *, head: str = "") -> str:
    """Put a page together.

    Args:
        title: of the page, plain text.
        lead: a sentence below it, plain text.
        sections: (anchor, heading in plain text, HTML), in order.
        head: HTML between the lead and the first section.

    Returns:
        a complete HTML document.
    """
    links = "".join(f'<a href="#{anchor}">{escape(heading)}</a>' for anchor, heading, _ in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        f"<title>{escape(title)}</title><style>{_style()}</style></head><body>\n"
        f'<header><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>{head}'
        f'<nav aria-label="sections">{links}</nav></header>\n<main>\n'
        + "\n".join(section(*part) for part in sections)
        + "\n</main></body></html>\n"
    )


def section(anchor: str, heading: str, content: str) -> str:
    """A part of the page under a heading; the heading is plain text, the content HTML."""
    return f'<section id="{anchor}"><h2>{escape(heading)}</h2>\n{content}</section>'


def figure(content: str, caption: str) -> str:
    """A chart with its caption; the content is HTML, the caption plain text."""
    return f"<figure>{content}<figcaption>{escape(caption)}</figcaption></figure>"


def key_figures(figures: Sequence[tuple[str, str, str]]) -> str:
    """The figures that one looks for first: (name, value, a line below), plain text."""
    boxes = "".join(
        f'<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd><dd class="range">{escape(below)}</dd></div>'
        for name, value, below in figures
    )
    return f'<dl class="key">{boxes}</dl>'


def _style() -> str:
    return files("inter2former.evaluation.reporting").joinpath("style.css").read_text(encoding="utf-8")
