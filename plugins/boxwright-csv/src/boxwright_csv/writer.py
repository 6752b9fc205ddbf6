"""Writes CSV rows."""

from __future__ import annotations

import re

from boxwright.errors import DataError
from boxwright.protocols import Output
from boxwright.schemas import LabelMap, Sample

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax"
_SPECIAL = re.compile(r'[,"\r\n]')
_KEPT = 1 << 14
_BATCH = 64  # lines; more are no faster, and would be kept in memory


class CsvWriter:
    r"""Writes one row a box, as pandas' ``to_csv(index=None)`` does: UTF-8, ``\n``, quotes only where needed.

    Whole edges are written as whole numbers, others by the shortest text that reads back as the same float. A name
    that a spreadsheet would take for a formula is written as it is.

    Args:
        output: The file.
        label_map: Not used; the rows hold names.
        one_based: Writes ``(xmin + 1, ymin + 1, xmax, ymax)``, the PASCAL VOC development kit's pixels.
    """

    def __init__(self, output: Output, label_map: LabelMap | None = None, one_based: bool = False) -> None:
        self._file = output.open()
        self._lines = [HEADER, "\n"]
        self._shift = 1 if one_based else 0
        self._labels: dict[str, str] = {}
        self._numbers = _Numbers()

    def write(self, sample: Sample) -> None:
        """Adds the rows of one picture; none where it has no boxes.

        Raises:
            DataError: A name cannot be written as UTF-8.
        """
        image, boxes, quoted = sample.image, sample.boxes, self._labels
        try:
            start = f"{_quoted(image.name)},{image.width},{image.height},"
            for label in boxes.labels:
                if label not in quoted:
                    quoted[label] = _quoted(label)
        except UnicodeEncodeError as error:
            raise DataError(
                sample.source or image.name, f"{error.object!r} cannot be written as UTF-8", "rename it"
            ) from None
        shift, lines, text = self._shift, self._lines, self._numbers
        for label, (xmin, ymin, xmax, ymax) in zip(boxes.labels, boxes.edges, strict=True):
            if shift:
                xmin, ymin = xmin + shift, ymin + shift
            lines.append(f"{start}{quoted[label]},{text[xmin]},{text[ymin]},{text[xmax]},{text[ymax]}\n")
        if len(lines) > _BATCH:
            self._flush()

    def close(self) -> None:
        """Finishes the file."""
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        self._file.write("".join(self._lines).encode())
        self._lines.clear()


def _quoted(text: str) -> str:
    """A field as RFC 4180 wants it: in quotes where it holds a comma, a quote or a line end."""
    if not text.isascii():
        text.encode()
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


class _Numbers(dict[float, str]):
    """Edges as text, kept: looking one up takes a fifth of the time of formatting it, and most are whole."""

    def __missing__(self, edge: float) -> str:
        text = str(int(edge)) if edge == int(edge) else repr(float(edge))
        if len(self) < _KEPT:
            self[edge] = text
        return text
