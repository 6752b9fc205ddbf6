"""The rows of a CSV file as images with boxes: the common part of the dialects."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Final

from boxwright import Coordinates, DataError, SwappedCoordinates, check_coordinates
from boxwright.images import ImageLookup, measured_size
from boxwright_csv.table import Table

NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_is_number = NUMBER.fullmatch
SKIP: Final = "or skip the image with --on-error skip"


@dataclass
class ImageRows:
    """The rows of one image that have been read so far; if it is ``broken``, the others are ignored."""

    name: str
    line: int
    width: int = 0
    height: int = 0
    labels: list[str] = field(default_factory=list)
    coordinates: list[Coordinates] = field(default_factory=list)
    box_attributes: list[dict[str, Any]] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    broken: bool = False
    first: Any = None
    """The value that must be the same in all of its rows."""


class Rows(ABC):
    """Reads the rows of one dialect.

    Args:
        table: The file.
        images: The images.
        one_based: Whether pixels are counted from 1 with xmax, ymax inclusive; the coordinates become
            ``(xmin - 1, ymin - 1, xmax, ymax)``.
        swap: Whether coordinates that are in the wrong order are swapped.

    Attributes:
        name_column: The index of the column with the name of the image.
    """

    name_column: int
    edge_names: tuple[str, str, str, str] = ("xmin", "ymin", "xmax", "ymax")

    def __init__(self, table: Table, images: ImageLookup, *, one_based: bool = False, swap: bool = False) -> None:
        self.table = table
        self.images = images
        self.shift = 1 if one_based else 0
        self.swap = swap
        self.swapped = SwappedCoordinates()

    @abstractmethod
    def add(self, group: ImageRows, row: list[str], line: int) -> None:
        """Adds a row to its image.

        Raises:
            DataError: The row is invalid.
        """

    def located(self, group: ImageRows) -> tuple[str, str | None]:
        """Returns the name of an image in the dataset and its location, ``None`` if it does not exist.

        Raises:
            DataError: The name is empty, leads out of the folder, or matches two images.
        """
        if not group.name.strip():
            raise self.error("the file name is empty", f"write the file name of the image, {SKIP}", group.line)
        return self.images.find_written(group.name, self.table.location, f"line {group.line}")

    def size(self, group: ImageRows, name: str, location: str | None) -> tuple[int, int]:
        """Returns the width and height of an image in pixels.

        Raises:
            DataError: The rows do not contain the size, and the image does not exist.
        """
        if group.width and group.height:
            return group.width, group.height
        remedy = "write width and height" if "width" in self.table.dialect.header else ""
        return measured_size(name, location, self.table.location, f"line {group.line}", remedy=remedy)

    def coordinates(self, group: ImageRows, width: int, height: int) -> list[Coordinates]:
        """Returns the boxes of an image in pixels."""
        return group.coordinates

    def edges_of(self, texts: list[str], label: str, line: int) -> Coordinates:
        """Returns four fields as coordinates.

        Raises:
            DataError: One is not a finite number, or they are in the wrong order.
        """
        if all(map(_is_number, texts)):
            xmin, ymin, xmax, ymax = map(float, texts)
            coordinates = (xmin - self.shift, ymin - self.shift, xmax, ymax)
            if not check_coordinates(coordinates):
                return coordinates
        for name, text in zip(self.edge_names, texts, strict=True):
            if not NUMBER.fullmatch(text) or not math.isfinite(float(text)):
                problem = f"{name} is {text!r}, not a finite number" if text else f"{name} is empty"
                raise self.error(problem, f"correct it, {SKIP}", line, label)
        return self.ordered(coordinates, label, line)

    def ordered(self, coordinates: Coordinates, label: str, line: int) -> Coordinates:
        """Returns sorted coordinates.

        Raises:
            DataError: They are in the wrong order, or not finite.
        """
        problem = check_coordinates(coordinates)
        if not problem:
            return coordinates
        if self.swap and not check_coordinates(ordered := self.swapped.sort(coordinates)):
            return ordered
        remedy = f"correct it, swap the coordinates (?inverted=swap), {SKIP}"
        raise self.error(problem, remedy, line, label)

    def error(self, problem: str, remedy: str, line: int, label: str = "") -> DataError:
        """Returns an error for a line of the file."""
        return DataError(self.table.location, problem, remedy, f"line {line}" + (f" ({label})" if label else ""))


def value_of(text: str) -> int | float | str:
    """Returns the value of a field of unknown type: a number if it looks like one."""
    text = text.strip()
    if not NUMBER.fullmatch(text):
        return text
    return int(text) if text.lstrip("+-").isdigit() and len(text) < 20 else float(text)
