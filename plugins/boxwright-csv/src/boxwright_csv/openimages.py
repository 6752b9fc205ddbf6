"""Open Images' boxes: ``ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,...``, coordinates from 0 to 1.

The format is defined at https://storage.googleapis.com/openimages/web/download_v7.html#data-formats. ``LabelName`` is a
machine identifier (``/m/011k07``), for which ``class-descriptions-boxable.csv`` has names; ``ImageID`` is the
name of the image without ``.jpg``. The five flags are 1, 0, or -1 if unknown.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from boxwright import Coordinates, DataError, LabelMap, Sample
from boxwright.datasets import Output
from boxwright.images import ImageLookup
from boxwright.storage import IMAGE_SUFFIXES
from boxwright_csv.classes import read_descriptions
from boxwright_csv.dialects import OPENIMAGES
from boxwright_csv.rows import NUMBER, SKIP, ImageRows, Rows, value_of
from boxwright_csv.table import Table
from boxwright_csv.texts import Fields, Lines, quoted, unsupported

FLAGS: Final = {
    "IsOccluded": "occluded",
    "IsTruncated": "truncated",
    "IsGroupOf": "iscrowd",
    "IsDepiction": "is_depiction",
    "IsInside": "is_inside",
}
"""The attribute of each flag's column."""

_CERTAIN = "1"
"""The confidence of boxes that people drew or verified; anything else is a score."""
_NOISE = 1e-9
"""The maximum rounding error of a whole coordinate, in pixels, from division by the image size and multiplication."""


class OpenImagesRows(Rows):
    """Reads the rows of Open Images. Additional columns become box attributes.

    Args:
        names: The class names by identifier; ``None`` to keep the identifiers.
    """

    edge_names = ("XMin", "YMin", "XMax", "YMax")

    def __init__(
        self, table: Table, images: ImageLookup, *, swap: bool = False, names: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(table, images, swap=swap)
        columns = table.columns
        self.name_column = columns["ImageID"]
        self._label = columns["LabelName"]
        self._edges = tuple(columns[name] for name in self.edge_names)
        self._flags = [(attribute, column, columns[column]) for column, attribute in FLAGS.items() if column in columns]
        self._source = columns.get("Source")
        self._score = columns.get("Confidence")
        self._names = names

    def add(self, group: ImageRows, row: list[str], line: int) -> None:
        """Adds a row to its image.

        Raises:
            DataError: The row is invalid, or its class is not in the file of the classes.
        """
        label = row[self._label].strip()
        if not label:
            raise self.error("the LabelName is empty", f"name the class, {SKIP}", line)
        if self._names is not None:
            if label not in self._names:
                raise self.error(
                    f"the class {label!r} is not in the file of the classes", f"add it there, {SKIP}", line
                )
            label = self._names[label]
        group.coordinates.append(self.edges_of([row[column].strip() for column in self._edges], label, line))
        group.labels.append(label)
        group.box_attributes.append(self._attributes(row, label, line))

    def _attributes(self, row: list[str], label: str, line: int) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            name: value_of(row[column]) for name, column in self.table.extra.items() if row[column].strip()
        }
        for attribute, name, column in self._flags:
            text = row[column].strip()
            if text not in ("0", ""):
                attributes[attribute] = self._flag(text, name, label, line)
        if self._source is not None and (source := row[self._source].strip()):
            attributes["source"] = source
        if self._score is not None and (text := row[self._score].strip()) not in ("", _CERTAIN):
            score = float(text) if NUMBER.fullmatch(text) else math.nan
            if not math.isfinite(score):
                raise self.error(f"Confidence is {text!r}, not a finite number", f"correct it, {SKIP}", line, label)
            attributes["score"] = score
        return attributes

    def _flag(self, text: str, name: str, label: str, line: int) -> int:
        if text not in ("1", "-1"):
            problem = f"{name} is {text!r}, not 1, 0 or -1"
            raise self.error(problem, f"correct it, {SKIP}", line, label)
        return int(text)

    def located(self, group: ImageRows) -> tuple[str, str | None]:
        """Returns the name of an image with its suffix and its location, ``None`` if it does not exist.

        Raises:
            DataError: The identifier is empty, leads out of the folder, or matches two images.
        """
        if not group.name or os.path.splitext(group.name)[1].lower() in IMAGE_SUFFIXES:
            return super().located(group)
        with suppress(DataError):
            found, location = super().located(replace(group, name=f"{group.name}.jpg"))
            if location is not None:
                return found, location
        found, location = super().located(group)
        return (found, location) if location is not None else (f"{found}.jpg", None)

    def coordinates(self, group: ImageRows, width: int, height: int) -> list[Coordinates]:
        """Returns the boxes of an image in pixels."""
        return [
            (_pixels(xmin, width), _pixels(ymin, height), _pixels(xmax, width), _pixels(ymax, height))
            for xmin, ymin, xmax, ymax in group.coordinates
        ]


def _pixels(part: float, whole: int) -> float:
    edge = part * whole
    nearest = float(round(edge))
    return nearest if abs(edge - nearest) < _NOISE else edge


class OpenImagesWriter:
    """Writes one row per box, with coordinates relative to the image size, with all digits.

    Args:
        output: The file.
        label_map: Not used; the rows contain names.
        classes: A file like ``class-descriptions-boxable.csv``, to write identifiers instead of class names.
        endings: Whether ``ImageID`` keeps the suffix ``.jpg``, as globox requires.

    Raises:
        DataError: ``classes`` does not exist, or is invalid.
    """

    def __init__(
        self,
        output: Output,
        label_map: LabelMap | None = None,
        classes: str | None = None,
        endings: bool = False,
    ) -> None:
        names = read_descriptions(classes) if classes is not None else None
        self._identifiers = None if names is None else {name: identifier for identifier, name in names.items()}
        self._known = frozenset(names or ())
        self._lines = Lines(output, OPENIMAGES.header)
        self._endings = endings
        self._fields = Fields()
        self._written: dict[str, str] = {}  # ImageID -> image

    def write(self, sample: Sample) -> None:
        """Adds the rows of one image; none if it has no boxes.

        Raises:
            DataError: The image has no suffix or shares its identifier with another, or the format cannot represent a
                class or attribute.
        """
        image, boxes = sample.image, sample.boxes
        if not boxes.labels:
            return
        try:
            identifier = self._identifier(image.name)
            start = quoted(identifier)
            rows = [
                f"{start},{self._row(*box, image.width, image.height)}\n"
                for box in zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True)
            ]
        except ValueError as error:
            raise unsupported(sample, error) from None
        self._written[identifier] = image.name
        self._lines.add(rows)

    def _identifier(self, name: str) -> str:
        stem, suffix = os.path.splitext(name)
        if suffix.lower() not in IMAGE_SUFFIXES:
            raise ValueError(f"the name of the image {name!r} has no known suffix")
        # The name without .jpg must not look like the full name of another image.
        short = suffix == ".jpg" and os.path.splitext(stem)[1].lower() not in IMAGE_SUFFIXES
        identifier = stem if short and not self._endings else name
        if self._written.get(identifier, name) != name:
            raise ValueError(f"the images {self._written[identifier]} and {name} would share an ImageID")
        return identifier

    def _row(self, label: str, coordinates: Coordinates, attributes: Mapping[str, Any], width: int, height: int) -> str:
        xmin, ymin, xmax, ymax = coordinates
        score = attributes.get("score")
        return ",".join(
            (
                self._fields[_text(attributes.get("source", ""))],
                self._fields[self._class(label)],
                _CERTAIN if score is None else _score(score),
                *(_relative(*edge) for edge in ((xmin, width), (xmax, width), (ymin, height), (ymax, height))),
                *(_flag(attributes.get(attribute, 0), attribute) for attribute in FLAGS.values()),
            )
        )

    def _class(self, label: str) -> str:
        if self._identifiers is None:
            return label
        if label not in self._identifiers and label not in self._known:
            raise ValueError(f"the class {label!r} is not in the file of the classes")
        return self._identifiers.get(label, label)

    def close(self) -> None:
        """Finishes the file."""
        self._lines.close()


def _relative(edge: float, whole: int) -> str:
    return repr(edge / whole) if edge else "0"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"source is {value!r}, not text")
    return value


def _score(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"score is {value!r}, not a number")
    return repr(float(value))


def _flag(value: object, attribute: str) -> str:
    if not isinstance(value, int) or value not in (-1, 0, 1):
        raise ValueError(f"{attribute} is {value!r}, not 1, 0 or -1")
    return str(int(value))
