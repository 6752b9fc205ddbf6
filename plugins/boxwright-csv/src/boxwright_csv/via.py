"""VGG Image Annotator's CSV: one row per region, with shape and attributes as JSON, in the format of version 2.

``filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes``; see
:mod:`.shapes` for the shapes. The user who defined the attributes decides which one is the class.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from boxwright import Coordinates, LabelMap, Sample, UsageError
from boxwright.datasets import ItemError, Output
from boxwright.images import ImageLookup
from boxwright_csv.dialects import VIA
from boxwright_csv.regions import Regions, checked, file_size, region_of
from boxwright_csv.rows import SKIP, ImageRows, Rows
from boxwright_csv.table import Table
from boxwright_csv.texts import Lines, quoted, unsupported
from boxwright_csv.via_json import ViaJsonWriter


class ViaRows(Rows):
    """Reads the rows of VGG Image Annotator.

    Args:
        regions: Makes boxes of regions.
    """

    def __init__(self, table: Table, images: ImageLookup, regions: Regions, *, swap: bool = False) -> None:
        super().__init__(table, images, swap=swap)
        columns = table.columns
        self.name_column = columns["filename"]
        self._file = columns.get("file_attributes")
        self._shape = columns["region_shape_attributes"]
        self._region = columns["region_attributes"]
        self._regions = regions

    def add(self, group: ImageRows, row: list[str], line: int) -> None:
        """Adds a row to its image; a row without a shape is an image without regions.

        Raises:
            DataError: The row is invalid, its shape is refused, or it has no class.
        """
        text = row[self._file].strip() if self._file is not None else ""
        if group.first is None:
            group.first = text
            group.attributes = self._parsed(text, "file_attributes", line)
        elif text != group.first:
            problem = f"the file_attributes of {group.name} differ from line {group.line}"
            raise self.error(problem, f"write the same in all rows of an image, {SKIP}", line)
        shape = self._parsed(row[self._shape], "region_shape_attributes", line)
        if not shape:
            return
        try:
            found = self._regions(shape, self._parsed(row[self._region], "region_attributes", line))
        except ItemError as error:
            raise self.error(error.problem, f"{error.remedy}, {SKIP}", line) from None
        if found is not None:
            label, coordinates, attributes = found
            group.coordinates.append(self.ordered(coordinates, label, line))
            group.labels.append(label)
            group.box_attributes.append(attributes)

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
            start = f"{quoted(sample.image.name)},{file_size(sample)},{_json(sample.attributes)}"
            rows = [
                f"{start},{len(boxes)},{number},{self._region(*box)}\n"
                for number, box in enumerate(zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True))
            ]
        except (ValueError, TypeError, RecursionError) as error:
            raise unsupported(sample, error) from None
        self._lines.add(rows or [f'{start},0,0,"{{}}","{{}}"\n'])

    def _region(self, label: str, coordinates: Coordinates, attributes: Mapping[str, Any]) -> str:
        shape, of_region = region_of(label, coordinates, attributes, self._label)
        return f"{_json(shape)},{_json(of_region)}"

    def close(self) -> None:
        """Finishes the file."""
        self._lines.close()


def _json(content: Mapping[str, Any]) -> str:
    """Returns an object as JSON, as a field in quotes."""
    return '"' + checked(content).replace('"', '""') + '"'


def via_writer(
    output: Output, label_map: LabelMap | None = None, label: str = "class", project: bool = False
) -> ViaWriter | ViaJsonWriter:
    """Returns the writer of CSV, or of JSON for a target that ends in ``.json``.

    Raises:
        UsageError: A project in CSV.
    """
    if output.location.lower().endswith(".json"):
        return ViaJsonWriter(output, label_map, label, project)
    if project:
        raise UsageError(f"{output.location}: a project is JSON", "write via:NAME.json?project=true")
    return ViaWriter(output, label_map, label)
