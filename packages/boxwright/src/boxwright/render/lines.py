"""Line charts as inline SVG for pages, whose style sets their colors; the legend is HTML below the chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from boxwright.render.pages import rendered

if TYPE_CHECKING:
    from markupsafe import Markup

MOST_LINES: Final = 8
"""Most lines that differ in one chart, by color and dashes."""
_WIDTH, _HEIGHT = 560, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 44
_DIGIT = 8
_TICKS = 5
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        name: Its name in the legend.
        xs: The values of the horizontal axis.
        ys: Those of the vertical axis; ``nan`` interrupts the line.
        marks: Positions in both that a dot marks.
        note: The text after the name in the legend.
        style: The number of its color and dashes; by default, that of its position in the chart.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    marks: Sequence[int] = ()
    note: str = ""
    style: int | None = None


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes:
        name: Its name.
        low: The value at its start, unless there is a smaller one; by default, the smallest one.
        high: The value at its end, unless there is a larger one; by default, the largest one.
        rules: Values that a dashed line marks, by the text next to it.
    """

    name: str
    low: float | None = None
    high: float | None = None
    rules: dict[str, float] = field(default_factory=dict)


def line_chart(lines: Sequence[Line], x: Axis, y: Axis, description: str) -> Markup:
    """Returns a chart.

    Args:
        lines: At most :data:`MOST_LINES`.
        x: The horizontal axis.
        y: The vertical axis.
        description: The chart's content, for screen readers.

    Raises:
        ValueError: There are too many lines.
    """
    if len(lines) > MOST_LINES:
        raise ValueError(f"a chart shows at most {MOST_LINES} lines, not {len(lines)}")
    x_ticks = _ticks(x, [value for line in lines for value in line.xs])
    y_ticks = _ticks(y, [value for line in lines for value in line.ys])
    left = _LEFT + _DIGIT * max(0, max(len(f"{value:g}") for value in y_ticks) - 3)

    def x_of(value: float) -> float:
        share = (value - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        return round(left + share * (_WIDTH - left - _RIGHT), 1)

    def y_of(value: float) -> float:
        share = (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)

    def shape(number: int, line: Line) -> dict[str, object]:
        parts, pen = [], "M"
        for across, up in zip(line.xs, line.ys, strict=True):
            if math.isfinite(up):
                parts.append(f"{pen}{x_of(across):g} {y_of(up):g}")
                pen = "L"
            else:
                pen = "M"
        return {
            "name": line.name,
            "note": line.note,
            "style": number if line.style is None else line.style,
            "path": "".join(parts),
            "dots": [(x_of(line.xs[place]), y_of(line.ys[place])) for place in line.marks],
        }

    return rendered(
        "lines.html.jinja",
        description=description,
        width=_WIDTH,
        height=_HEIGHT,
        left=left,
        right=_WIDTH - _RIGHT,
        top=_TOP,
        bottom=_HEIGHT - _BOTTOM,
        across=[(x_of(value), f"{value:g}") for value in x_ticks],
        up=[(y_of(value), f"{value:g}") for value in y_ticks],
        x_name=x.name,
        y_name=y.name,
        x_rules=[(x_of(value), text) for text, value in x.rules.items()],
        lines=[shape(number, line) for number, line in enumerate(lines)],
    )


def _ticks(axis: Axis, values: Sequence[float]) -> list[float]:
    """Returns round numbers from the axis's start to its end."""
    finite = [value for value in values if math.isfinite(value)]
    low = min(finite, default=0.0) if axis.low is None else min([axis.low, *finite])
    high = max(finite, default=1.0) if axis.high is None else max([axis.high, *finite])
    if high - low <= abs(low) * 1e-9:
        high = low + (abs(low) or 1.0)
    power = 10.0 ** math.floor(math.log10((high - low) / _TICKS))
    step = next(power * each for each in _STEPS if power * each * _TICKS >= (high - low) * 0.999)
    first, last = math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6)
    digits = 12 - math.floor(math.log10(step))
    return [round(number * step, digits) for number in range(first, last + 1)]
