"""The rows of a CSV file as pictures with boxes: what the dialects share."""

from __future__ import annotations

import math
import os
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Final

from boxwright import DataError, Edges, check_edges, in_order
from boxwright.images import measured_size, safe_filename, spellings
from boxwright.storage import filesystem, is_remote, join
from boxwright_csv.table import Table

NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_is_number = NUMBER.fullmatch
SKIP: Final = "or leave the picture out with --on-error skip"


@dataclass
class Picture:
    """The rows of one picture as far as they have been read; once ``broken``, the others are not looked at."""

    name: str
    line: int
    width: int = 0
    height: int = 0
    labels: list[str] = field(default_factory=list)
    edges: list[Edges] = field(default_factory=list)
    box_attributes: list[dict[str, Any]] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    broken: bool = False
    first: Any = None
    """What has to be the same in all of its rows."""


class Rows(ABC):
    """Reads the rows of one dialect.

    Args:
        table: The file.
        folder: Where the pictures are, a path or a URL.
        one_based: Whether the edges count pixels from 1 with xmax, ymax included; they become
            ``(xmin - 1, ymin - 1, xmax, ymax)``.
        swap: Whether edges that stand in the wrong order are exchanged.

    Attributes:
        name_column: Where the picture's name stands.
    """

    name_column: int
    edge_names: tuple[str, str, str, str] = ("xmin", "ymin", "xmax", "ymax")

    def __init__(self, table: Table, folder: str, *, one_based: bool = False, swap: bool = False) -> None:
        self.table = table
        self.folder = folder
        self.shift = 1 if one_based else 0
        self.swap = swap
        self._remote: tuple[Any, str] | None = None

    @abstractmethod
    def add(self, picture: Picture, row: list[str], line: int) -> None:
        """Adds a row to its picture.

        Raises:
            DataError: The row is wrong.
        """

    def located(self, picture: Picture) -> tuple[str, str | None]:
        """A picture's name in the dataset, and where it is; ``None`` where it is not there.

        Raises:
            DataError: The name is empty, or leads out of the folder.
        """
        name = self.safe_name(picture.name, picture.line)
        if self.is_there(name):
            return name, join(self.folder, name)
        other = next(filter(self.is_there, spellings(name)), None)
        return name, join(self.folder, other) if other is not None else None

    def size(self, picture: Picture, name: str, location: str | None) -> tuple[int, int]:
        """A picture's width and height in pixels.

        Raises:
            DataError: The rows do not say it, and the picture is not there to be measured.
        """
        if picture.width and picture.height:
            return picture.width, picture.height
        remedy = "write width and height" if "width" in self.table.dialect.header else ""
        return measured_size(name, location, self.table.location, f"line {picture.line}", remedy=remedy)

    def edges(self, picture: Picture, width: int, height: int) -> list[Edges]:
        """A picture's boxes in pixels."""
        return picture.edges

    def edges_of(self, texts: list[str], label: str, line: int) -> Edges:
        """Four fields as edges.

        Raises:
            DataError: One is no finite number, or they stand in the wrong order.
        """
        if all(map(_is_number, texts)):
            xmin, ymin, xmax, ymax = map(float, texts)
            edges = (xmin - self.shift, ymin - self.shift, xmax, ymax)
            if not check_edges(edges):
                return edges
        for name, text in zip(self.edge_names, texts, strict=True):
            if not NUMBER.fullmatch(text) or not math.isfinite(float(text)):
                problem = f"{name} is {text!r}, which is no finite number" if text else f"{name} is empty"
                raise self.error(problem, f"correct it, {SKIP}", line, label)
        return self.ordered(edges, label, line)

    def ordered(self, edges: Edges, label: str, line: int) -> Edges:
        """Edges in their order.

        Raises:
            DataError: They are not, or not finite.
        """
        disorder = check_edges(edges)
        if not disorder:
            return edges
        if not self.swap or not all(map(math.isfinite, edges)):
            remedy = f"correct it, let edges in the wrong order be exchanged (?inverted=swap), {SKIP}"
            raise self.error(disorder, remedy, line, label)
        return in_order(edges)

    def safe_name(self, name: str, line: int) -> str:
        """A picture's name with ``/`` between folders.

        Raises:
            DataError: It is empty, or leads out of the folder.
        """
        safe = safe_filename(name, self.table.location, f"line {line}", is_there=self.is_there)
        if not safe:
            raise self.error("the file name is empty", f"write the picture's plain file name, {SKIP}", line)
        return safe

    def is_there(self, name: str) -> bool:
        """Whether there is such a file in the folder of the pictures."""
        if not is_remote(self.folder):
            return os.path.isfile(join(self.folder, name))
        if self._remote is None:
            self._remote = filesystem(self.folder)
        files, root = self._remote
        return bool(files.isfile(join(root, name)))

    def error(self, problem: str, remedy: str, line: int, label: str = "") -> DataError:
        """An error in a line of the file."""
        return DataError(self.table.location, problem, remedy, f"line {line}" + (f" ({label})" if label else ""))


def value_of(text: str) -> int | float | str:
    """A field that a plugin knows nothing of: a number where it looks like one."""
    text = text.strip()
    if not NUMBER.fullmatch(text):
        return text
    return int(text) if text.lstrip("+-").isdigit() and len(text) < 20 else float(text)
