"""The content of a LabelMe file.

The keys are those of ``labelme/_label_file.py`` of https://github.com/wkentaro/labelme, and the shapes those of its
``shape.py``. LabelMe keeps any other key of a file or shape when it saves the file again, so attributes are such keys.
An attribute that would be taken for one of LabelMe's own keys is in an object with the key ``boxwright``.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from boxwright import Boxes, DataError
from boxwright.datasets import (
    DrawnShape,
    Ellipse,
    ItemError,
    Mask,
    Points,
    Polygon,
    Polyline,
    Rectangle,
    Shape,
    ShapeError,
    ShapeRule,
    runs_of_pixels,
)
from boxwright.storage import parse_json

OWN: Final = "boxwright"
FILE_KEYS: Final = ("version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth")
SHAPE_KEYS: Final = ("label", "points", "group_id", "description", "shape_type", "flags", "mask")
_SKIP = "or leave the image out with --on-error skip"
_LARGEST = 1e12
_DEFAULTS: tuple[Any, ...] = (None, "", {})


class _Drawn(NamedTuple):
    """A shape of a file, before it becomes a box."""

    place: str
    label: str
    content: dict[str, Any]


class Annotation:
    """A checked file.

    Args:
        content: The bytes of the file.
        file: Its location, for messages.

    Attributes:
        image: The image's path, as written; empty if it is missing.
        size: The image's width and height; 0 if they are missing.
        attributes: The image's other keys.

    Raises:
        DataError: It is not a LabelMe file.
    """

    def __init__(self, content: bytes, file: str) -> None:
        self._file = file
        rest = parse_json(content, file, _SKIP)
        if not isinstance(rest, dict) or not isinstance(rest.get("shapes"), list):
            raise DataError(
                file, "it is not a LabelMe file: it has no list of shapes", f"move it out of the folder, {_SKIP}"
            )
        own = _own(rest)
        shapes, self._data = rest.pop("shapes"), rest.pop("imageData", None)
        rest.pop("version", None)
        path = rest.pop("imagePath", None)
        if path is not None and not isinstance(path, str):
            raise self._error(f"imagePath is {path!r:.40}, not a path", 'write "imagePath": "1.jpg"')
        self.image = path or ""
        self.size = (self._length(rest, "imageWidth"), self._length(rest, "imageHeight"))
        self.attributes: dict[str, Any] = {
            **{key: value for key, value in rest.items() if key != "flags" or value not in _DEFAULTS},
            **own,
        }
        self._shapes = [self._drawn(shape, f"shape {number}") for number, shape in enumerate(shapes, start=1)]

    def boxes(self, rule: ShapeRule, size: tuple[int, int] = (0, 0)) -> Boxes:
        """Returns the boxes of an image of that size; for the labels alone, it need not be known.

        Raises:
            DataError: A shape is invalid, or refused by the rule.
        """
        drawn = (
            DrawnShape(each.place, each.label, partial(_shape, each.content, size), _attributes(each.content))
            for each in self._shapes
        )
        try:
            return rule.boxes(drawn)
        except ItemError as error:
            raise self._error(error.problem, error.remedy, error.place) from None

    def image_data(self) -> bytes | None:
        """Returns the image that the file contains, if any.

        Raises:
            DataError: ``imageData`` is not base64.
        """
        if not self._data:
            return None
        try:
            return base64.b64decode(self._data, validate=True)
        except (TypeError, ValueError):
            remedy = 'write "imageData": null, and put the image next to the file'
            raise self._error("imageData is not base64", remedy) from None

    def _drawn(self, content: Any, place: str) -> _Drawn:
        label = content.get("label") if isinstance(content, dict) else None
        if not isinstance(label, str) or not label:
            raise self._error("it has no label", 'write "label": "fig", a name in quotes', place)
        return _Drawn(f"{place} ({label})", label, content)

    def _length(self, rest: dict[str, Any], key: str) -> int:
        value = rest.pop(key, None)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9 or value % 1:
            raise self._error(f"{key} is {value!r:.40}, not a number of pixels", "correct it")
        return int(value)

    def _error(self, problem: str, remedy: str, place: str = "") -> DataError:
        return DataError(self._file, problem, f"{remedy}, {_SKIP}", place)


def _own(rest: dict[str, Any]) -> dict[str, Any]:
    """Removes the attributes that would be taken for LabelMe's own keys, and returns them."""
    own = rest.get(OWN)
    if not isinstance(own, dict):
        return {}
    del rest[OWN]
    return own


def _attributes(content: dict[str, Any]) -> dict[str, Any]:
    rest = dict(content)
    own = _own(rest)
    if rest.get("shape_type") == "rotation":
        rest.pop("direction", None)  # the angle in radians, which the points contain
    for key in ("label", "points", "shape_type", "mask"):
        rest.pop(key, None)
    for key in ("group_id", "description", "flags"):
        if key in rest and rest[key] in _DEFAULTS:
            del rest[key]
    return rest | own


def _shape(content: dict[str, Any], size: tuple[int, int]) -> Shape:
    """Returns the shape of an object.

    Raises:
        ShapeError: Its type is unknown, or it has other points than its type requires.
    """
    kind = content.get("shape_type") or "polygon"  # as LabelMe reads files of its first versions
    points = tuple(_points(content.get("points"), kind))
    count = len(points)
    if kind == "rectangle" and count == 2:
        (x1, y1), (x2, y2) = points
        return Rectangle(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2), 0.0)
    if kind in ("rectangle", "rotation", "oriented_rectangle") and count == 4:
        xs, ys = sorted({x for x, _ in points}), sorted({y for _, y in points})
        if kind == "rectangle" and len(xs) <= 2 and len(ys) <= 2:
            return Rectangle(xs[0], ys[0], xs[-1], ys[-1], 0.0)
        return Rectangle.from_corners(points) or Polygon.of(points)
    if kind == "circle" and count == 2:
        radius = math.dist(*points)
        return Ellipse(*points[0], radius, radius)
    if kind in ("polygon", "quadrilateral", "cuboid") and count:
        return Polygon.of(points)
    if kind in ("line", "linestrip") and count >= 2:
        return Polyline(points)
    if kind in ("point", "points") and count:
        return Points(points)
    if kind == "mask" and count == 2:
        return _mask(content.get("mask"), points, size)
    known = ("rectangle", "rotation", "circle", "polygon", "line", "linestrip", "point", "points", "mask")
    if kind in known:
        raise ShapeError(f"a {kind} with {count} points cannot be read")
    raise ShapeError(f"its shape_type is {kind!r:.40}, not one of {', '.join(known)}")


def _points(points: Any, kind: Any) -> Iterator[tuple[float, float]]:
    if not isinstance(points, list):
        raise ShapeError(f"the {kind} has no points")
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise ShapeError(f"a point is {point!r:.40}, not a pair of numbers")
        for value in point:
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
                raise ShapeError(f"a coordinate is {value!r:.40}, not a finite number of pixels")
        yield float(point[0]), float(point[1])


def _mask(text: Any, points: tuple[tuple[float, float], ...], size: tuple[int, int]) -> Shape:
    """Returns the pixels of a mask: a PNG image in base64, whose top left pixel is at the first point."""
    import numpy as np

    from boxwright.images import open_image

    try:
        with open_image(base64.b64decode(text, validate=True), "mask") as image:
            inside = np.asarray(image.convert("L")) > 0
    except (DataError, TypeError, ValueError, OSError, SyntaxError, binascii.Error):
        raise ShapeError("its mask is not a PNG image in base64") from None
    left, top = (round(min(point[axis] for point in points)) for axis in (0, 1))
    height, width = inside.shape
    # Without the image's size, for labels alone, the mask is all that counts.
    width, height = size if all(size) else (max(1, left + width), max(1, top + height))
    return Mask(width, height, runs_of_pixels(inside, left, top, width, height))


def png_of(inside: Any) -> str:
    """Returns the pixels of a mask, shape (rows, columns), as LabelMe stores them."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(inside).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
