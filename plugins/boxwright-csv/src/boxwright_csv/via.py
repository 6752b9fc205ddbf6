"""VGG Image Annotator's CSV: one row per region, with shape and attributes as JSON, in the format of version 2.

``filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes``; see
:mod:`.shapes` for the shapes. The user who defined the attributes decides which one is the class.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from boxwright import Coordinates, LabelMap, Sample
from boxwright.datasets import Output
from boxwright.images import ImageLookup
from boxwright.storage import is_remote
from boxwright_csv.dialects import VIA
from boxwright_csv.rows import NUMBER, SKIP, ImageRows, Rows
from boxwright_csv.shapes import OUTLINES, POINT, bounding_box, polygon, rectangle, segmentation
from boxwright_csv.table import Table
from boxwright_csv.texts import Lines, quoted, unsupported

USUAL: Final = ("class", "label", "name", "type", "category", "object")
"""Attributes that may contain the class, in this order, if none is named."""

_NUMBERS: Final = {"difficult": int, "truncated": int, "occluded": int, "iscrowd": int, "score": float, "area": float}


class ViaRows(Rows):
    """Reads the rows of VGG Image Annotator.

    Args:
        label: The attribute of a region that contains its class; by default, the first region with attributes decides:
            one of :data:`USUAL`, or its only attribute.
        points: Whether regions that are points are ignored instead of an error.
    """

    def __init__(
        self, table: Table, images: ImageLookup, *, swap: bool = False, label: str | None = None, points: bool = False
    ) -> None:
        super().__init__(table, images, swap=swap)
        columns = table.columns
        self.name_column = columns["filename"]
        self._file = columns.get("file_attributes")
        self._shape = columns["region_shape_attributes"]
        self._region = columns["region_attributes"]
        self._label = label
        self._ignore_points = points

    def add(self, group: ImageRows, row: list[str], line: int) -> None:
        """Adds a row to its image; a row without a shape is an image without regions.

        Raises:
            DataError: The row is invalid, its shape has no bounding box, or it has no class.
        """
        text = row[self._file].strip() if self._file is not None else ""
        if group.first is None:
            group.first = text
            group.attributes = self._parsed(text, "file_attributes", line)
        elif text != group.first:
            problem = f"the file_attributes of {group.name} differ from line {group.line}"
            raise self.error(problem, f"write the same in all rows of an image, {SKIP}", line)
        shape = self._parsed(row[self._shape], "region_shape_attributes", line)
        if not shape or (self._ignore_points and shape.get("name") == POINT):
            return
        attributes = self._parsed(row[self._region], "region_attributes", line)
        try:
            coordinates = bounding_box(shape)
        except ValueError as error:
            remedy = "ignore points: ?points=ignore, " if shape.get("name") == POINT else "draw it again, "
            raise self.error(str(error), f"{remedy}{SKIP}", line) from None
        label = self._class_of(attributes, line)
        if shape["name"] in OUTLINES:
            attributes["shape"] = shape
        elif shape["name"] == "polygon":
            attributes["segmentation"] = segmentation(shape)
        group.coordinates.append(self.ordered(coordinates, label, line))
        group.labels.append(label)
        group.box_attributes.append(attributes)

    def _class_of(self, attributes: dict[str, Any], line: int) -> str:
        """Removes the class from the attributes of a region and returns it."""
        if self._label is None:
            self._label = next((name for name in USUAL if name in attributes), None)
        if self._label is None:
            if len(attributes) != 1:
                existing = f" (one of {', '.join(attributes)})" if attributes else ""
                problem = "the region has no attribute called class" if existing else "the region has no attributes"
                raise self.error(
                    problem, f"pass the name of the attribute with the class: ?label=NAME{existing}, {SKIP}", line
                )
            (self._label,) = attributes
        value = attributes.pop(self._label, None)
        if isinstance(value, dict):  # a checkbox: {"fig": true}
            chosen = [name for name, ticked in value.items() if ticked]
            value = chosen[0] if len(chosen) == 1 else value
        if not isinstance(value, str) or not value:
            problem = f"the attribute {self._label!r} of the region is {value!r}, not a class"
            raise self.error(problem, f"write a class, pass another attribute: ?label=NAME, {SKIP}", line)
        for name, number in _NUMBERS.items():
            text = attributes.get(name)
            if isinstance(text, str) and NUMBER.fullmatch(text) and float(text) == number(float(text)):
                attributes[name] = number(float(text))
        return value

    def _parsed(self, text: str, column: str, line: int) -> dict[str, Any]:
        try:
            content = json.loads(text or "{}", parse_constant=_reject_constant)
        except (ValueError, RecursionError) as error:
            raise self.error(f"{column} is not JSON: {error}", f"export it again, {SKIP}", line) from None
        if not isinstance(content, dict):
            raise self.error(f"{column} is not a JSON object: {text[:40]}", f"export it again, {SKIP}", line)
        return content


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid in JSON")


class ViaWriter:
    """Writes one row per box as VGG Image Annotator does, and one for an image without boxes.

    A box whose ``segmentation`` is one polygon, or that has a ``shape``, is written as that if its bounding box is the
    box, and as a rectangle otherwise; other attributes are those of the region. ``file_size``, by which the program
    identifies an image, is -1 if the image does not exist.

    Args:
        output: The file.
        label_map: Not used; the rows contain names.
        label: The attribute of the region that contains the class.
    """

    def __init__(self, output: Output, label_map: LabelMap | None = None, label: str = "class") -> None:
        self._lines = Lines(output, VIA.header)
        self._label = label

    def write(self, sample: Sample) -> None:
        """Adds the rows of one image.

        Raises:
            DataError: JSON cannot represent an attribute, or it has the name of the class attribute.
        """
        boxes = sample.boxes
        try:
            start = f"{quoted(sample.image.name)},{_file_size(sample)},{_json(sample.attributes)}"
            rows = [
                f"{start},{len(boxes)},{number},{self._region(*box)}\n"
                for number, box in enumerate(zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True))
            ]
        except (ValueError, TypeError, RecursionError) as error:
            raise unsupported(sample, error) from None
        self._lines.add(rows or [f'{start},0,0,"{{}}","{{}}"\n'])

    def _region(self, label: str, coordinates: Coordinates, attributes: Mapping[str, Any]) -> str:
        if self._label in attributes:
            raise ValueError(f"the box has an attribute {self._label!r}: write the class to another with ?label=NAME")
        left = dict(attributes)
        shape = rectangle(coordinates)
        for name, drawn in (("segmentation", polygon(left.get("segmentation"))), ("shape", left.get("shape"))):
            if isinstance(drawn, dict) and _matches(drawn, coordinates):
                shape = drawn
                del left[name]
                break
        return f"{_json(shape)},{_json({self._label: label, **left})}"

    def close(self) -> None:
        """Finishes the file."""
        self._lines.close()


def _matches(shape: dict[str, Any], coordinates: Coordinates) -> bool:
    try:
        return shape.get("name") in (*OUTLINES, "polygon") and bounding_box(shape) == coordinates
    except ValueError:
        return False


def _json(content: Mapping[str, Any]) -> str:
    """Returns an object as JSON without spaces, as a field in quotes."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if repr(json.loads(text)) != repr(dict(content)):
        raise ValueError(f"{', '.join(content)}: JSON cannot represent all of these values")
    text.encode()
    return '"' + text.replace('"', '""') + '"'


def _file_size(sample: Sample) -> int:
    image = sample.image
    if image.data is not None:
        return len(image.data)
    if image.location is None or is_remote(image.location):
        return -1
    try:
        return os.path.getsize(image.location)
    except OSError:
        return -1
