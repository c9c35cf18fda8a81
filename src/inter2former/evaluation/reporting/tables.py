"""A table once, written as HTML, Markdown or plain text."""

from __future__ import annotations

from dataclasses import dataclass

from inter2former.evaluation.reporting.text import clean, escape, escape_markdown

__all__ = ["Table"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the first column names the rows, and the columns of `words` are text, the others numbers.

    Attributes:
        caption: what the table shows.
        columns: the heads, as many as cells in a row.
        rows: the cells.
        words: indices of the columns that hold text and are set flush left; column 0 always does.
        note: a sentence below, or "".
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[int] = frozenset()
    note: str = ""

    def __post_init__(self) -> None:
        """Check that every row has a cell per column."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {row} of the table {self.caption!r} has {len(row)} cells, not {len(self.columns)}"
                )

    def to_html(self) -> str:
        """As `<table>` with caption and head cells, in a box that scrolls by itself on narrow screens."""
        head = "".join(f'<th scope="col"{self._class(k)}>{escape(name)}</th>' for k, name in enumerate(self.columns))
        body = "".join(f"<tr>{self._row(row)}</tr>" for row in self.rows)
        note = f'<p class="note">{escape(self.note)}</p>' if self.note else ""
        return (
            f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(self.caption)}"><table>'
            f"<caption>{escape(self.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
            f"</table></div>{note}"
        )

    def to_markdown(self) -> str:
        """As a Markdown table under its caption in bold; what would be markup is shown as written."""
        lines = [f"**{escape_markdown(self.caption)}**", "", _line([escape_markdown(name) for name in self.columns])]
        lines.append(_line(["---" if self._is_text(k) else "---:" for k in range(len(self.columns))]))
        lines += [_line([escape_markdown(cell) for cell in row]) for row in self.rows]
        return "\n".join([*lines, "", escape_markdown(self.note), ""] if self.note else [*lines, ""])

    def to_text(self) -> str:
        """With columns of even width, for a terminal."""
        rows = [tuple(clean(cell) for cell in row) for row in (self.columns, *self.rows)]
        widths = [max(len(row[k]) for row in rows) for k in range(len(self.columns))]
        lines = [
            "  ".join(
                cell.ljust(width) if self._is_text(k) else cell.rjust(width)
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        note = [clean(self.note)] if self.note else []
        return "\n".join([clean(self.caption), *lines, *note])

    def _is_text(self, column: int) -> bool:
        return column == 0 or column in self.words

    def _class(self, column: int) -> str:
        return "" if self._is_text(column) else ' class="number"'

    def _row(self, row: tuple[str, ...]) -> str:
        cells = [f"<td{self._class(k)}>{escape(cell)}</td>" for k, cell in enumerate(row)]
        return "".join([f'<th scope="row">{escape(row[0])}</th>', *cells[1:]])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
