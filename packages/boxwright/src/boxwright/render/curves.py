"""Curves as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT, _MARGIN, _TOP = 640, 400, 48, 40
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""The colors of Okabe and Ito (2008), which color-blind people can tell apart."""
_DASHES = ("", "8 4", "2 3")


def svg_curves(
    xs: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    x_name: str = "",
    marks: Mapping[str, float] | None = None,
) -> str:
    """Draws values from 0 to 1 over values from 0 to 1.

    Args:
        xs: The values of the horizontal axis.
        curves: The values of each curve, by name.
        title: The text above.
        x_name: The name of the horizontal axis.
        marks: Values of the horizontal axis that vertical lines mark, by name.

    Returns:
        An SVG image, for a file or for a page.
    """
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' font-family="sans-serif" font-size="13" fill="none" stroke-width="2">',
        f'<title>{escape(title)}</title><rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_MARGIN, 22, title),
    ]
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts.append(_line(_x(0), _y(tick), _x(1), _y(tick)))
        parts.append(_text(_MARGIN - 8, _y(tick) + 4, f"{tick:g}", "end"))
        parts.append(_text(_x(tick), _HEIGHT - _MARGIN + 18, f"{tick:g}", "middle"))
    parts.append(_text(_x(0.5), _HEIGHT - 10, x_name, "middle"))
    for number, (name, values) in enumerate(curves.items()):
        color, dash = _COLORS[number % len(_COLORS)], _DASHES[number % len(_DASHES)]
        points = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in zip(xs, values, strict=True))
        parts.append(f'<polyline points="{points}" stroke="{color}" stroke-dasharray="{dash}"/>')
        left = _x(0) + 12 + number * 110
        parts.append(f'<path d="M{left} {_y(0.06):.1f}h24" stroke="{color}" stroke-dasharray="{dash}"/>')
        parts.append(_text(left + 30, _y(0.06) + 4, name))
    for number, (name, x) in enumerate((marks or {}).items()):
        parts.append(_line(_x(x), _y(0), _x(x), _y(1), "#333", "4 3"))
        parts.append(_text(_x(x) + 4, _y(1) + 12 + 15 * (number % 10), f"{name} {x:g}".strip()))
    return "\n".join([*parts, "</svg>\n"])


def _x(value: float) -> float:
    return _MARGIN + value * (_WIDTH - 2 * _MARGIN)


def _y(value: float) -> float:
    return _HEIGHT - _MARGIN - value * (_HEIGHT - _MARGIN - _TOP)


def _line(x1: float, y1: float, x2: float, y2: float, color: str = "#ddd", dash: str = "") -> str:
    path = f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"
    return f'<path d="{path}" stroke="{color}" stroke-width="1" stroke-dasharray="{dash}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="#333" text-anchor="{anchor}">{escape(text)}</text>'
