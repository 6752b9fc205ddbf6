"""The entry of one image in a CreateML file.

The keys are those of Apple's reference (``imagefilename``, ``annotation``:
https://developer.apple.com/documentation/createml/mlobjectdetector/datasource) and of what labelImg
(``libs/create_ml_io.py`` of https://github.com/HumanSignal/labelImg), Roboflow and others write for the CreateML app
(``image``, ``annotations``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from boxwright import Boxes, Coordinates
from boxwright.datasets import ItemError

IMAGE_KEYS: Final = ("image", "imagefilename")
ANNOTATION_KEYS: Final = ("annotations", "annotation")
VERIFIED: Final = "verified"
_COORDINATES = ("x", "y", "width", "height")
_LARGEST = 1e12
_DECIMALS = 9
"""Coordinates are rounded to this many decimals of a pixel, to remove the rounding errors of halving and adding."""


class CoordinateSystem(NamedTuple):
    """The meaning of ``x``, ``y``, ``width`` and ``height``; by default the center, in pixels from the top left.

    The values are those of Apple's ``MLBoundingBoxUnits``, ``MLBoundingBoxAnchor`` and
    ``MLBoundingBoxCoordinatesOrigin``.
    """

    units: str = "pixel"
    anchor: str = "center"
    origin: str = "topLeft"

    def xyxy(self, values: tuple[float, float, float, float], width: int, height: int) -> Coordinates:
        """Returns ``(xmin, ymin, xmax, ymax)`` in pixels of a box in an image of that size."""
        x, y, w, h = values
        if self.units == "normalized":
            x, y, w, h = x * width, y * height, w * width, h * height
        if self.origin == "bottomLeft":
            y = height - y
        xmin = x - w / 2 if self.anchor == "center" else x
        ymin = y - h / 2 if self.anchor == "center" else y - h if self.anchor == "bottomLeft" else y
        xmax, ymax = xmin + w, ymin + h
        if self.anchor == "center":
            xmax, ymax = x + w / 2, y + h / 2
        # Adding 0.0 turns -0.0 into 0.0.
        xmin, ymin, xmax, ymax = (round(value, _DECIMALS) + 0.0 for value in (xmin, ymin, xmax, ymax))
        return xmin, ymin, xmax, ymax


class Entry:
    """A checked entry.

    Args:
        content: The element of the list.

    Attributes:
        image: The image's file name, as written.
        labels: One per box.
        attributes: The image's other keys.

    Raises:
        ItemError: The image is missing, or a box has no label or no coordinates.
    """

    def __init__(self, content: Any) -> None:
        if not isinstance(content, dict):
            raise ItemError("it is not an object", 'write {"image": "1.jpg", "annotations": []}')
        rest = dict(content)
        self.image = _taken(rest, IMAGE_KEYS)
        if not isinstance(self.image, str) or not self.image:
            raise ItemError("it names no image", 'write "image": "1.jpg"')
        annotations = _taken(rest, ANNOTATION_KEYS)
        if not isinstance(annotations, list):
            raise ItemError(f"{self.image} has no list of annotations", 'write "annotations": [] if it has no boxes')
        verified = rest.pop(VERIFIED, False)
        if verified is not False:
            rest[VERIFIED] = "yes" if verified is True else verified  # as in labelImg's XML
        self.attributes: dict[str, Any] = rest
        self.labels: list[str] = []
        self._values: list[tuple[float, float, float, float]] = []
        self._attributes: list[Mapping[str, Any]] = []
        for number, annotation in enumerate(annotations, start=1):
            self._add(annotation, f"annotation {number}")

    def _add(self, annotation: Any, place: str) -> None:
        if not isinstance(annotation, dict):
            raise ItemError("it is not an object", 'write {"label": "fig", "coordinates": {...}}', place)
        rest = dict(annotation)
        label, coordinates = rest.pop("label", None), rest.pop("coordinates", None)
        if not isinstance(label, str) or not label:
            raise ItemError("it has no label", 'write "label": "fig", a name in quotes', place)
        place = f"{place} ({label})"
        if not isinstance(coordinates, dict):
            remedy = 'write "coordinates": {"x": 20, "y": 15, "width": 10, "height": 10}'
            raise ItemError("it has no coordinates", remedy, place)
        more = dict(coordinates)
        x, y, width, height = (_number(more, name, place) for name in _COORDINATES)
        for name, value in (("width", width), ("height", height)):
            if value < 0:
                raise ItemError(f"{name} is negative: {value:g}", "draw the box again", place)
        self.labels.append(label)
        self._values.append((x, y, width, height))
        self._attributes.append(rest | {"coordinates": more} if more else rest)

    def boxes(self, coordinates: CoordinateSystem, width: int, height: int) -> Boxes:
        """Returns the boxes in an image of that size."""
        xyxy = [coordinates.xyxy(values, width, height) for values in self._values]
        return Boxes(self.labels, xyxy, self._attributes)


def _taken(content: dict[str, Any], keys: tuple[str, ...]) -> Any:
    key = next((key for key in keys if key in content), None)
    return None if key is None else content.pop(key)


def _number(coordinates: dict[str, Any], name: str, place: str) -> float:
    value = coordinates.pop(name, None)
    if isinstance(value, bool) or not isinstance(value, int | float):
        problem = f"it has no {name}" if value is None else f"{name} is {value!r:.40}, not a number"
        raise ItemError(problem, f'write "{name}" as a number', place)
    if not abs(value) <= _LARGEST:
        raise ItemError(f"{name} is not a finite number of pixels", "correct it", place)
    return float(value)
