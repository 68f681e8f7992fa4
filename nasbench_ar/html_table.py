"""What notebooks show of an object: one table of HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(caption: str, header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A table whose first column is text and whose others are aligned to the right."""
    sides = ["left", *["right"] * (len(header) - 1)]

    def row(tag: str, cells: Sequence[object]) -> str:
        return "".join(
            f'<{tag} style="text-align: {side}">{escape(str(cell))}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )

    body = "\n".join(f"<tr>{row('td', line)}</tr>" for line in lines)
    return f"<p>{escape(caption)}</p>\n<table>\n<tr>{row('th', header)}</tr>\n{body}\n</table>"
