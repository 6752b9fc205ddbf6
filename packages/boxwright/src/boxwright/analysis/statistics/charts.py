"""Charts as inline SVG: bars and a map of densities, drawn in the colours of the page that they stand in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from boxwright.analysis.statistics.html import escaped

_WIDTH = 560
_ROW, _BAR = 24, 14
_LETTER = 8.0
"""Pixels that a letter of 13 pixels takes on average, rather too many than too few."""
_LONGEST_LABEL = 24
_MAP = 320

# The page's style decides; what stands here is for programs that do not apply it to drawings.
_FILLED = 'class="bar" fill="#3b82c4"'
_TRACK = 'class="track" fill="#808080" fill-opacity=".12"'


@dataclass(frozen=True)
class Row:
    """One bar of a chart.

    Attributes:
        label: What it stands for.
        value: Its length.
        text: What is written behind it.
        color: As CSS writes it; empty for the page's own.
    """

    label: str
    value: float
    text: str
    color: str = ""


def bars(rows: Sequence[Row], what: str) -> str:
    """Bars from left to right, one below the other, with a label before and a number behind each.

    Args:
        rows: From top to bottom; values of at least 0.
        what: What the chart shows, for those who hear it read out.
    """
    longest = max((row.value for row in rows), default=0) or 1
    left = max((_extent(_short(row.label)) for row in rows), default=0) + 16
    right = max((_extent(row.text) for row in rows), default=0) + 20
    room, height = _WIDTH - left - right, len(rows) * _ROW
    parts = [_opening(height, what)]
    for number, row in enumerate(rows):
        middle = number * _ROW + _ROW / 2
        length = row.value / longest * room
        fill = f' style="fill: {escaped(row.color)}"' if row.color else ""
        place = f'y="{middle - _BAR / 2:.1f}" height="{_BAR}" rx="3"'
        base = f'y="{middle:.1f}" dy=".35em"'
        parts += [
            f"<g><title>{escaped(row.label)}: {escaped(row.text)}</title>",
            f'<text x="{left - 10:.1f}" {base} text-anchor="end">{escaped(_short(row.label))}</text>',
            f'<rect {_TRACK} x="{left:.1f}" {place} width="{room:.1f}"/>',
            f'<rect {_FILLED}{fill} x="{left:.1f}" {place} width="{max(length, 1.5):.1f}"/>' if row.value else "",
            f'<text class="faint" fill="#66666e" x="{left + room + 10:.1f}" {base}>{escaped(row.text)}</text></g>',
        ]
    return "".join([*parts, "</svg>"])


def density(counts: Sequence[Sequence[int]], aspect: float, what: str) -> str:
    """A map of where something lies: the darker a cell, the more is there.

    Args:
        counts: Rows from the top.
        aspect: Width over height of the map.
        what: What the map shows, for those who hear it read out.
    """
    most = max((count for row in counts for count in row), default=0) or 1
    width = _MAP * min(1.6, max(aspect, 0.4))
    cell_width, cell_height = width / max(len(counts[0]), 1), _MAP / len(counts)
    left = (_WIDTH - width) / 2
    parts = [
        _opening(_MAP, what),
        f'<rect {_TRACK} x="{left:.1f}" y="0" width="{width:.1f}" height="{_MAP}"/>',
    ]
    for y, row in enumerate(counts):
        for x, count in enumerate(row):
            if count:
                # The root, so that what is rare does not vanish beside what is frequent.
                parts.append(
                    f'<rect {_FILLED} opacity="{math.sqrt(count / most):.2f}" x="{left + x * cell_width:.1f}"'
                    f' y="{y * cell_height:.1f}" width="{cell_width:.1f}" height="{cell_height:.1f}">'
                    f"<title>{count:,}</title></rect>"
                )
    return "".join([*parts, "</svg>"])


def _opening(height: float, what: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" font-size="13" role="img" aria-label="{escaped(what)}">'


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1].rstrip() + "…"


def _extent(text: str) -> float:
    """About how many pixels a line takes; letters beyond Latin, Greek and Cyrillic are about twice as wide."""
    return sum(_LETTER if letter < "\u1100" else 2 * _LETTER for letter in text)
