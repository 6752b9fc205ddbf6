"""Reads a CSV with one row a box."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from boxwright.errors import DataError
from boxwright.pbtxt import find_label_map
from boxwright.pictures import measured_size, safe_filename
from boxwright.protocols import OnProblem
from boxwright.schemas import Boxes, DatasetInfo, Edges, ImageRef, Sample, check_edges
from boxwright.uri import is_remote, join
from boxwright_csv.table import Table

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_SKIP = "or leave the picture out with --on-error skip"


@dataclass
class _Picture:
    """The rows of one picture as far as they have been read; once ``broken``, the others are not looked at."""

    name: str
    line: int
    width: int = 0
    height: int = 0
    labels: list[str] = field(default_factory=list)
    edges: list[Edges] = field(default_factory=list)
    attributes: list[dict[str, Any]] = field(default_factory=list)
    broken: bool = False
    size: list[str] | None = None


class CsvReader:
    """One sample a picture, in the order of the rows.

    A picture is left out whole when one of its rows is wrong, so that none comes with only some of its boxes. A row
    with a file name and neither class nor edges is a picture without boxes. Columns that the format does not know
    become attributes of the box.

    Args:
        location: A path, or a URL that fsspec opens.
        images: The folder of the pictures, where it is not the CSV's own; a path or a URL.
        label_map: A label map file; without it, ``label_map.pbtxt`` beside the CSV if that is there.
        one_based: Whether the edges count pixels from 1 with xmax, ymax included, as in the PASCAL VOC development
            kit; they become ``(xmin - 1, ymin - 1, xmax, ymax)``.
        inverted: ``"error"``, or ``"swap"`` to exchange edges that stand in the wrong order.
        grouped: Whether each picture's rows stand together, so that memory does not grow with the file; with false,
            all rows are read before the first sample comes.

    Raises:
        DataError: There is no such file, or its header lacks a column, or the label map is wrong.
    """

    def __init__(
        self,
        location: str,
        images: str | None = None,
        label_map: str | None = None,
        one_based: bool = False,
        inverted: str = "error",
        grouped: bool = True,
    ) -> None:
        self._table = Table(location)
        self._folder = images if images is not None else _folder_of(location)
        self._shift = 1 if one_based else 0
        self._swap = inverted == "swap"
        self._grouped = grouped
        self._location = location
        columns = self._table.columns
        self._edge_columns = tuple(columns[name] for name in _EDGES)
        self._remote: Any = None
        classes, _ = find_label_map(label_map, _folder_of(location))
        self.info = DatasetInfo(format="csv", location=location, label_map=classes)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.protocols.Reader`."""
        pictures = self._in_order(on_problem) if self._grouped else self._collected(on_problem)
        for picture in pictures:
            if not picture.broken:
                try:
                    sample = self._sample(picture)
                except DataError as error:
                    on_problem(error)
                    continue
                yield sample

    def _in_order(self, on_problem: OnProblem) -> Iterator[_Picture]:
        current: _Picture | None = None
        finished: set[str] = set()
        for line, row in self._rows(on_problem):
            name = row[self._table.columns["filename"]]
            if current is None or name != current.name:
                if current is not None:
                    finished.add(current.name)
                    yield current
                current = _Picture(name, line)
                if name in finished:
                    current.broken = True
                    on_problem(
                        self._error(
                            f"the rows of {name} do not stand together: it came before",
                            "sort the file by filename, or read it all at once: ?grouped=false",
                            line,
                        )
                    )
            self._add(current, row, line, on_problem)
        if current is not None:
            yield current

    def _collected(self, on_problem: OnProblem) -> Iterable[_Picture]:
        pictures: dict[str, _Picture] = {}
        for line, row in self._rows(on_problem):
            name = row[self._table.columns["filename"]]
            self._add(pictures.setdefault(name, _Picture(name, line)), row, line, on_problem)
        return pictures.values()

    def _rows(self, on_problem: OnProblem) -> Iterator[tuple[int, list[str]]]:
        for line, row in self._table.rows():
            if isinstance(row, DataError):
                on_problem(row)
            else:
                yield line, row

    def _add(self, picture: _Picture, row: list[str], line: int, on_problem: OnProblem) -> None:
        if picture.broken:
            return
        columns = self._table.columns
        try:
            size = [row[columns[name]].strip() if name in columns else "" for name in ("width", "height")]
            if picture.size is None:
                picture.size = size
                picture.width, picture.height = (
                    self._length(text, name, line) for text, name in zip(size, ("width", "height"), strict=True)
                )
            elif size != picture.size:
                raise self._error(
                    f"{picture.name} is {' x '.join(size)} here and {' x '.join(picture.size)} in line {picture.line}",
                    f"give all rows of a picture the same size, {_SKIP}",
                    line,
                )
            label = row[columns["class"]].strip()
            texts = [row[column].strip() for column in self._edge_columns]
            if not label and not any(texts):
                return
            if not label:
                raise self._error("the class is empty", f"name it, {_SKIP}", line)
            edges = self._edges(texts, label, line)
        except DataError as error:
            picture.broken = True
            on_problem(error)
            return
        picture.labels.append(label)
        picture.edges.append(edges)
        picture.attributes.append(
            {name: _value(row[column]) for name, column in self._table.extra.items() if row[column].strip()}
        )

    def _length(self, text: str, name: str, line: int) -> int:
        if not text:
            return 0
        value = float(text) if _NUMBER.fullmatch(text) else -1.0
        if not 0 <= value < 1e9 or value % 1:
            raise self._error(f"{name} is {text!r}, which is no number of pixels", f"correct it, {_SKIP}", line)
        return int(value)

    def _edges(self, texts: list[str], label: str, line: int) -> Edges:
        values = []
        for name, text in zip(_EDGES, texts, strict=True):
            value = float(text) if _NUMBER.fullmatch(text) else math.nan
            if not math.isfinite(value):
                problem = f"{name} is {text!r}, which is no finite number" if text else f"{name} is empty"
                raise self._error(problem, f"correct it, {_SKIP}", line, label)
            values.append(value)
        xmin, ymin, xmax, ymax = values
        edges = (xmin - self._shift, ymin - self._shift, xmax, ymax)
        disorder = check_edges(edges)
        if disorder:
            if not self._swap:
                remedy = f"correct it, let edges in the wrong order be exchanged (?inverted=swap), {_SKIP}"
                raise self._error(disorder, remedy, line, label)
            xmin, ymin, xmax, ymax = edges
            edges = (min(xmin, xmax), min(ymin, ymax), max(xmin, xmax), max(ymin, ymax))
        return edges

    def _sample(self, picture: _Picture) -> Sample:
        source = f"{self._location}, line {picture.line}"
        name = self._safe(picture)
        location = self._found(name)
        width, height = picture.width, picture.height
        if not width or not height:
            width, height = measured_size(
                name, location, self._location, f"line {picture.line}", remedy="write width and height"
            )
        image = ImageRef(name=name, width=width, height=height, location=location)
        return Sample(image=image, boxes=Boxes(picture.labels, picture.edges, picture.attributes), source=source)

    def _safe(self, picture: _Picture) -> str:
        name = safe_filename(picture.name, self._location, f"line {picture.line}")
        if not name:
            raise self._error("the file name is empty", f"write the picture's plain file name, {_SKIP}", picture.line)
        return name

    def _found(self, name: str) -> str | None:
        place = join(self._folder, name)
        if not is_remote(place):
            return place if os.path.isfile(place) else None
        if self._remote is None:
            import fsspec

            self._remote = fsspec.core.url_to_fs(self._folder)[0]
        return place if self._remote.isfile(place) else None

    def _error(self, problem: str, remedy: str, line: int, label: str = "") -> DataError:
        return DataError(self._location, problem, remedy, f"line {line}" + (f" ({label})" if label else ""))


def _folder_of(location: str) -> str:
    return location.rpartition("/")[0] if is_remote(location) else os.path.dirname(location) or "."


def _value(text: str) -> int | float | str:
    """A field that a plugin knows nothing of: a number where it looks like one."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return text
    return int(text) if text.lstrip("+-").isdigit() and len(text) < 20 else float(text)
