"""Printing where there is no terminal, without rich: importing it takes a third of a small conversion's time."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import TextIO


class PlainConsole:
    """As much of ``rich.console.Console`` as a file or a pipe needs: lines are neither coloured, wrapped nor cut."""

    is_terminal = False

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def print(self, text: str = "", *, style: str | None = None, soft_wrap: bool = True) -> None:
        """Prints one line; a style has no meaning here."""
        print(text, file=self.file)


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: int | None) -> Iterator[str]:
    """The lines of a table, columns two spaces apart.

    Args:
        columns: The headings; no line of headings where all are empty.
        rows: Cells, one sequence a row.
        numbers: From this column on, cells are right-aligned; ``None`` for no such column.
    """
    lines = [*([columns] if any(columns) else []), *rows]
    widths = [max(_cells(row[place]) for row in lines) for place in range(len(columns))]
    for row in lines:
        padded = []
        for place, cell in enumerate(row):
            fill = " " * (widths[place] - _cells(cell))
            padded.append(fill + cell if numbers is not None and place >= numbers else cell + fill)
        yield "  ".join(padded).rstrip()


def _cells(text: str) -> int:
    """Columns that a text takes: wide letters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
