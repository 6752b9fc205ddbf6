"""Reads a CSV with one row a box, of any dialect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from boxwright import Boxes, DataError, DatasetInfo, ImageRef, LabelMap, Sample, UsageError, find_label_map
from boxwright.datasets import OnProblem
from boxwright.storage import parent
from boxwright_csv.classes import class_numbers, read_descriptions
from boxwright_csv.dialects import DIALECTS, OPENIMAGES, RETINANET, TUTORIAL, VIA, Dialect
from boxwright_csv.rows import Picture, Rows
from boxwright_csv.table import Table
from boxwright_csv.tutorial import TutorialRows


class CsvReader:
    """One sample a picture, in the order of the rows.

    A picture is left out whole when one of its rows is wrong, so that none comes with only some of its boxes.

    Args:
        location: A path, or a URL that fsspec opens.
        images: The folder of the pictures, where it is not the CSV's own; a path or a URL.
        label_map: A label map file; without it, ``label_map.pbtxt`` beside the CSV if that is there.
        one_based: Whether the edges count pixels from 1 with xmax, ymax included, as in the PASCAL VOC development
            kit; they become ``(xmin - 1, ymin - 1, xmax, ymax)``.
        inverted: ``"error"``, or ``"swap"`` to exchange edges that stand in the wrong order.
        grouped: Whether each picture's rows stand together, so that memory does not grow with the file; with false,
            all rows are read before the first sample comes.
        dialect: ``"tutorial"``, ``"openimages"``, ``"retinanet"`` or ``"via"``; ``"auto"`` goes by the first line.
        classes: The file of the classes: Open Images' ``class-descriptions-boxable.csv``, which gives them their names,
            or keras-retinanet's class mapping, which gives them their numbers.
        label: The attribute of a region that is its class, in VGG Image Annotator's files.
        points: ``"error"``, or ``"ignore"`` to pass over points in them.

    Raises:
        DataError: There is no such file, its first line is that of no dialect, or the label map or the file of the
            classes is wrong.
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
        points: str = "error",
    ) -> None:
        wanted = [each for each in self.dialects if dialect in ("auto", _short(each))]
        table = Table(location, wanted)
        given = {"one_based": one_based, "classes": classes, "label": label, "points": points != "error"}
        _refuse_foreign(table.dialect, [name for name, value in given.items() if value], location)
        self._location = location
        self._grouped = grouped
        folder = images if images is not None else parent(location)
        numbers, _ = find_label_map(label_map, parent(location))
        swap = inverted == "swap"
        match table.dialect.name:  # one dialect a file: the others' modules are not loaded
            case OPENIMAGES.name:
                from boxwright_csv.openimages import OpenImagesRows

                names = read_descriptions(classes) if classes is not None else None
                self._rows: Rows = OpenImagesRows(table, folder, swap=swap, names=names)
                if names is not None and numbers is None:
                    numbers = LabelMap.from_names(names.values(), sort=False)
            case RETINANET.name:
                from boxwright_csv.retinanet import RetinaNetRows

                self._rows = RetinaNetRows(table, folder, one_based=one_based, swap=swap)
                if numbers is None or classes is not None:
                    numbers = class_numbers(classes, location)
            case VIA.name:
                from boxwright_csv.via import ViaRows

                self._rows = ViaRows(table, folder, swap=swap, label=label, points=points == "ignore")
            case _:
                self._rows = TutorialRows(table, folder, one_based=one_based, swap=swap)
        self.info = DatasetInfo(format=self.format, location=location, label_map=numbers)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        for picture in self._in_order(on_problem) if self._grouped else self._collected(on_problem):
            if not picture.broken:
                try:
                    sample = self._sample(picture)
                except DataError as error:
                    on_problem(error)
                    continue
                yield sample

    def _in_order(self, on_problem: OnProblem) -> Iterator[Picture]:
        current: Picture | None = None
        finished: set[str] = set()
        column, add = self._rows.name_column, self._rows.add
        for line, row in self._lines(on_problem):
            name = row[column]
            if current is None or name != current.name:
                if current is not None:
                    finished.add(current.name)
                    yield current
                current = Picture(name, line)
                if name in finished:
                    current.broken = True
                    on_problem(
                        self._rows.error(
                            f"the rows of {name} do not stand together: it came before",
                            f"sort the file by {self._rows.table.dialect.header[0]}, or read it all at once:"
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

    def _collected(self, on_problem: OnProblem) -> Iterable[Picture]:
        pictures: dict[str, Picture] = {}
        for line, row in self._lines(on_problem):
            name = row[self._rows.name_column]
            picture = pictures.setdefault(name, Picture(name, line))
            if not picture.broken:
                try:
                    self._rows.add(picture, row, line)
                except DataError as error:
                    picture.broken = True
                    on_problem(error)
        return pictures.values()

    def _lines(self, on_problem: OnProblem) -> Iterator[tuple[int, list[str]]]:
        for line, row in self._rows.table.rows():
            if isinstance(row, DataError):
                on_problem(row)
            else:
                yield line, row

    def _sample(self, picture: Picture) -> Sample:
        rows = self._rows
        name, location = rows.located(picture)
        width, height = rows.size(picture, name, location)
        image = ImageRef(name=name, width=width, height=height, location=location)
        edges = rows.edges(picture, width, height)
        boxes = Boxes(picture.labels, edges, picture.box_attributes or None)
        source = f"{self._location}, line {picture.line}"
        return Sample(image=image, boxes=boxes, attributes=picture.attributes, source=source)


class OpenImagesReader(CsvReader):
    """Reads Open Images' columns; see :class:`CsvReader`."""

    format = OPENIMAGES.name
    dialects = (OPENIMAGES,)


class RetinaNetReader(CsvReader):
    """Reads keras-retinanet's columns; see :class:`CsvReader`."""

    format = RETINANET.name
    dialects = (RETINANET,)


class ViaReader(CsvReader):
    """Reads VGG Image Annotator's columns; see :class:`CsvReader`."""

    format = VIA.name
    dialects = (VIA,)


_OPTIONS = {
    TUTORIAL.name: ("one_based",),
    OPENIMAGES.name: ("classes",),
    RETINANET.name: ("one_based", "classes"),
    VIA.name: ("label", "points"),
}
"""The options that not every dialect has."""


def _refuse_foreign(dialect: Dialect, given: Sequence[str], location: str) -> None:
    for name in given:
        if name not in _OPTIONS[dialect.name]:
            raise UsageError(
                f"{location} has {dialect.title} columns, for which there is no option {name!r}",
                f"leave it out; of such options it takes {', '.join(_OPTIONS[dialect.name])}",
            )


def _short(dialect: Dialect) -> str:
    return "tutorial" if dialect is TUTORIAL else dialect.name
