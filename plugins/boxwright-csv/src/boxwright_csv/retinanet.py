"""keras-retinanet's CSV: ``path,x1,y1,x2,y2,class_name`` without a header, and a file ``class_name,id``.

The format is defined in the README of https://github.com/fizyr/keras-retinanet, section "CSV datasets". Its reader
(``preprocessing/csv_generator.py``) accepts only whole pixels, counted from 0, and rejects boxes with zero area.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace

from boxwright import Coordinates, DataError, LabelMap, Sample
from boxwright.datasets import Output
from boxwright.images import ImageLookup
from boxwright.storage import is_remote, join
from boxwright_csv.classes import class_mapping_path
from boxwright_csv.rows import SKIP, ImageRows, Rows
from boxwright_csv.table import Table
from boxwright_csv.texts import Fields, Lines, quoted, unsupported


class RetinaNetRows(Rows):
    """Reads the rows of keras-retinanet."""

    edge_names = ("x1", "y1", "x2", "y2")

    def __init__(self, table: Table, images: ImageLookup, *, one_based: bool = False, swap: bool = False) -> None:
        super().__init__(table, images, one_based=one_based, swap=swap)
        columns = table.columns
        self.name_column = columns["path"]
        self._label = columns["class_name"]
        self._edges = tuple(columns[name] for name in self.edge_names)

    def add(self, group: ImageRows, row: list[str], line: int) -> None:
        """Adds a row to its image; a row with only the path is an image without boxes.

        Raises:
            DataError: The row is invalid.
        """
        label = row[self._label].strip()
        texts = [row[column].strip() for column in self._edges]
        if not label:
            if not any(texts):
                return
            raise self.error("the class is empty", f"name it, {SKIP}", line)
        group.coordinates.append(self.edges_of(texts, label, line))
        group.labels.append(label)

    def located(self, group: ImageRows) -> tuple[str, str | None]:
        """Returns the name and the location of an image.

        A path from the CSV file into the folder of the images is used from there on.

        Raises:
            DataError: The name is empty, or leads out of the folder.
        """
        name, folder = group.name, self.images.location
        if not name or is_remote(folder):
            return super().located(group)
        path = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(self.table.location)), name))
        inside = os.path.join(os.path.abspath(folder), "")
        if path.startswith(inside):
            return super().located(replace(group, name=path.removeprefix(inside)))
        try:
            return super().located(group)
        except DataError:
            if not (os.path.isabs(name) or ".." in name.split("/")):
                raise
            raise self.error(
                f"the path {name} leads out of the folder of the images, {folder}",
                f"pass the folder that it leads into: ?images={os.path.dirname(path)}",
                group.line,
            ) from None


class RetinaNetWriter:
    """Writes one row per box in whole pixels, one without coordinates for an image without boxes, and the classes.

    Coordinates are rounded to the nearest pixel; a box that would have zero area covers the pixels that it touches.

    Args:
        output: The file; ``NAME_classes.csv`` is written next to ``NAME.csv``, with the classes numbered from 0.
        label_map: The classes.
        folder: The prefix of the image names, which keras-retinanet resolves relative to the CSV file.
        one_based: Writes ``(x1 + 1, y1 + 1, x2, y2)``.
    """

    def __init__(
        self, output: Output, label_map: LabelMap | None = None, folder: str = "", one_based: bool = False
    ) -> None:
        self._lines = Lines(output)
        self._folder = folder
        self._shift = 1 if one_based else 0
        self._fields = Fields()
        self._classes = label_map.names if label_map is not None else ()
        self._output = output

    def write(self, sample: Sample) -> None:
        """Adds the rows of one image.

        Raises:
            DataError: A box has zero area, or a name cannot be written.
        """
        image, boxes = sample.image, sample.boxes
        try:
            start = quoted(join(self._folder, image.name))
            rows = [
                f"{start},{','.join(map(str, self._whole(coordinates)))},{self._fields[label]}\n"
                for label, coordinates in zip(boxes.labels, boxes.coordinates, strict=True)
            ]
        except ValueError as error:
            raise unsupported(sample, error) from None
        self._lines.add(rows or [f"{start},,,,,\n"])

    def _whole(self, coordinates: Coordinates) -> tuple[int, int, int, int]:
        xmin, ymin, xmax, ymax = coordinates
        (x1, x2), (y1, y2) = _whole(xmin, xmax), _whole(ymin, ymax)
        if x1 == x2 or y1 == y2:
            raise ValueError(f"the box {coordinates} has zero area, which keras-retinanet rejects")
        return x1 + self._shift, y1 + self._shift, x2, y2

    def close(self) -> None:
        """Finishes both files."""
        self._lines.close()
        with self._output.open(class_mapping_path(os.path.basename(self._output.location))) as file:
            lines = [f"{quoted(name)},{number}\n" for number, name in enumerate(self._classes)]
            file.write("".join(lines).encode())


def _whole(low: float, high: float) -> tuple[int, int]:
    first, last = round(low), round(high)
    return (math.floor(low), math.ceil(high)) if first == last and low != high else (first, last)
