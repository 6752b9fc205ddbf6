"""VGG Image Annotator's CSV: a row a region, its shape and attributes as JSON, as version 2 exports and imports it.

``filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes``; see
:mod:`.shapes` for the shapes. Which attribute of a region is its class is for whoever defined the attributes to know.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from boxwright import Edges, LabelMap, Sample
from boxwright.datasets import Output
from boxwright.storage import is_remote
from boxwright_csv.dialects import VIA
from boxwright_csv.rows import NUMBER, SKIP, Picture, Rows
from boxwright_csv.shapes import OUTLINES, POINT, box_around, polygon, rectangle, segmentation
from boxwright_csv.table import Table
from boxwright_csv.texts import Lines, quoted, unfit

USUAL: Final = ("class", "label", "name", "type", "category", "object")
"""Attributes that are taken for the class, in this order, where none is named."""

_NUMBERS: Final = {"difficult": int, "truncated": int, "occluded": int, "iscrowd": int, "score": float, "area": float}


class ViaRows(Rows):
    """Reads VGG Image Annotator's rows.

    Args:
        label: The region's attribute that is its class; without it, the first region with attributes decides: one of
            :data:`USUAL`, or the only one that it has.
        points: Whether regions that are points are passed over, and no error.
    """

    def __init__(
        self, table: Table, folder: str, *, swap: bool = False, label: str | None = None, points: bool = False
    ) -> None:
        super().__init__(table, folder, swap=swap)
        columns = table.columns
        self.name_column = columns["filename"]
        self._file = columns.get("file_attributes")
        self._shape = columns["region_shape_attributes"]
        self._region = columns["region_attributes"]
        self._label = label
        self._pass_points = points

    def add(self, picture: Picture, row: list[str], line: int) -> None:
        """Adds a row to its picture; one without a shape says that there is a picture without regions.

        Raises:
            DataError: The row is wrong, its shape has no box around it, or it does not say the class.
        """
        text = row[self._file].strip() if self._file is not None else ""
        if picture.first is None:
            picture.first = text
            picture.attributes = self._parsed(text, "file_attributes", line)
        elif text != picture.first:
            problem = f"the file_attributes of {picture.name} are not those of line {picture.line}"
            raise self.error(problem, f"give all rows of a picture the same, {SKIP}", line)
        shape = self._parsed(row[self._shape], "region_shape_attributes", line)
        if not shape or (self._pass_points and shape.get("name") == POINT):
            return
        attributes = self._parsed(row[self._region], "region_attributes", line)
        try:
            edges = box_around(shape)
        except ValueError as error:
            remedy = "pass over points: ?points=ignore, " if shape.get("name") == POINT else "draw it again, "
            raise self.error(str(error), f"{remedy}{SKIP}", line) from None
        label = self._class_of(attributes, line)
        if shape["name"] in OUTLINES:
            attributes["shape"] = shape
        elif shape["name"] == "polygon":
            attributes["segmentation"] = segmentation(shape)
        picture.edges.append(self.ordered(edges, label, line))
        picture.labels.append(label)
        picture.box_attributes.append(attributes)

    def _class_of(self, attributes: dict[str, Any], line: int) -> str:
        """Takes the class out of a region's attributes."""
        if self._label is None:
            self._label = next((name for name in USUAL if name in attributes), None)
        if self._label is None:
            if len(attributes) != 1:
                there = f" (there are: {', '.join(attributes)})" if attributes else ""
                problem = "none of the region's attributes is called class" if there else "the region has no attributes"
                raise self.error(problem, f"name the one that is the class: ?label=NAME{there}, {SKIP}", line)
            (self._label,) = attributes
        value = attributes.pop(self._label, None)
        if isinstance(value, dict):  # a checkbox: {"fig": true}
            chosen = [name for name, ticked in value.items() if ticked]
            value = chosen[0] if len(chosen) == 1 else value
        if not isinstance(value, str) or not value:
            problem = f"the attribute {self._label!r} of the region is {value!r}, which is no class"
            raise self.error(problem, f"give it one, name another attribute: ?label=NAME, {SKIP}", line)
        for name, number in _NUMBERS.items():
            text = attributes.get(name)
            if isinstance(text, str) and NUMBER.fullmatch(text) and float(text) == number(float(text)):
                attributes[name] = number(float(text))
        return value

    def _parsed(self, text: str, column: str, line: int) -> dict[str, Any]:
        try:
            content = json.loads(text or "{}", parse_constant=_refused)
        except (ValueError, RecursionError) as error:
            raise self.error(f"{column} is no JSON: {error}", f"export it again, {SKIP}", line) from None
        if not isinstance(content, dict):
            raise self.error(f"{column} is no JSON object: {text[:40]}", f"export it again, {SKIP}", line)
        return content


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


class ViaWriter:
    """Writes one row a box as VGG Image Annotator does, and one for a picture without boxes.

    A box whose ``segmentation`` is one polygon, or that has a ``shape``, is written as such where that has the box's
    edges, else as a rectangle; its other attributes are those of the region. ``file_size`` is that of the picture, by
    which the program knows it, and -1 where there is none.

    Args:
        output: The file.
        label_map: Not used; the rows hold names.
        label: The region's attribute that the class is written to.
    """

    def __init__(self, output: Output, label_map: LabelMap | None = None, label: str = "class") -> None:
        self._lines = Lines(output, VIA.header)
        self._label = label

    def write(self, sample: Sample) -> None:
        """Adds the rows of one picture.

        Raises:
            DataError: An attribute is nothing that JSON could hold, or has the name of the class's.
        """
        boxes = sample.boxes
        try:
            start = f"{quoted(sample.image.name)},{_file_size(sample)},{_json(sample.attributes)}"
            rows = [
                f"{start},{len(boxes)},{number},{self._region(*box)}\n"
                for number, box in enumerate(zip(boxes.labels, boxes.edges, boxes.attributes, strict=True))
            ]
        except (ValueError, TypeError, RecursionError) as error:
            raise unfit(sample, error) from None
        self._lines.add(rows or [f'{start},0,0,"{{}}","{{}}"\n'])

    def _region(self, label: str, edges: Edges, attributes: Mapping[str, Any]) -> str:
        if self._label in attributes:
            raise ValueError(f"there is an attribute {self._label!r}: write the class to another by ?label=NAME")
        left = dict(attributes)
        shape = rectangle(edges)
        for name, drawn in (("segmentation", polygon(left.get("segmentation"))), ("shape", left.get("shape"))):
            if isinstance(drawn, dict) and _fits(drawn, edges):
                shape = drawn
                del left[name]
                break
        return f"{_json(shape)},{_json({self._label: label, **left})}"

    def close(self) -> None:
        """Finishes the file."""
        self._lines.close()


def _fits(shape: dict[str, Any], edges: Edges) -> bool:
    try:
        return shape.get("name") in (*OUTLINES, "polygon") and box_around(shape) == edges
    except ValueError:
        return False


def _json(content: Mapping[str, Any]) -> str:
    """An object as JSON without spaces, as a field in quotes."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if repr(json.loads(text)) != repr(dict(content)):
        raise ValueError(f"{', '.join(content)}: not all of these are what JSON could hold")
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
