"""The rows of the TensorFlow tutorials' CSV: ``filename,width,height,class,xmin,ymin,xmax,ymax``."""

from __future__ import annotations

from boxwright.images import ImageLookup
from boxwright_csv.rows import NUMBER, SKIP, ImageRows, Rows, value_of
from boxwright_csv.table import Table

_SIZE = ("width", "height")


class TutorialRows(Rows):
    """Reads the rows of the tutorials. Additional columns become box attributes."""

    def __init__(self, table: Table, images: ImageLookup, *, one_based: bool = False, swap: bool = False) -> None:
        super().__init__(table, images, one_based=one_based, swap=swap)
        columns = table.columns
        self.name_column = columns["filename"]
        self._label = columns["class"]
        self._edges = tuple(columns[name] for name in self.edge_names)
        self._size = tuple(columns.get(name) for name in _SIZE)
        self._extra = tuple(table.extra.items())

    def add(self, group: ImageRows, row: list[str], line: int) -> None:
        """Adds a row to its image; a row with neither class nor coordinates is an image without boxes.

        Raises:
            DataError: The row is invalid.
        """
        size = [row[column].strip() if column is not None else "" for column in self._size]
        if group.first is None:
            group.first = size
            group.width, group.height = (self._length(*pair, line) for pair in zip(size, _SIZE, strict=True))
        elif size != group.first:
            raise self.error(
                f"{group.name} is {' x '.join(size)} here and {' x '.join(group.first)} in line {group.line}",
                f"write the same size in all rows of an image, {SKIP}",
                line,
            )
        label = row[self._label].strip()
        texts = [row[column].strip() for column in self._edges]
        if not label:
            if not any(texts):
                return
            raise self.error("the class is empty", f"name it, {SKIP}", line)
        group.coordinates.append(self.edges_of(texts, label, line))
        group.labels.append(label)
        group.box_attributes.append(
            {name: value_of(row[column]) for name, column in self._extra if row[column].strip()}
        )

    def _length(self, text: str, name: str, line: int) -> int:
        if not text:
            return 0
        value = float(text) if NUMBER.fullmatch(text) else -1.0
        if not 0 <= value < 1e9 or value % 1:
            raise self.error(f"{name} is {text!r}, not a number of pixels", f"correct it, {SKIP}", line)
        return int(value)
