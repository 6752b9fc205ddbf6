"""Printing without a terminal and without rich, whose import takes a third of the time of a small conversion."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import TextIO


class PlainConsole:
    """The part of ``rich.console.Console`` that a file or a pipe needs; lines are not colored, wrapped or cut."""

    is_terminal = False

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def print(self, text: str = "", *, style: str | None = None, soft_wrap: bool = True) -> None:
        """Prints one line; the style is ignored."""
        print(text, file=self.file)


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: int | None) -> Iterator[str]:
    """Yields the lines of a table, with columns two spaces apart.

    Args:
        columns: The headings; if all are empty, there is no heading line.
        rows: One sequence of cells per row.
        numbers: The first right-aligned column; ``None`` if there is none.
    """
    lines = [*([columns] if any(columns) else []), *rows]
    widths = [max(_cells(row[position]) for row in lines) for position in range(len(columns))]
    for row in lines:
        padded = []
        for position, cell in enumerate(row):
            fill = " " * (widths[position] - _cells(cell))
            padded.append(fill + cell if numbers is not None and position >= numbers else cell + fill)
        yield "  ".join(padded).rstrip()


def _cells(text: str) -> int:
    """Returns the width of a text in columns: wide letters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
