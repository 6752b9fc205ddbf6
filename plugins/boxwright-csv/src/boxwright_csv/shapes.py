"""The shapes of VGG Image Annotator, and their bounding boxes.

``region_shape_attributes`` is a shape as JSON: ``{"name":"rect","x":82,"y":105,"width":356,"height":207}``; circles
(``cx``, ``cy``, ``r``), ellipses (``cx``, ``cy``, ``rx``, ``ry`` and, from version 2.0.8 on, ``theta`` in radians),
polygons and polylines (``all_points_x``, ``all_points_y``), points (``cx``, ``cy``). See ``via.js`` of version 2 at
https://gitlab.com/vgg/via.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from boxwright import Coordinates

OUTLINES: Final = frozenset({"circle", "ellipse", "polyline"})
"""Shapes that a box has as its attribute ``shape``; a polygon is its ``segmentation``."""
POINT: Final = "point"


def bounding_box(shape: Mapping[str, Any]) -> Coordinates:
    """Returns the bounding box of a shape, in pixels.

    Raises:
        ValueError: The shape has no bounding box, or a number is missing.
    """
    match shape.get("name"):
        case "rect":
            x, y, width, height = _numbers(shape, "x", "y", "width", "height")
            return (x, y, x + width, y + height)
        case "circle":
            cx, cy, r = _numbers(shape, "cx", "cy", "r")
            return (cx - r, cy - r, cx + r, cy + r)
        case "ellipse":
            cx, cy, rx, ry = _numbers(shape, "cx", "cy", "rx", "ry")
            (theta,) = _numbers(shape, "theta") if "theta" in shape else (0.0,)
            # x = rx cos t cos theta - ry sin t sin theta has this amplitude over all t, and y the other.
            dx = math.hypot(rx * math.cos(theta), ry * math.sin(theta)) if theta else rx
            dy = math.hypot(rx * math.sin(theta), ry * math.cos(theta)) if theta else ry
            return (cx - dx, cy - dy, cx + dx, cy + dy)
        case "polygon" | "polyline":
            xs, ys = _points(shape)
            return (min(xs), min(ys), max(xs), max(ys))
        case name:
            raise ValueError(f"the shape is {name!r}, which has no bounding box")


def rectangle(coordinates: Coordinates) -> dict[str, Any]:
    """Returns a box as a shape with exactly this :func:`bounding_box`, if floating-point widths allow it."""
    xmin, ymin, xmax, ymax = coordinates
    shape = {"x": xmin, "y": ymin, "width": _length(xmin, xmax), "height": _length(ymin, ymax)}
    return {"name": "rect", **{name: _plain(value) for name, value in shape.items()}}


def polygon(segmentation: object) -> dict[str, Any] | None:
    """Returns COCO's polygons as a shape if there is exactly one, otherwise ``None``."""
    if not isinstance(segmentation, list) or len(segmentation) != 1 or not isinstance(segmentation[0], list):
        return None
    points: Sequence[Any] = segmentation[0]
    if len(points) < 6 or len(points) % 2 or not all(type(point) in (int, float) for point in points):
        return None
    return {"name": "polygon", "all_points_x": points[::2], "all_points_y": points[1::2]}


def segmentation(shape: Mapping[str, Any]) -> list[list[int | float]]:
    """Returns a polygon in COCO's form: one list of alternating x and y."""
    return [[value for point in zip(shape["all_points_x"], shape["all_points_y"], strict=True) for value in point]]


def _numbers(shape: Mapping[str, Any], *names: str) -> list[float]:
    return [_number(shape.get(name), f"{name} of the {shape['name']}") for name in names]


def _points(shape: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
    if not isinstance(xs, list) or not isinstance(ys, list) or not xs or len(xs) != len(ys):
        raise ValueError(f"the {shape['name']} has no points, or different numbers of x and y")
    what = f"a point of the {shape['name']}"
    return [_number(x, what) for x in xs], [_number(y, what) for y in ys]


def _number(value: object, what: str) -> float:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:  # an integer that is too large for a float
        pass
    raise ValueError(f"{what} is {str(value)[:40]!r}, not a finite number")


def _length(low: float, high: float) -> float:
    length = high - low
    # The first that restores the same coordinate; the rounded one, 0.5 for 0.49999999999999994, is the intended one.
    near = (round(length, 9), length, math.nextafter(length, math.inf), math.nextafter(length, -math.inf))
    return next((each for each in near if low + each == high), length)


def _plain(value: float) -> int | float:
    return int(value) if value == int(value) else float(value)
