"""The results of an annotation: regions of the image, and choices about it.

Coordinates are percentages of the image's sides (https://labelstud.io/guide/task_format). A rectangle or ellipse is
rotated clockwise; a rectangle about its top left corner, an ellipse about its center. The results with one ``id``
describe one region: its shape, its labels, and choices, texts or ratings for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

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
    runs_of_pixels,
)
from boxwright.images import MAX_PIXELS
from boxwright_labelstudio.brush import decoded

OWN: Final = "boxwright"
KINDS: Final = ("rectangle", "polygon", "ellipse", "keypoint", "brush", "vector")
DECIMALS: Final = 9
"""Coordinates are rounded to this many decimals of a pixel, to remove the rounding errors of percentages."""

_GEOMETRY = frozenset(
    {"x", "y", "width", "height", "rotation", "points", "radiusX", "radiusY", "rle", "format", "closed", "vertices"}
)
_LARGEST = 1e9


class Region(NamedTuple):
    """One region of an image.

    Attributes:
        place: Its place, for messages.
        label: Its label.
        kind: Its shape: one of :data:`KINDS`.
        value: The numbers of its shape.
        attributes: Its other properties.
    """

    place: str
    label: str
    kind: str
    value: Mapping[str, Any]
    attributes: Mapping[str, Any]


class Results:
    """The results of one or several annotations.

    Args:
        results: The results.

    Attributes:
        size: The image's width and height that the results contain, or ``None``.
        regions: The regions.
        attributes: What the results say about the image as a whole, by the names of their controls.

    Raises:
        ItemError: A result is not valid.
    """

    def __init__(self, results: Sequence[Any]) -> None:
        self.size: tuple[int, int] | None = None
        self.attributes: dict[str, Any] = {}
        groups: dict[str, list[dict[str, Any]]] = {}
        for number, result in enumerate(results, start=1):
            if not isinstance(result, dict) or not isinstance(result.get("value", {}), dict):
                raise ItemError("it is not an object with a value", "export it again", f"result {number}")
            if result.get("type") == "relation":
                continue
            if _GEOMETRY.isdisjoint(result.get("value", {})):
                name = result.get("from_name") or result.get("type") or "result"
                self.attributes[str(name)] = _content(result["value"]) if "value" in result else None
                continue
            if result.get("image_rotation"):
                problem = f"the image was rotated by {result['image_rotation']} degrees in Label Studio"
                raise ItemError(problem, "rotate the image file instead", f"result {number}")
            self._add_size(result, f"result {number}")
            key = result.get("id")
            groups.setdefault(key if isinstance(key, str) and key else f"\0{number}", []).append(result)
        self.regions = [_region(group, f"region {number}") for number, group in enumerate(groups.values(), start=1)]

    def _add_size(self, result: dict[str, Any], place: str) -> None:
        width, height = result.get("original_width"), result.get("original_height")
        if width is None or height is None:
            return
        for value in (width, height):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value < _LARGEST or value % 1:
                raise ItemError(f"the image's size is {value!r:.40}, not a number of pixels", "correct it", place)
        if self.size not in (None, (width, height)):
            problem = f"the image's size is {width}x{height} here, and {self.size[0]}x{self.size[1]} before"
            raise ItemError(problem, "correct it", place)
        self.size = (int(width), int(height))

    def boxes(self, rule: ShapeRule, width: int, height: int) -> Boxes:
        """Returns the boxes of an image of that size.

        Raises:
            ItemError: A shape is invalid, or refused by the rule.
        """
        return rule.boxes(
            DrawnShape(region.place, region.label, partial(_shape, region, width, height), region.attributes)
            for region in self.regions
        )


def _region(group: list[dict[str, Any]], place: str) -> Region:
    first, attributes = group[0], {}
    labels: list[Any] = []
    for result in group:
        value, name = result["value"], str(result.get("type"))
        if isinstance(value.get(name), list) and (name == "labels" or name.endswith("labels")):
            labels += value[name]
        elif rest := {key: each for key, each in value.items() if key not in _GEOMETRY and each not in ([], "", None)}:
            attributes[str(result.get("from_name") or name)] = _content(rest)
        for key, each in _rest(result).items():
            attributes.setdefault(key, each)
    if not labels:
        chosen = next((each for each in attributes.values() if isinstance(each, str)), None)
        labels = [chosen] if chosen is not None and len(attributes) == 1 else []
        attributes = {} if labels else attributes
    names = list(dict.fromkeys(labels))
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ItemError("the region has no label", "label it, or delete it in Label Studio", place)
    if len(names) > 1:
        attributes["labels"] = names
    kind = str(first.get("type")).removesuffix("labels")
    if kind not in KINDS:
        kind = next((kind for kind in map(_kind_of, group) if kind), kind)
    identity = first.get("id")
    if isinstance(identity, str) and identity:
        attributes.setdefault("id", identity)
    own = attributes.pop(OWN, {})
    return Region(f"{place} ({names[0]})", names[0], kind, first["value"], {**attributes, **own})


def _rest(result: dict[str, Any]) -> dict[str, Any]:
    """Returns the properties of a result that are neither its shape nor its labels."""
    rest: dict[str, Any] = {}
    score = result.get("score")
    if isinstance(score, int | float) and not isinstance(score, bool):
        rest["score"] = score
    if (origin := result.get("origin", "manual")) not in ("manual", None):
        rest["origin"] = origin
    meta = result.get("meta")
    if isinstance(meta, dict) and meta:
        more = dict(meta)
        own = more.pop(OWN, None)
        if isinstance(own, dict):
            rest[OWN] = own
        if more:
            rest["meta"] = more
    for key in ("parentID", "hidden", "locked", "readonly"):
        if result.get(key):
            rest[key] = result[key]
    return rest


def _content(value: dict[str, Any]) -> Any:
    """Returns the content of a choice, text, rating or number: the value alone if there is one."""
    if len(value) != 1:
        return value
    (content,) = value.values()
    return content[0] if isinstance(content, list) and len(content) == 1 else content


def _kind_of(result: dict[str, Any]) -> str:
    value = result["value"]
    kinds = (("rle", "brush"), ("radiusX", "ellipse"), ("vertices", "vector"), ("points", "polygon"))
    found = next((kind for key, kind in kinds if key in value), "")
    return found or ("rectangle" if "height" in value else "keypoint" if "x" in value else "")


def _shape(region: Region, width: int, height: int) -> Shape:
    value = region.value
    match region.kind:
        case "rectangle":
            x, y, w, h = (_number(value, name) for name in ("x", "y", "width", "height"))
            if w < 0 or h < 0:
                raise ShapeError("its width or height is negative")
            degrees = _number(value, "rotation", 0.0)
            if not degrees % 360:
                return Rectangle(*_pixels((x, y, x + w, y + h), (width, height)), 0.0)  # type: ignore[call-arg]
            left, top, across, down = _pixels((x, y, w, h), (width, height))
            return Rectangle.about_top_left(left, top, across, down, degrees)
        case "ellipse":
            numbers = [_number(value, name) for name in ("x", "y", "radiusX", "radiusY")]
            cx, cy, rx, ry = _pixels(numbers, (width, height))
            return Ellipse(cx, cy, rx, ry, _number(value, "rotation", 0.0))
        case "polygon":
            return Polygon.of(_points(value.get("points"), width, height))
        case "vector":
            points = _points(value.get("vertices"), width, height)
            return Polygon.of(points) if value.get("closed") else Polyline(tuple(points))
        case "keypoint":
            x, y = _pixels((_number(value, "x"), _number(value, "y")), (width, height))
            return Points(((x, y),))
        case "brush":
            return _mask(value, width, height)
    raise ShapeError(f"the shape {region.kind!r:.40} is not one of {', '.join(KINDS)}")


def _mask(value: Mapping[str, Any], width: int, height: int) -> Mask:
    codes = value.get("rle")
    if not isinstance(codes, list) or value.get("format", "rle") != "rle":
        raise ShapeError("its format is not 'rle'")
    if width * height > MAX_PIXELS:
        raise ShapeError(f"it has more than {MAX_PIXELS:,} pixels")
    return Mask(width, height, runs_of_pixels(decoded(codes, width, height), 0, 0, width, height))


def _points(points: Any, width: int, height: int) -> list[tuple[float, float]]:
    if not isinstance(points, list) or not points:
        raise ShapeError("it has no points")
    found = []
    for point in points:
        pair = [point.get("x"), point.get("y")] if isinstance(point, dict) else point
        if not isinstance(pair, list) or len(pair) != 2:
            raise ShapeError(f"a point is {point!r:.40}, not a pair of numbers")
        x, y = _pixels([_number({"x": pair[0]}, "x"), _number({"y": pair[1]}, "y")], (width, height))
        found.append((x, y))
    return found


def _pixels(percents: Sequence[float], size: tuple[int, int]) -> list[float]:
    # Adding 0.0 turns -0.0 into 0.0.
    return [round(value * size[place % 2] / 100, DECIMALS) + 0.0 for place, value in enumerate(percents)]


def _number(value: Mapping[str, Any], name: str, default: float | None = None) -> float:
    number = value.get(name, default)
    if number is None and default is not None:
        number = default
    if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= _LARGEST:
        raise ShapeError(f"it has no {name}" if number is None else f"{name} is {number!r:.40}, not a finite number")
    return float(number)
