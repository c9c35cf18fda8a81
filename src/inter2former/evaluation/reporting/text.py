"""Text and numbers as a page shows them."""

from __future__ import annotations

import html
import math
import re
import unicodedata

__all__ = ["NOTHING", "clean", "count", "escape", "escape_markdown", "interval", "milliseconds", "number", "signed"]

NOTHING = "–"


def clean(text: str) -> str:
    """Make text safe to write and to look at: one line, no control or bidirectional characters, no lone surrogates.

    Args:
        text: anything, such as the id of a sample, which is made of file names.

    Returns:
        the text with "�" for each character that would act instead of being seen.
    """
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in text)


def escape(text: str) -> str:
    """Clean text for HTML, in elements and in quoted attributes."""
    return html.escape(clean(text), quote=True)


def escape_markdown(text: str) -> str:
    """Clean text for Markdown, which then shows it as written: what it could take for markup is escaped."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", clean(text))


def number(value: float, digits: int = 3) -> str:
    """A number with `digits` decimals; "–" where there is none (NaN)."""
    return NOTHING if math.isnan(value) else f"{value:.{digits}f}"


def signed(value: float, digits: int = 3) -> str:
    """A difference: with its sign, a true minus, and no sign where it rounds to 0."""
    if math.isnan(value):
        return NOTHING
    rounded = round(value, digits)
    return f"{abs(rounded):.{digits}f}" if rounded == 0 else f"{rounded:+.{digits}f}".replace("-", "−")


def interval(low: float, high: float, digits: int = 3, *, sign: bool = False) -> str:
    """Both ends of an interval, with signs for a difference; "–" where there is none."""
    if math.isnan(low) or math.isnan(high):
        return NOTHING
    show = signed if sign else number
    return f"{show(low, digits)} to {show(high, digits)}"


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds, with a decimal below 10."""
    value = 1000 * seconds
    return number(value, 1 if value < 10 else 0)


def count(amount: int, one: str, many: str | None = None) -> str:
    """An amount with its noun: "1 problem", "3 problems", "no problems"."""
    noun = one if amount == 1 else many or f"{one}s"
    return f"{amount or 'no'} {noun}"
