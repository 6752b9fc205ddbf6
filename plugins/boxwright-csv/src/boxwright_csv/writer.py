"""Writes the CSV rows of the TensorFlow tutorials."""

from __future__ import annotations

from typing import Final

from boxwright import LabelMap, Sample
from boxwright.datasets import Output
from boxwright_csv.texts import BATCH, Fields, Lines, Numbers, quoted, unsupported

HEADER: Final = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")


class CsvWriter:
    r"""Writes one row per box, as pandas' ``to_csv(index=None)`` does: UTF-8, ``\n``, quotes only where needed.

    Whole coordinates are written as integers, others as the shortest text that reads back as the same float. A name
    that a spreadsheet would evaluate as a formula is written unchanged.

    Args:
        output: The file.
        label_map: Not used; the rows contain names.
        one_based: Writes ``(xmin + 1, ymin + 1, xmax, ymax)``, the PASCAL VOC development kit's pixels.
    """

    def __init__(self, output: Output, label_map: LabelMap | None = None, one_based: bool = False) -> None:
        self._lines = Lines(output, HEADER)
        self._shift = 1 if one_based else 0
        self._fields = Fields()
        self._numbers = Numbers()

    def write(self, sample: Sample) -> None:
        """Adds the rows of one image; none if it has no boxes.

        Raises:
            DataError: A name cannot be written as UTF-8, or a class has leading or trailing white space.
        """
        image, boxes, shift = sample.image, sample.boxes, self._shift
        lines, fields, text = self._lines.pending, self._fields, self._numbers
        before = len(lines)
        try:
            start = f"{quoted(image.name)},{image.width},{image.height},"
            for label, (xmin, ymin, xmax, ymax) in zip(boxes.labels, boxes.coordinates, strict=True):
                if shift:
                    xmin, ymin = xmin + shift, ymin + shift
                lines.append(f"{start}{fields[label]},{text[xmin]},{text[ymin]},{text[xmax]},{text[ymax]}\n")
        except ValueError as error:
            del lines[before:]
            raise unsupported(sample, error) from None
        if len(lines) > BATCH:
            self._lines.flush()

    def close(self) -> None:
        """Finishes the file."""
        self._lines.close()
