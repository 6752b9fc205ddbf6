"""The shapes of CVAT: from their XML elements, and back.

Rectangles and ellipses are rotated about their center, in degrees, clockwise. The runs of a mask go along the rows of
its bounding box and begin outside. See ``cvat/apps/dataset_manager/formats/cvat.py`` of https://github.com/cvat-ai/cvat.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from boxwright import Coordinates
from boxwright.datasets import (
    Ellipse,
    Mask,
    Points,
    Polygon,
    Polyline,
    Rectangle,
    Shape,
    ShapeError,
    Skeleton,
    pixels_of_runs,
    runs_of_pixels,
)
from boxwright.images import MAX_PIXELS
from boxwright_cvat.stream import Node

TAGS: Final = frozenset({"box", "polygon", "polyline", "points", "ellipse", "mask", "skeleton", "cuboid"})
_BOX = ("xtl", "ytl", "xbr", "ybr")
_ELLIPSE = ("cx", "cy", "rx", "ry")
_CUBOID = tuple(f"{axis}{corner}{face}" for face in "12" for corner in ("tl", "bl", "tr", "br") for axis in "xy")
_LARGEST = 1e12

Xml = tuple[str, dict[str, str], str]
"""Tag, XML attributes, and content of an element."""


class Drawn(NamedTuple):
    """A shape as numbers, which can be interpolated.

    Attributes:
        tag: The element's name.
        numbers: The numbers of its coordinates.
        rotation: Degrees, clockwise.
        names: The names of the points of a skeleton.
        visible: COCO's visibility of them.
        part: The left, top, width and height of a mask, and ``numbers`` are its runs.
    """

    tag: str
    numbers: tuple[float, ...]
    rotation: float = 0.0
    names: tuple[str, ...] = ()
    visible: tuple[int, ...] = ()
    part: tuple[int, ...] = ()

    def shape(self, width: int, height: int) -> Shape:
        """Returns the shape in an image of that size.

        Raises:
            ShapeError: It is not complete.
        """
        numbers = self.numbers
        points = tuple(zip(numbers[::2], numbers[1::2], strict=False))
        match self.tag:
            case "box":
                return Rectangle(*numbers, self.rotation)  # type: ignore[call-arg]  # they are four
            case "ellipse":
                return Ellipse(*numbers, self.rotation)  # type: ignore[call-arg]  # they are four
            case "polygon":
                return Polygon.of(points)
            case "polyline":
                return Polyline(points)
            case "mask":
                return self._mask(width, height)
            case "skeleton":
                return Skeleton(points, self.visible, self.names)
        return Points(points)

    def _mask(self, width: int, height: int) -> Mask:
        import numpy as np

        left, top, columns, rows = self.part
        counts = [int(number) for number in self.numbers]
        if columns * rows > MAX_PIXELS or min(counts) < 0 or sum(counts) != columns * rows:
            raise ShapeError("the runs of its mask do not match its width and height")
        inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(rows, columns)
        return Mask(width, height, runs_of_pixels(inside, left, top, width, height))

    def towards(self, other: Drawn, share: float) -> Drawn:
        """Returns the shape between two key frames, at this share of the way from 0 to 1.

        The coordinates are interpolated linearly, the rotation the short way round, as CVAT does it. A shape that has
        another number of points, or is a mask, stays unchanged until the next key frame.
        """
        if (self.tag, len(self.numbers)) != (other.tag, len(other.numbers)) or self.part:
            return self
        turn = (other.rotation - self.rotation + 180) % 360 - 180
        numbers = tuple([one + (two - one) * share for one, two in zip(self.numbers, other.numbers, strict=True)])
        return self._replace(numbers=numbers, rotation=(self.rotation + turn * share) % 360)


def drawn(node: Node) -> Drawn:
    """Returns the shape of an element.

    Raises:
        ShapeError: A coordinate is missing, or not a finite number.
    """
    match node.tag:
        case "box" | "ellipse":
            numbers = _numbers(node, _BOX if node.tag == "box" else _ELLIPSE)
            return Drawn(node.tag, numbers, _number(node.attributes.get("rotation", "0"), "rotation"))
        case "cuboid":
            return Drawn(node.tag, _numbers(node, _CUBOID))
        case "mask":
            part = _numbers(node, ("left", "top", "width", "height"))
            if any(value % 1 for value in part):
                raise ShapeError("the box of its mask is not in whole pixels")
            runs = [_number(text, "a run of the mask") for text in node.attributes.get("rle", "").split(",")]
            return Drawn(node.tag, tuple(runs), part=tuple(map(int, part)))
        case "skeleton":
            elements = [child for child in node.children if child.tag == "points"]
            points: list[float] = []
            for element in elements:
                points += _points(element)[:2]
            names = tuple(element.attributes.get("label", "") for element in elements)
            return Drawn(node.tag, tuple(points), names=names, visible=tuple(map(_visibility, elements)))
    return Drawn(node.tag, _points(node))


def element(shape: Shape) -> Xml | None:
    """Returns a shape as an element, ``None`` if CVAT has no such shape."""
    match shape:
        case Rectangle():
            edges = (shape.xmin, shape.ymin, shape.xmax, shape.ymax)
            return "box", dict(zip(_BOX, map(text_of, edges), strict=True)) | _rotation(shape.rotation), ""
        case Ellipse():
            radii = (shape.cx, shape.cy, shape.rx, shape.ry)
            return "ellipse", dict(zip(_ELLIPSE, map(text_of, radii), strict=True)) | _rotation(shape.rotation), ""
        case Polygon(parts=(points,)):
            return "polygon", {"points": _joined(points)}, ""
        case Polyline(points=points):
            return "polyline", {"points": _joined(points)}, ""
        case Points(points=points):
            return "points", {"points": _joined(points)}, ""
        case Mask():
            return "mask", _runs(shape), ""
    return None


def upright(coordinates: Coordinates) -> Xml:
    """Returns a box as an element."""
    return "box", dict(zip(_BOX, map(text_of, coordinates), strict=True)), ""


def text_of(value: float) -> str:
    """Returns a coordinate as the shortest text that reads back as the same number."""
    return repr(int(value) if value == int(value) else float(value))


def value_of(text: str) -> Any:
    """Returns a number, flag, list or object if writing it as JSON restores the text, else the text itself."""
    if text[:1] not in '-0123456789tfn"[{':
        return text
    try:
        value = json.loads(text)
        return value if attribute_text(value) == text else text
    except (ValueError, RecursionError):
        return text


def attribute_text(value: Any) -> str:
    """Returns the text that :func:`value_of` reads as this value.

    Raises:
        ValueError: JSON cannot represent the value.
    """
    if isinstance(value, str) and not isinstance(value_of(value), str):
        return json.dumps(value)
    if isinstance(value, str) and value[:1] == '"':
        return json.dumps(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)


def _visibility(element: Node) -> int:
    """Returns COCO's visibility of a point of a skeleton."""
    return 0 if element.attributes.get("outside") == "1" else 2 - (element.attributes.get("occluded") == "1")


def _points(node: Node) -> tuple[float, ...]:
    numbers: list[float] = []
    for pair in filter(None, node.attributes.get("points", "").split(";")):
        values = pair.split(",")
        if len(values) != 2:
            raise ShapeError(f"a point is {pair[:40]!r}, not a pair of numbers")
        numbers += (_number(value, "a coordinate") for value in values)
    if not numbers:
        raise ShapeError(f"the {node.tag} has no points")
    return tuple(numbers)


def _numbers(node: Node, names: Sequence[str]) -> tuple[float, ...]:
    missing = [name for name in names if name not in node.attributes]
    if missing:
        raise ShapeError(f"it has no {missing[0]}")
    return tuple([_number(node.attributes[name], name) for name in names])


def _number(text: str, what: str) -> float:
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not abs(value) <= _LARGEST:
        raise ShapeError(f"{what} is {text[:40]!r}, not a finite number of pixels")
    return value


def _joined(points: Iterable[tuple[float, float]]) -> str:
    return ";".join(f"{text_of(x)},{text_of(y)}" for x, y in points)


def _rotation(degrees: float) -> dict[str, str]:
    return {"rotation": text_of(degrees)} if degrees else {}


def _runs(mask: Mask) -> dict[str, str]:
    import numpy as np

    left, top, right, bottom = map(int, mask.box)
    pixels = pixels_of_runs(mask.counts, mask.height, mask.box).ravel()
    edges = np.flatnonzero(np.diff(pixels, prepend=False))
    runs = np.diff(edges, prepend=0, append=pixels.size)
    place = {"left": left, "top": top, "width": right - left, "height": bottom - top}
    return {"rle": ", ".join(map(str, runs.tolist())), **{name: str(value) for name, value in place.items()}}
