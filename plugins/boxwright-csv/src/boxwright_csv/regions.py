"""The regions of VGG Image Annotator, in its CSV and its JSON: which attribute is the class, and which shape it is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

from boxwright import Coordinates, Sample
from boxwright.datasets import ItemError, RefusedShapeError, ShapeError, ShapeRule, shape_of
from boxwright.storage import is_remote
from boxwright_csv.rows import NUMBER
from boxwright_csv.shapes import as_region, drawn, rectangle

USUAL: Final = ("class", "label", "name", "type", "category", "object")
"""Attributes that may contain the class, in this order, if none is named."""

_NUMBERS: Final = {"difficult": int, "truncated": int, "occluded": int, "iscrowd": int, "score": float, "area": float}


class Regions:
    """Makes boxes of regions.

    Args:
        rule: The rule for shapes that are not upright boxes.
        label: The attribute of a region that contains its class; by default, the first region with attributes decides:
            one of :data:`USUAL`, or its only attribute.
    """

    def __init__(self, rule: ShapeRule, label: str | None) -> None:
        self._rule = rule
        self._label = label

    def __call__(
        self, shape: Mapping[str, Any], attributes: dict[str, Any]
    ) -> tuple[str, Coordinates, dict[str, Any]] | None:
        """Returns the label, coordinates and attributes of a region, ``None`` if the rule leaves it out.

        Raises:
            ItemError: It has no class, or its shape is invalid or refused.
        """
        try:
            found = self._rule(drawn(shape))
        except RefusedShapeError as error:
            raise ItemError(str(error), "leave it out: ?shapes=skip") from None
        except ShapeError as error:
            raise ItemError(str(error), "draw it again") from None
        if found is None:
            return None
        coordinates, kept = found
        if "shape" in kept:  # as the file has it
            kept["shape"] = dict(shape)
        label = self._class_of(attributes)
        return label, coordinates, attributes | kept

    def _class_of(self, attributes: dict[str, Any]) -> str:
        """Removes the class from the attributes of a region and returns it."""
        if self._label is None:
            self._label = next((name for name in USUAL if name in attributes), None)
        if self._label is None:
            if len(attributes) != 1:
                existing = f" (one of {', '.join(attributes)})" if attributes else ""
                problem = "the region has no attribute called class" if existing else "the region has no attributes"
                raise ItemError(problem, f"pass the name of the attribute with the class: ?label=NAME{existing}")
            (self._label,) = attributes
        value = attributes.pop(self._label, None)
        if isinstance(value, dict):  # a checkbox: {"fig": true}
            chosen = [name for name, ticked in value.items() if ticked]
            value = chosen[0] if len(chosen) == 1 else value
        if not isinstance(value, str) or not value:
            problem = f"the attribute {self._label!r} of the region is {value!r}, not a class"
            raise ItemError(problem, "write a class, pass another attribute: ?label=NAME")
        for name, number in _NUMBERS.items():
            text = attributes.get(name)
            if isinstance(text, str) and NUMBER.fullmatch(text) and float(text) == number(float(text)):
                attributes[name] = number(float(text))
        return value


def region_of(
    label: str, coordinates: Coordinates, attributes: Mapping[str, Any], key: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns a box as the shape and the attributes of a region.

    Args:
        label: Its label.
        coordinates: The box.
        attributes: Its attributes.
        key: The attribute that contains the class.

    Raises:
        ValueError: It has an attribute of that name.
    """
    if key in attributes:
        raise ValueError(f"the box has an attribute {key!r}: write the class to another with ?label=NAME")
    left = dict(attributes)
    shape = rectangle(coordinates)
    if (kept := shape_of(coordinates, attributes)) is not None and (region := as_region(kept[0], attributes)):
        shape = region
        restored = drawn(region).attributes
        for name in kept[1] & restored.keys():
            del left[name]
    return shape, {key: label, **left}


def checked(content: Mapping[str, Any]) -> str:
    """Returns an object as JSON without spaces.

    Raises:
        TypeError, ValueError: JSON cannot represent all of its values, or UTF-8 its texts.
    """
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if repr(json.loads(text)) != repr(dict(content)):
        raise ValueError(f"{', '.join(content)}: JSON cannot represent all of these values")
    text.encode()
    return text


def file_size(sample: Sample) -> int:
    """Returns the number of bytes of an image, by which the program identifies it; -1 if the image does not exist."""
    image = sample.image
    if image.data is not None:
        return len(image.data)
    if image.location is None or is_remote(image.location):
        return -1
    try:
        return os.path.getsize(image.location)
    except OSError:
        return -1
