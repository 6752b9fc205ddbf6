"""Shapes that are not upright boxes: the smallest box that contains each, and the attributes that keep the shape.

Annotation tools draw polygons, ellipses, masks and rotated rectangles. A reader passes each one to its
:class:`boxwright.datasets.ShapeRule`, which returns the box and the attributes of the shape; a writer gets the shape
back from them by :func:`shape_of`. All numbers are pixels of the image, continuous and 0-based, and angles are degrees,
clockwise as displayed. The attributes are those of COCO (https://cocodataset.org/#format-data) where it has them, and
of VGG Image Annotator for the others:

- :class:`Polygon`: ``segmentation``, a list of polygons ``[x1, y1, x2, y2, ...]``
- :class:`Mask`: ``segmentation``, ``{"size": [height, width], "counts": [...]}``
- :class:`Rectangle`: ``rotation``, and its corners as ``segmentation``
- :class:`Skeleton`: ``keypoints``, ``[x1, y1, v1, ...]``, and ``keypoint_names``
- :class:`Ellipse`, :class:`Polyline`, :class:`Points`: ``shape``, such as ``{"name": "circle", "cx": 5, "cy": 5, "r":
  3}``; an ellipse may also have a ``rotation``
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from boxwright.datasets.runs import box_of_runs, unpacked_runs
from boxwright.schemas import Coordinates

Point = tuple[float, float]
"""``(x, y)`` in pixels."""

_DECIMALS = 9
_ROUGHLY = 1e-3
"""The share of its sides by which the corners of a rectangle may be off, where a format rounds them."""
_NEAR = 1e-6
"""Pixels and degrees within which a box is that of its shape; more comes from a change of one of the two."""


class ShapeError(ValueError):
    """A shape has no box: points are missing, or a number is not finite."""


@dataclass(frozen=True)
class Polygon:
    """One or more closed outlines.

    Args:
        parts: The outlines, each with at least one point.
    """

    parts: tuple[tuple[Point, ...], ...]
    kind: ClassVar[str] = "polygon"

    @classmethod
    def of(cls, points: Iterable[Point]) -> Polygon:
        """Returns the polygon with one outline."""
        return cls((tuple(points),))

    @property
    def points(self) -> tuple[Point, ...]:
        """The points of all outlines."""
        return tuple(point for part in self.parts for point in part)

    @property
    def box(self) -> Coordinates:
        """The smallest box that contains the polygon."""
        return box_of_points(self.points)

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes that keep the polygon."""
        return {"segmentation": [_flat(part) for part in self.parts]}


@dataclass(frozen=True)
class Rectangle:
    """A rectangle that is rotated about its center.

    Args:
        xmin: Coordinates before the rotation.
        ymin: The same.
        xmax: The same.
        ymax: The same.
        rotation: Degrees, clockwise as displayed.
    """

    xmin: float
    ymin: float
    xmax: float
    ymax: float
    rotation: float
    kind: ClassVar[str] = "rotated rectangle"

    @classmethod
    def about_top_left(cls, x: float, y: float, width: float, height: float, rotation: float) -> Rectangle:
        """Returns a rectangle that is rotated about its top left corner ``(x, y)``, as Label Studio does it."""
        cx, cy = rotated((x + width / 2, y + height / 2), (x, y), rotation)
        return cls(cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2, rotation)

    @classmethod
    def from_corners(cls, corners: Sequence[Point], rotation: float | None = None) -> Rectangle | None:
        """Returns the rectangle with these corners, from the top left clockwise; ``None`` if they do not form one.

        Args:
            corners: The four corners.
            rotation: The angle, if it is known; otherwise that of the first side.
        """
        if len(corners) != 4:
            return None
        (ax, ay), (bx, by), (cx, cy), last = corners
        if rotation is None and (bx - ax) * (cy - by) < (by - ay) * (cx - bx):  # they are given counterclockwise
            corners = [corners[0], last, corners[2], corners[1]]
            bx, by = last
        width, height = math.hypot(bx - ax, by - ay), math.hypot(cx - bx, cy - by)
        angle = math.degrees(math.atan2(by - ay, bx - ax)) if rotation is None else rotation
        x, y = (sum(point[axis] for point in corners) / 4 for axis in (0, 1))
        edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        xmin, ymin, xmax, ymax = (round(value, _DECIMALS - 2) + 0.0 for value in edges)
        found = cls(xmin, ymin, xmax, ymax, angle)
        away = max(math.dist(one, other) for one, other in zip(found.corners, corners, strict=True))
        return found if away <= (_NEAR if rotation is not None else _ROUGHLY) * (1 + width + height) else None

    @property
    def corners(self) -> tuple[Point, ...]:
        """The four corners, from the one that is at the top left without rotation, clockwise."""
        center = ((self.xmin + self.xmax) / 2, (self.ymin + self.ymax) / 2)
        upright = ((self.xmin, self.ymin), (self.xmax, self.ymin), (self.xmax, self.ymax), (self.xmin, self.ymax))
        return tuple(rotated(corner, center, self.rotation) for corner in upright)

    @property
    def box(self) -> Coordinates:
        """The smallest box that contains the rectangle."""
        if not self.rotation % 360:
            xmin, ymin = _check_finite(self.xmin), _check_finite(self.ymin)
            return xmin, ymin, _check_finite(self.xmax), _check_finite(self.ymax)
        return box_of_points(self.corners)

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes that keep the rectangle."""
        return {"rotation": self.rotation, "segmentation": [_flat(self.corners)]}


@dataclass(frozen=True)
class Ellipse:
    """An ellipse, or a circle if both radii are the same.

    Args:
        cx: Its center.
        cy: The same.
        rx: Its radius along x, before the rotation.
        ry: Its radius along y.
        rotation: Degrees, clockwise as displayed.
    """

    cx: float
    cy: float
    rx: float
    ry: float
    rotation: float = 0.0

    @property
    def kind(self) -> str:
        """Its name in messages."""
        return "circle" if self.rx == self.ry else "ellipse"

    @property
    def box(self) -> Coordinates:
        """The smallest box that contains the ellipse."""
        for value in (self.cx, self.cy, self.rx, self.ry, self.rotation):
            _check_finite(value)
        cosine, sine = _direction(self.rotation)
        # x = rx cos t cos a - ry sin t sin a has this amplitude over all t, and y the other.
        dx, dy = math.hypot(self.rx * cosine, self.ry * sine), math.hypot(self.rx * sine, self.ry * cosine)
        if not sine:
            dx, dy = abs(self.rx), abs(self.ry)
        return (self.cx - dx, self.cy - dy, self.cx + dx, self.cy + dy)

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes that keep the ellipse."""
        if self.rx == self.ry:
            return {"shape": {"name": "circle", "cx": self.cx, "cy": self.cy, "r": self.rx}}
        shape = {"name": "ellipse", "cx": self.cx, "cy": self.cy, "rx": self.rx, "ry": self.ry}
        if not self.rotation:
            return {"shape": shape}
        return {"shape": shape | {"theta": math.radians(self.rotation)}, "rotation": self.rotation}


@dataclass(frozen=True)
class Polyline:
    """An open line of two or more points."""

    points: tuple[Point, ...]
    kind: ClassVar[str] = "polyline"

    @property
    def box(self) -> Coordinates:
        """The smallest box that contains the line."""
        return box_of_points(self.points)

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes that keep the line."""
        return {"shape": _listed(self.kind, self.points)}


@dataclass(frozen=True)
class Points:
    """One or more points that are not connected."""

    points: tuple[Point, ...]

    @property
    def kind(self) -> str:
        """Its name in messages."""
        return "point" if len(self.points) == 1 else "points"

    @property
    def box(self) -> Coordinates:
        """The smallest box that contains the points."""
        return box_of_points(self.points)

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes that keep the points."""
        return {"shape": _listed("points", self.points)}


@dataclass(frozen=True)
class Mask:
    """A set of pixels.

    Args:
        width: The width of the image.
        height: The height of the image.
        counts: The lengths of runs of pixels that are alternately outside and inside, down the columns.
    """

    width: int
    height: int
    counts: tuple[int, ...]
    kind: ClassVar[str] = "mask"

    @property
    def box(self) -> Coordinates:
        """The smallest box that contains the pixels."""
        try:
            return box_of_runs(self.counts, self.height, self.width)
        except ValueError as error:
            raise ShapeError(str(error)) from None

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes that keep the mask."""
        return {"segmentation": {"size": [self.height, self.width], "counts": list(self.counts)}}


@dataclass(frozen=True)
class Skeleton:
    """Named key points.

    Args:
        points: The key points.
        visible: COCO's visibility of each: 0 not in the image, 1 hidden, 2 visible.
        names: Their names.
    """

    points: tuple[Point, ...]
    visible: tuple[int, ...]
    names: tuple[str, ...] = field(default=())
    kind: ClassVar[str] = "skeleton"

    @property
    def box(self) -> Coordinates:
        """The smallest box that contains the key points in the image."""
        return box_of_points([point for point, seen in zip(self.points, self.visible, strict=True) if seen])

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes that keep the skeleton."""
        points = [v for (x, y), seen in zip(self.points, self.visible, strict=True) for v in (x, y, seen)]
        return {"keypoints": points} | ({"keypoint_names": list(self.names)} if self.names else {})


Shape = Polygon | Rectangle | Ellipse | Polyline | Points | Mask | Skeleton
"""Any shape from which an upright box is made."""


def shape_of(coordinates: Coordinates, attributes: Mapping[str, Any]) -> tuple[Shape, frozenset[str]] | None:
    """Returns the shape that a box was made from, and the names of the attributes that keep it.

    Args:
        coordinates: The box.
        attributes: Its attributes.

    Returns:
        ``None`` if the attributes keep no shape, or one with another box: the box was changed, and counts.
    """
    try:
        found = _kept(attributes)
        if found is None or not all(
            abs(one - other) <= _NEAR for one, other in zip(found[0].box, coordinates, strict=True)
        ):
            return None
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None
    return found[0], frozenset(found[1])


def _kept(attributes: Mapping[str, Any]) -> tuple[Shape, tuple[str, ...]] | None:
    outline, shape = attributes.get("segmentation"), attributes.get("shape")
    if isinstance(outline, dict):
        counts = outline["counts"]
        height, width = outline["size"]
        runs = unpacked_runs(counts) if isinstance(counts, str) else counts
        return Mask(width, height, tuple(runs)), ("segmentation",)
    if isinstance(outline, list) and outline:
        parts = tuple(tuple(zip(part[::2], part[1::2], strict=True)) for part in outline)
        rotation = attributes.get("rotation")
        if _is_number(rotation) and len(parts) == 1:
            rectangle = Rectangle.from_corners(parts[0], rotation)
            if rectangle is not None:
                return rectangle, ("rotation", "segmentation")
        return Polygon(parts), ("segmentation",)
    if isinstance(shape, dict):
        return _named(shape, attributes.get("rotation"))
    if isinstance(attributes.get("keypoints"), list):
        numbers, names = attributes["keypoints"], attributes.get("keypoint_names")
        points = tuple(zip(numbers[::3], numbers[1::3], strict=True))
        if isinstance(names, list) and len(names) == len(points) and set(map(type, names)) <= {str}:
            return Skeleton(points, tuple(numbers[2::3]), tuple(names)), ("keypoints", "keypoint_names")
        return Skeleton(points, tuple(numbers[2::3])), ("keypoints",)
    return None


def _named(shape: dict[str, Any], rotation: Any) -> tuple[Shape, tuple[str, ...]] | None:
    match shape.get("name"):
        case "circle":
            return Ellipse(shape["cx"], shape["cy"], shape["r"], shape["r"]), ("shape",)
        case "ellipse":
            angle = math.degrees(shape.get("theta", 0.0))
            if _is_number(rotation) and abs(angle - rotation) <= _NEAR:
                return Ellipse(shape["cx"], shape["cy"], shape["rx"], shape["ry"], rotation), ("shape", "rotation")
            return Ellipse(shape["cx"], shape["cy"], shape["rx"], shape["ry"], angle), ("shape",)
        case "polyline" | "points" as name:
            points = tuple(zip(shape["all_points_x"], shape["all_points_y"], strict=True))
            return (Polyline if name == "polyline" else Points)(points), ("shape",)
    return None


def box_of_points(points: Iterable[Point]) -> Coordinates:
    """Returns the smallest box that contains all points.

    Raises:
        ShapeError: There are none, or a coordinate is not a finite number.
    """
    xs, ys = [], []
    for x, y in points:
        xs.append(_check_finite(x))
        ys.append(_check_finite(y))
    if not xs:
        raise ShapeError("it has no points")
    return (min(xs), min(ys), max(xs), max(ys))


def rotated(point: Point, pivot: Point, degrees: float) -> Point:
    """Returns a point after a rotation about another one, clockwise as displayed."""
    cosine, sine = _direction(_check_finite(degrees))
    dx, dy = point[0] - pivot[0], point[1] - pivot[1]
    # Adding 0.0 turns -0.0 into 0.0.
    return (
        round(pivot[0] + dx * cosine - dy * sine, _DECIMALS) + 0.0,
        round(pivot[1] + dx * sine + dy * cosine, _DECIMALS) + 0.0,
    )


def _direction(degrees: float) -> tuple[float, float]:
    """Returns cosine and sine, which are exact for multiples of 90 degrees."""
    quarters, rest = divmod(degrees % 360, 90)
    if not rest:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarters) % 4]
    radians = math.radians(degrees)
    return math.cos(radians), math.sin(radians)


def _check_finite(value: Any) -> float:
    try:
        if _is_number(value) and math.isfinite(value):
            return float(value)
    except OverflowError:  # an integer that is too large for a float
        pass
    raise ShapeError(f"a coordinate is {str(value)[:40]!r}, not a finite number")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flat(points: Iterable[Point]) -> list[float]:
    return [value for point in points for value in point]


def _listed(name: str, points: Iterable[Point]) -> dict[str, Any]:
    xs, ys = zip(*points, strict=True)
    return {"name": name, "all_points_x": list(xs), "all_points_y": list(ys)}
