"""Charts as inline SVG: bars, and a map of densities. The page's style sets their colors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boxwright.render.pages import rendered

if TYPE_CHECKING:
    from markupsafe import Markup

_WIDTH = 560
_ROW, _BAR = 24, 14
_LETTER = 8.0
"""Width in pixels of an average letter of 13 pixels, rounded up."""
_LONGEST_LABEL = 24
_MAP = 320


@dataclass(frozen=True)
class Row:
    """One bar of a chart.

    Attributes:
        label: The text before the bar.
        value: The length of the bar.
        text: The text after the bar.
        color: In the notation of CSS; empty for the page's own.
    """

    label: str
    value: float
    text: str
    color: str = ""


def bars(rows: Sequence[Row], description: str) -> Markup:
    """Returns horizontal bars, one below the other.

    Args:
        rows: From top to bottom; values of at least 0.
        description: The chart's content, for screen readers.
    """
    longest = max((row.value for row in rows), default=0) or 1
    left = max((_extent(_short(row.label)) for row in rows), default=0) + 16
    right = max((_extent(row.text) for row in rows), default=0) + 20
    room = _WIDTH - left - right

    def shape(number: int, row: Row) -> dict[str, object]:
        middle = number * _ROW + _ROW / 2
        return {
            "label": row.label,
            "short_label": _short(row.label),
            "text": row.text,
            "color": row.color,
            "middle": middle,
            "top": middle - _BAR / 2,
            "length": round(max(row.value / longest * room, 1.5), 1) if row.value else 0,
        }

    return rendered(
        "bars.svg.jinja",
        description=description,
        width=_WIDTH,
        height=len(rows) * _ROW,
        left=left,
        room=room,
        thickness=_BAR,
        bars=[shape(number, row) for number, row in enumerate(rows)],
    )


def density(counts: Sequence[Sequence[int]], aspect: float, description: str) -> Markup:
    """Returns a map: the darker a cell, the higher its count.

    Args:
        counts: Rows from the top.
        aspect: Width divided by height of the map.
        description: The map's content, for screen readers.
    """
    most = max((count for row in counts for count in row), default=0) or 1
    width = _MAP * min(1.6, max(aspect, 0.4))
    cell_width, cell_height = width / max(len(counts[0]), 1), _MAP / len(counts)
    left = (_WIDTH - width) / 2
    return rendered(
        "density.svg.jinja",
        description=description,
        width=_WIDTH,
        height=_MAP,
        left=round(left, 1),
        map_width=round(width, 1),
        cell_width=round(cell_width, 1),
        cell_height=round(cell_height, 1),
        cells=[
            {
                # The square root, so that low counts stay visible next to high ones.
                "opacity": f"{math.sqrt(count / most):.2f}",
                "x": round(left + x * cell_width, 1),
                "y": round(y * cell_height, 1),
                "text": f"{count:,}",
            }
            for y, row in enumerate(counts)
            for x, count in enumerate(row)
            if count
        ],
    )


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1].rstrip() + "…"


def _extent(text: str) -> float:
    """Returns the approximate width in pixels; letters beyond Latin, Greek and Cyrillic are about twice as wide."""
    return sum(_LETTER if letter < "\u1100" else 2 * _LETTER for letter in text)
