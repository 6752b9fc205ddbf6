"""The shapes of VGG Image Annotator, and their bounding boxes.

``region_shape_attributes`` is a shape as JSON: ``{"name":"rect","x":82,"y":105,"width":356,"height":207}``; circles
(``cx``, ``cy``, ``r``), ellipses (``cx``, ``cy``, ``rx``, ``ry`` and, from version 2.0.8 on, ``theta`` in radians),
polygons and polylines (``all_points_x``, ``all_points_y``), points (``cx``, ``cy``). See ``via.js`` of version 2 at
https://gitlab.com/vgg/via.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, cast

from boxwright import Coordinates
from boxwright.datasets import Ellipse, Points, Polygon, Polyline, Rectangle, Shape, ShapeError

_NAMES: Final = ("rect", "circle", "ellipse", "polygon", "polyline", "point")


def drawn(shape: Mapping[str, Any]) -> Shape:
    """Returns the shape of a region, in pixels.

    Raises:
        ShapeError: Its kind is unknown, or a number is missing.
    """
    match shape.get("name"):
        case "rect":
            x, y, width, height = _numbers(shape, "x", "y", "width", "height")
            return Rectangle(x, y, x + width, y + height, 0.0)
        case "circle":
            cx, cy, r = _numbers(shape, "cx", "cy", "r")
            return Ellipse(cx, cy, r, r)
        case "ellipse":
            cx, cy, rx, ry = _numbers(shape, "cx", "cy", "rx", "ry")
            (theta,) = _numbers(shape, "theta") if "theta" in shape else (0.0,)
            return Ellipse(cx, cy, rx, ry, math.degrees(theta))
        case "polygon":
            return Polygon.of(_points(shape))
        case "polyline":
            return Polyline(tuple(_points(shape)))
        case "point":
            return Points((cast("tuple[float, float]", tuple(_numbers(shape, "cx", "cy"))),))
        case name:
            raise ShapeError(f"the shape is {name!r:.40}, not one of {', '.join(_NAMES)}")


def as_region(shape: Shape, attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns a shape as that of a region, ``None`` if the program has none like it.

    Args:
        shape: The shape.
        attributes: The attributes of the box, which contain it.
    """
    if isinstance(shape, Rectangle):
        shape = Polygon.of(shape.corners)
    if isinstance(shape, Polygon) and len(shape.parts) == 1 and len(shape.points) >= 3:
        xs, ys = zip(*shape.points, strict=True)
        return {"name": "polygon", "all_points_x": list(xs), "all_points_y": list(ys)}
    if isinstance(shape, Points) and len(shape.points) == 1:
        return {"name": "point", "cx": shape.points[0][0], "cy": shape.points[0][1]}
    return dict(attributes["shape"]) if isinstance(shape, Ellipse | Polyline) else None


def rectangle(coordinates: Coordinates) -> dict[str, Any]:
    """Returns a box as a shape with exactly this bounding box, if floating-point widths allow it."""
    xmin, ymin, xmax, ymax = coordinates
    shape = {"x": xmin, "y": ymin, "width": _length(xmin, xmax), "height": _length(ymin, ymax)}
    return {"name": "rect", **{name: _plain(value) for name, value in shape.items()}}


def _numbers(shape: Mapping[str, Any], *names: str) -> list[float]:
    return [_number(shape.get(name), f"{name} of the {shape['name']}") for name in names]


def _points(shape: Mapping[str, Any]) -> list[tuple[float, float]]:
    xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
    if not isinstance(xs, list) or not isinstance(ys, list) or not xs or len(xs) != len(ys):
        raise ShapeError(f"the {shape['name']} has no points, or different numbers of x and y")
    what = f"a point of the {shape['name']}"
    return [(_number(x, what), _number(y, what)) for x, y in zip(xs, ys, strict=True)]


def _number(value: object, what: str) -> float:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return value
    except OverflowError:  # an integer that is too large for a float
        pass
    raise ShapeError(f"{what} is {str(value)[:40]!r}, not a finite number")


def _length(low: float, high: float) -> float:
    length = high - low
    # The first that restores the same coordinate; the rounded one, 0.5 for 0.49999999999999994, is the intended one.
    near = (round(length, 9), length, math.nextafter(length, math.inf), math.nextafter(length, -math.inf))
    return next((each for each in near if low + each == high), length)


def _plain(value: float) -> int | float:
    return int(value) if value == int(value) else float(value)
