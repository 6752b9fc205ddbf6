"""The values of an image and of an annotation in a COCO file, with checks.

The keys are those of https://cocodataset.org/#format-data. Any other key is an attribute with its name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from boxwright import Coordinates, SwappedCoordinates, is_text
from boxwright.datasets import Rectangle, ShapeError, ShapeRule
from boxwright_coco.masks import outline_box
from boxwright_coco.numbers import as_number, far_coordinate
from boxwright_coco.texts import OWN

IMAGE_KEYS: Final = frozenset({"id", "file_name", "width", "height", OWN})
BOX_KEYS: Final = frozenset({"id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation", OWN})

LARGEST_SIDE: Final = 1_000_000_000
"""The limit for a width or height in pixels: larger values are mistakes."""
_NEAR: Final = 1e-9
_HUGE: Final = 1e300
_FINITE: Final = frozenset({str, int, bool, type(None)})
_SKIP: Final = "or skip the image with --on-error skip"
_OTHER_KINDS: Final = {"caption": "captions", "segments_info": "panoptic"}


class RowError(Exception):
    """The problem of an image or annotation, and the remedy."""

    def __init__(self, problem: str, remedy: str = f"correct it, {_SKIP}") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


class ImageRow(NamedTuple):
    """An image: a width or height of 0 is unknown."""

    file_name: str
    width: int
    height: int
    attributes: dict[str, Any]


class AnnotationRow(NamedTuple):
    """An annotation: its class id, coordinates in pixels, and attributes."""

    category: int
    coordinates: Coordinates
    attributes: dict[str, Any]


def image_row(row: Any) -> ImageRow:
    """Returns the values of an image.

    Raises:
        RowError: A key is missing or has an invalid value.
    """
    if not isinstance(row, dict):
        raise RowError(f"it is {_shown(row)}, not an object")
    number = row.get("id")
    if as_number(number) is None and not (isinstance(number, str) and number):
        raise RowError(_missing(row, "id", "an integer"))
    name = file_name(row)
    if not isinstance(name, str) or not name:
        raise RowError(_missing(row, "file_name", "the file name"))
    if not is_text(name):
        raise RowError(f"file_name is {_shown(name)}, which contains an unpaired surrogate", "rename the image")
    return ImageRow(name, _side(row, "width"), _side(row, "height"), image_attributes(row))


def file_name(row: dict[str, Any]) -> Any:
    """Returns the file name of an image: LVIS has only its address, which ends in it."""
    address = row.get("coco_url")
    return row.get("file_name") or (address.rpartition("/")[2] if isinstance(address, str) else None)


def image_attributes(row: dict[str, Any]) -> dict[str, Any]:
    """Returns the attributes of an image.

    Raises:
        RowError: JSON cannot represent them.
    """
    attributes = {key: value for key, value in row.items() if key not in IMAGE_KEYS}
    if OWN in row:
        attributes.update(own_attributes(row))
    _check_attributes(attributes)
    return attributes


def annotation_row(row: Any, swapped: SwappedCoordinates | None) -> AnnotationRow:
    """Returns the values of an annotation.

    Without a box, it is the bounding box of the segmentation. COCO's default values are not attributes: ``area`` is
    width times height of the box, ``iscrowd`` is 0, and ``segmentation`` is missing.

    Args:
        row: The value in the file.
        swapped: Sorts the coordinates of a box with negative width or height, which extends to the left or upwards;
            ``None`` if such a box is an error.

    Raises:
        RowError: A key is missing or has an invalid value.
    """
    if not isinstance(row, dict):
        raise RowError(f"it is {_shown(row)}, not an object")
    for key, kind in _OTHER_KINDS.items():
        if key in row and "bbox" not in row and "segmentation" not in row:
            raise RowError(f"it has {key} instead of bbox: this is a {kind} file", "use an instances file")
    category = as_number(row.get("category_id"))
    if category is None:
        raise RowError(_missing(row, "category_id", "an integer"))
    box = row.get("bbox")
    if box or not row.get("segmentation"):
        left, top, width, height = _box(row, box)
        coordinates = _coordinates(row, (left, top, width, height), swapped)
        area = abs(width * height)
    else:
        coordinates = _outline_coordinates(row["segmentation"])
        area = (coordinates[2] - coordinates[0]) * (coordinates[3] - coordinates[1])
    attributes = {key: value for key, value in row.items() if key not in BOX_KEYS}
    attributes.update(_usual_attributes(row, area))
    attributes.update(own_attributes(row))
    _check_attributes(attributes)
    return AnnotationRow(category, coordinates, attributes)


def rotated_box(row: AnnotationRow, rule: ShapeRule) -> AnnotationRow | None:
    """Returns the annotation of a rectangle that CVAT exported without its rotation, with the box around it.

    CVAT's COCO files have the box before the rotation, and the angle as ``"attributes": {"rotation": 90.0}``, in
    degrees, clockwise, about the center of the box. Other annotations are returned unchanged.

    Args:
        row: The annotation.
        rule: What to do with such a rectangle; ``None`` is returned if it is left out.

    Raises:
        RowError: The rule refuses it.
    """
    nested = row.attributes.get("attributes")
    if not isinstance(nested, dict):
        return row
    rotation = nested.get("rotation", 0)
    if not isinstance(rotation, int | float) or not rotation % 360 or "segmentation" in row.attributes:
        return row
    try:
        boxed = rule(Rectangle(*row.coordinates, rotation))
    except ShapeError as error:
        raise RowError(str(error), f"read the box around it (?shapes=box), {_SKIP}") from None
    if boxed is None:
        return None
    rest = {key: value for key, value in nested.items() if key != "rotation"}
    attributes = {key: value for key, value in row.attributes.items() if key != "attributes"}
    return AnnotationRow(row.category, boxed[0], attributes | ({"attributes": rest} if rest else {}) | boxed[1])


def _box(row: dict[str, Any], box: Any) -> Coordinates:
    if not isinstance(box, list):
        raise RowError(_missing(row, "bbox", "[x, y, width, height]"))
    if len(box) != 4 or not all(type(number) in (int, float) for number in box):
        raise RowError(f"bbox is {_shown(box)}, not four numbers: [x, y, width, height]")
    try:
        left, top, width, height = map(float, box)
    except OverflowError:
        raise RowError(f"bbox is {_shown(box)}: a number in it is too large") from None
    if not all(map(math.isfinite, (left, top, width, height))):
        raise RowError(f"bbox is {_shown(box)}, not finite")
    if not math.isfinite(abs(left) + abs(top) + abs(width) + abs(height)):
        raise RowError(f"bbox is {_shown(box)}: a number in it is too large")
    return (left, top, width, height)


def _coordinates(row: dict[str, Any], box: Coordinates, swapped: SwappedCoordinates | None) -> Coordinates:
    left, top, width, height = box
    if swapped is None and (width < 0 or height < 0):
        what = "width" if width < 0 else "height"
        remedy = f"correct it, swap the coordinates (?inverted=swap), {_SKIP}"
        raise RowError(f"bbox is {_shown(row['bbox'])}: the {what} is negative", remedy)
    right, bottom = far_coordinate(left, width), far_coordinate(top, height)
    coordinates = (left, top, right, bottom)
    if swapped is not None and (width < 0 or height < 0):
        coordinates = swapped.sort(coordinates)
    own = row.get(OWN)
    exact = own.get("edges") if isinstance(own, dict) else None
    if not isinstance(exact, list) or not all(type(each) in (int, float) and abs(each) < _HUGE for each in exact):
        return coordinates
    # If another program changed the box later, the box takes precedence.
    allowed = _NEAR * max(map(abs, coordinates))
    near = len(exact) == 4 and all(abs(a - b) <= allowed for a, b in zip(exact, coordinates, strict=True))
    if not near or exact[0] > exact[2] or exact[1] > exact[3]:
        return coordinates
    left, top, right, bottom = map(float, exact)
    return (left, top, right, bottom)


def _outline_coordinates(segmentation: Any) -> Coordinates:
    try:
        return outline_box(segmentation)
    except (KeyError, IndexError, OverflowError, TypeError, ValueError) as error:
        raise RowError(f"bbox is missing, and segmentation has no bounding box: {error}") from None


def _usual_attributes(row: dict[str, Any], default_area: float) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    given, area, crowd, outline = (row.get(key) for key in ("id", "area", "iscrowd", "segmentation"))
    if given is not None:
        number = as_number(given)
        if number is None and type(given) not in (int, str):
            raise RowError(f"id is {_shown(given)}, not an integer")
        attributes["id"] = given if number is None else number
    if area is not None and area != default_area:
        if type(area) not in (int, float):
            raise RowError(f"area is {_shown(area)}, not a number")
        attributes["area"] = area
    if crowd:
        if type(crowd) not in (int, bool):
            raise RowError(f"iscrowd is {_shown(crowd)}, not 0 or 1")
        attributes["iscrowd"] = int(crowd)
    if outline:
        attributes["segmentation"] = outline
    return attributes


def _side(row: dict[str, Any], key: str) -> int:
    side = row.get(key)
    if type(side) is int and 0 <= side < LARGEST_SIDE:
        return side
    if side is None:
        return 0
    if type(side) not in (int, float) or not 0 <= side < LARGEST_SIDE or side % 1:
        raise RowError(f"{key} is {_shown(side)}, not a number of pixels")
    return int(side)


def own_attributes(row: dict[str, Any]) -> dict[str, Any]:
    """Returns the attributes of boxwright's own key, whose names are those of other keys."""
    own = row.get(OWN)
    attributes = own.get("attributes") if isinstance(own, dict) else None
    return attributes if isinstance(attributes, dict) else {}


def _check_attributes(values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if not is_text(key):
            raise RowError(f"the key {_shown(key)} contains an unpaired surrogate")
        if type(value) not in _FINITE and not is_finite(value):
            raise RowError(f"{key} contains NaN or infinity, which is not JSON")


def is_finite(value: Any) -> bool:
    """Returns whether a JSON value contains neither NaN nor infinity."""
    kind = type(value)
    if kind is float:
        return math.isfinite(value)
    if kind is list:
        try:
            return all(map(math.isfinite, value))
        except (OverflowError, TypeError):  # not only numbers, or one too large for a float
            return all(map(is_finite, value))
    return all(map(is_finite, value.values())) if kind is dict else True


def _missing(row: dict[str, Any], key: str, expected: str) -> str:
    return f"{key} is {_shown(row[key])}, not {expected}" if key in row else f"{key} is missing: {expected}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
