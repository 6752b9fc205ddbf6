"""Reads CSV files with one row per box, of any dialect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from boxwright import Boxes, DataError, DatasetInfo, ImageRef, LabelMap, Sample, UsageError, find_label_map
from boxwright.datasets import Names, OnProblem, Reader, ShapeRule
from boxwright.images import lookup_of_file
from boxwright.storage import parent
from boxwright_csv.classes import class_numbers, read_descriptions
from boxwright_csv.dialects import DIALECTS, OPENIMAGES, RETINANET, TUTORIAL, VIA, Dialect
from boxwright_csv.rows import SKIP, ImageRows, Rows
from boxwright_csv.table import Table
from boxwright_csv.tutorial import TutorialRows

_SOME = 20


class TableReader:
    """Reads one sample per image, in the order of the rows.

    An image is skipped as a whole if one of its rows is invalid, so that no image has only some of its boxes.

    Args:
        location: A path, or a URL that fsspec opens.
        images: The folder of the images, if it is not that of the CSV file; a path or a URL.
        label_map: A label map file; the default is ``label_map.pbtxt`` next to the CSV file, if it exists.
        one_based: Whether pixels are counted from 1 with xmax, ymax inclusive, as in the PASCAL VOC development
            kit; the coordinates become ``(xmin - 1, ymin - 1, xmax, ymax)``.
        inverted: ``"error"``, or ``"swap"`` to swap coordinates that are in the wrong order.
        grouped: Whether the rows of each image are consecutive, so that memory does not grow with the file; if false,
            all rows are read before the first sample.
        dialect: ``"tutorial"``, ``"openimages"``, ``"retinanet"`` or ``"via"``; ``"auto"`` detects it.
        classes: The file of the classes: Open Images' ``class-descriptions-boxable.csv``, which defines their names,
            or keras-retinanet's class mapping, which defines their numbers.
        label: The attribute of a region that contains its class, in files of VGG Image Annotator.
        shapes: What happens to shapes in them that are not upright boxes: ``"box"``, ``"skip"`` or ``"fail"``.

    Attributes:
        swapped: Counts the boxes whose coordinates were swapped.

    Raises:
        DataError: The file does not exist, its first line does not match a dialect, or the label map or the file of
            the classes is invalid.
        UsageError: An option that the dialect does not have.
    """

    format = TUTORIAL.name
    dialects: Sequence[Dialect] = DIALECTS

    def __init__(
        self,
        location: str,
        images: str | None = None,
        label_map: str | None = None,
        one_based: bool = False,
        inverted: str = "error",
        grouped: bool = True,
        dialect: str = "auto",
        classes: str | None = None,
        label: str | None = None,
        shapes: str = "box",
    ) -> None:
        wanted = [each for each in self.dialects if dialect in ("auto", _short(each))]
        table = Table(location, wanted)
        given = {"one_based": one_based, "classes": classes, "label": label, "shapes": shapes != "box"}
        _check_options(table.dialect, [name for name, value in given.items() if value], location)
        self._rule = ShapeRule(shapes)
        self._location = location
        self._grouped = grouped
        column = table.columns[table.dialect.header[0]]
        first = (
            [row[column] for _, row in islice(table.rows(), _SOME) if isinstance(row, list)] if images is None else []
        )
        lookup = lookup_of_file(location, images, list(dict.fromkeys(first)), uri=f"{self.format}:{location}")
        numbers, _ = find_label_map(label_map, parent(location))
        swap = inverted == "swap"
        match table.dialect.name:  # imports only the module of the dialect
            case OPENIMAGES.name:
                from boxwright_csv.openimages import OpenImagesRows

                names = read_descriptions(classes) if classes is not None else None
                self._rows: Rows = OpenImagesRows(table, lookup, swap=swap, names=names)
                if names is not None and numbers is None:
                    numbers = LabelMap.from_names(names.values(), sort=False)
            case RETINANET.name:
                from boxwright_csv.retinanet import RetinaNetRows

                self._rows = RetinaNetRows(table, lookup, one_based=one_based, swap=swap)
                if numbers is None or classes is not None:
                    numbers = class_numbers(classes, location)
            case VIA.name:
                from boxwright_csv.regions import Regions
                from boxwright_csv.via import ViaRows

                self._rows = ViaRows(table, lookup, Regions(self._rule, label), swap=swap)
            case _:
                self._rows = TutorialRows(table, lookup, one_based=one_based, swap=swap)
        self.swapped = self._rows.swapped
        self.info = DatasetInfo(format=self.format, location=location, label_map=numbers, notes=lookup.notes)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        for group in self._consecutive(on_problem) if self._grouped else self._collected(on_problem):
            if not group.broken:
                try:
                    sample = self._sample(group)
                except DataError as error:
                    on_problem(error)
                    continue
                yield sample

    def _consecutive(self, on_problem: OnProblem) -> Iterator[ImageRows]:
        current: ImageRows | None = None
        finished = Names()
        column, add = self._rows.name_column, self._rows.add
        for line, row in self._lines(on_problem):
            name = row[column]
            if current is None or name != current.name:
                if current is not None:
                    finished.add(current.name)
                    yield current
                current = ImageRows(name, line)
                if name in finished:
                    current.broken = True
                    on_problem(
                        self._rows.error(
                            f"the rows of {name} are not consecutive",
                            f"sort the file by {self._rows.table.dialect.header[0]}, or read the whole file first:"
                            " ?grouped=false",
                            line,
                        )
                    )
            if not current.broken:
                try:
                    add(current, row, line)
                except DataError as error:
                    current.broken = True
                    on_problem(error)
        if current is not None:
            yield current

    def _collected(self, on_problem: OnProblem) -> Iterable[ImageRows]:
        groups: dict[str, ImageRows] = {}
        for line, row in self._lines(on_problem):
            name = row[self._rows.name_column]
            group = groups.setdefault(name, ImageRows(name, line))
            if not group.broken:
                try:
                    self._rows.add(group, row, line)
                except DataError as error:
                    group.broken = True
                    on_problem(error)
        return groups.values()

    def _lines(self, on_problem: OnProblem) -> Iterator[tuple[int, list[str]]]:
        for line, row in self._rows.table.rows():
            if isinstance(row, DataError):
                on_problem(row)
            else:
                yield line, row

    def _sample(self, group: ImageRows) -> Sample:
        rows = self._rows
        name, location = rows.located(group)
        width, height = rows.size(group, name, location)
        image = ImageRef(name=name, width=width, height=height, location=location)
        coordinates = rows.coordinates(group, width, height)
        try:
            boxes = Boxes(group.labels, coordinates, group.box_attributes or None)
        except ValueError as error:  # relative coordinates, multiplied by the size
            raise rows.error(str(error), f"correct it, {SKIP}", group.line) from None
        source = f"{self._location}, line {group.line}"
        return Sample(image=image, boxes=boxes, attributes=group.attributes, source=source)


class CsvReader(TableReader):
    """Reads every dialect; see :class:`TableReader`."""

    @property
    def shapes(self) -> ShapeRule:
        """The rule for shapes."""
        return self._rule


class OpenImagesReader(TableReader):
    """Reads Open Images' columns; see :class:`TableReader`."""

    format = OPENIMAGES.name
    dialects = (OPENIMAGES,)


class RetinaNetReader(TableReader):
    """Reads keras-retinanet's columns; see :class:`TableReader`."""

    format = RETINANET.name
    dialects = (RETINANET,)


class ViaReader(CsvReader):
    """Reads VGG Image Annotator's columns; see :class:`TableReader`."""

    format = VIA.name
    dialects = (VIA,)


def via_reader(location: str, **options: Any) -> Reader:
    """Returns the reader of a file in either form.

    Raises:
        DataError: As the readers.
        UsageError: An option of the other form.
    """
    from boxwright_csv.via_json import ViaJsonReader, is_json

    if not is_json(location):
        return ViaReader(location, **options)
    if "grouped" in options:
        raise UsageError(f"{location} is JSON, which has no option 'grouped'", "remove it")
    return ViaJsonReader(location, **options)


_OPTIONS = {
    TUTORIAL.name: ("one_based",),
    OPENIMAGES.name: ("classes",),
    RETINANET.name: ("one_based", "classes"),
    VIA.name: ("label", "shapes"),
}
"""The options that only some dialects have."""


def _check_options(dialect: Dialect, given: Sequence[str], location: str) -> None:
    for name in given:
        if name not in _OPTIONS[dialect.name]:
            raise UsageError(
                f"{location} has {dialect.title} columns, which have no option {name!r}",
                f"remove it; their options are {', '.join(_OPTIONS[dialect.name])}",
            )


def _short(dialect: Dialect) -> str:
    return "tutorial" if dialect is TUTORIAL else dialect.name
