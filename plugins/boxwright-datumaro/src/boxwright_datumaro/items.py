"""The items of a Datumaro file: an image with its annotations.

The keys are those of ``datumaro/plugins/data_formats/datumaro/exporter.py`` of
https://github.com/open-edge-platform/datumaro. CVAT's export has the angle of a rectangle as its attribute
``rotation``, and the rectangle before the rotation, which is about its center.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from boxwright import Boxes
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
    Skeleton,
    unpacked_runs,
)

FIELDS: Final = {"id": 0, "group": 0, "z_order": 0, "object_id": -1}
"""Fields of an annotation that are attributes, with the value of none."""

_LARGEST = 1e12


class Item:
    """A checked item.

    Args:
        content: The element of ``items``.
        names: The names of the classes.

    Attributes:
        name: The image's file name.
        size: Its width and height, or ``None``.
        attributes: Its attributes.

    Raises:
        ItemError: It is not complete.
    """

    def __init__(self, content: Any, names: Sequence[str]) -> None:
        if not isinstance(content, dict):
            raise ItemError("it is not an object", 'write {"id": "1", "annotations": []}')
        key, image = content.get("id"), content.get("image") or {}
        if not isinstance(image, dict) or not isinstance(key, str) or not key:
            raise ItemError(
                "it has no id, or its image is not an object", 'write "id": "1", "image": {"path": "1.jpg"}'
            )
        path = image.get("path") or f"{key}.jpg"
        if not isinstance(path, str):
            raise ItemError(f"the path of the image is {path!r:.40}", 'write "path": "1.jpg"')
        self.name = path
        self.size = _size(image.get("size"))
        attributes, annotations = content.get("attr") or {}, content.get("annotations") or []
        if not isinstance(attributes, dict) or not isinstance(annotations, list):
            raise ItemError("its attr is not an object, or its annotations are not a list", "export it again")
        self.attributes: dict[str, Any] = dict(attributes)
        self._names = names
        self._annotations: list[tuple[str, str, dict[str, Any]]] = []
        for number, annotation in enumerate(annotations, start=1):
            self._add(annotation, f"annotation {number}")

    def _add(self, annotation: Any, place: str) -> None:
        if not isinstance(annotation, dict):
            raise ItemError("it is not an object", "export it again", place)
        kind = annotation.get("type")
        if kind == "caption":
            self.attributes.setdefault("captions", []).append(annotation.get("caption"))
            return
        label = annotation.get("label_id")
        if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < len(self._names):
            problem = "it has no label_id" if label is None else f"label_id {label!r:.40} is not one of the categories"
            raise ItemError(problem, "label it, or add the category", place)
        name = self._names[label]
        if kind == "label":
            more = annotation.get("attributes")
            found = {"label": name, "attributes": more} if more else name
            self.attributes.setdefault("labels", []).append(found)
            return
        self._annotations.append((f"{place} ({name})", name, annotation))

    def boxes(self, rule: ShapeRule) -> Boxes:
        """Returns the boxes.

        Raises:
            ItemError: A shape is invalid, or refused by the rule.
        """
        drawn = []
        for place, label, annotation in self._annotations:
            more = _attributes(annotation, place)
            drawn.append(DrawnShape(place, label, partial(_shape, annotation, more), more))
        return rule.boxes(drawn)


def category_names(categories: Any) -> list[str]:
    """Returns the names of the classes, by their numbers.

    Raises:
        ItemError: They are not valid.
    """
    label = categories.get("label") if isinstance(categories, dict) else None
    labels = label.get("labels", []) if isinstance(label, dict) else []
    names = (
        [each.get("name") if isinstance(each, dict) else None for each in labels] if isinstance(labels, list) else [0]
    )
    if not all(isinstance(name, str) and name for name in names):
        raise ItemError("a label of its categories has no name", 'write {"label": {"labels": [{"name": "fig"}]}}')
    return [str(name) for name in names]


def _attributes(annotation: dict[str, Any], place: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, none in FIELDS.items():
        if type(annotation.get(name)) is int and annotation[name] != none:
            found[name] = annotation[name]
    attributes = annotation.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise ItemError("its attributes are not an object", "export it again", place)
    return found | attributes


def _shape(annotation: dict[str, Any], attributes: dict[str, Any]) -> Shape:
    kind = annotation.get("type")
    match kind:
        case "bbox":
            x, y, width, height = _numbers(annotation, "bbox", 4)
            if width < 0 or height < 0:
                raise ShapeError("its width or height is negative")
            rotation = attributes.get("rotation")
            if isinstance(rotation, bool) or not isinstance(rotation, int | float) or not abs(rotation) <= _LARGEST:
                rotation = 0.0
            return Rectangle(x, y, x + width, y + height, rotation)
        case "mask":
            rle = annotation.get("rle")
            if not isinstance(rle, dict):
                raise ShapeError("it has no rle")
            return _mask(rle)
        case "ellipse":
            left, top, right, bottom = _numbers(annotation, "points", 4)
            return Ellipse((left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2)
    numbers = _numbers(annotation, "points", 0)
    points = tuple(zip(numbers[::2], numbers[1::2], strict=False))
    match kind:
        case "polygon":
            return Polygon.of(points)
        case "polyline":
            return Polyline(points)
        case "points" | "cuboid_2d":
            visible = annotation.get("visibility") or [2] * len(points)
            if len(visible) != len(points) or set(visible) - {0, 1, 2}:
                raise ShapeError("the visibility of its points is not 0, 1 or 2")
            return Points(points) if set(visible) == {2} else Skeleton(points, tuple(visible))
    raise ShapeError(f"its type is {kind!r:.40}, which has no box")


def _mask(rle: dict[str, Any]) -> Mask:
    counts, size = rle.get("counts"), rle.get("size")
    try:
        height, width = size  # type: ignore[misc]
        return Mask(width, height, tuple(unpacked_runs(counts) if isinstance(counts, str) else counts))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ShapeError("its rle cannot be read") from None


def _numbers(annotation: dict[str, Any], key: str, count: int) -> list[float]:
    values = annotation.get(key)
    if isinstance(values, list) and values and all(isinstance(value, list) for value in values):
        values = [number for pair in values for number in pair]
    if not isinstance(values, list) or not values or len(values) % 2 or (count and len(values) != count):
        raise ShapeError(f"its {key} are {values!r:.40}, not {count or 'pairs of'} numbers")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
            raise ShapeError(f"a coordinate is {value!r:.40}, not a finite number of pixels")
    return [float(value) for value in values]


def _size(size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    if not isinstance(size, list) or len(size) != 2 or not all(type(n) is int and 0 < n < 10**9 for n in size):
        raise ItemError(f"the size of the image is {size!r:.40}, not height and width in pixels", "correct it")
    return size[1], size[0]
