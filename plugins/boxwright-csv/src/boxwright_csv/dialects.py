"""The kinds of CSV files with boxes, distinguished by their first line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from boxwright_csv.writer import HEADER

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")


@dataclass(frozen=True)
class Dialect:
    """One kind of CSV.

    Args:
        name: The format's name.
        title: Its name in messages.
        header: The columns that are written, in order.
        required: The columns that are required for reading.
        needs_header: Whether the first line must be the header.
    """

    name: str
    title: str
    header: tuple[str, ...]
    required: tuple[str, ...]
    needs_header: bool = True

    def known(self, name: str) -> str:
        """Returns the column of a name in the header, or an empty string if the dialect has no such column."""
        plain = name.removeprefix("#").casefold()
        return next((column for column in self.header if column.casefold() == plain), "")

    def missing(self, fields: Sequence[str]) -> list[str]:
        """Returns the required columns that are missing in a header."""
        there = {self.known(name) for name in fields}
        return [name for name in self.required if name not in there]

    def is_header(self, fields: Sequence[str]) -> bool:
        """Returns whether a first line is the header of this dialect."""
        return not self.missing(fields)

    def is_row(self, fields: Sequence[str]) -> bool:
        """Returns whether a first line is a row of this dialect: a name, four numbers or none, a class."""
        if self.needs_header or len(fields) != len(self.required) or not fields[0]:
            return False
        coordinates = fields[1:5]
        return not any(fields[1:]) or all(map(_NUMBER.fullmatch, coordinates))


TUTORIAL: Final = Dialect(
    "csv",
    "the TensorFlow tutorials'",
    HEADER,
    tuple(name for name in HEADER if name not in ("width", "height")),
)
OPENIMAGES: Final = Dialect(
    "openimages",
    "Open Images'",
    (
        *("ImageID", "Source", "LabelName", "Confidence", "XMin", "XMax", "YMin", "YMax"),
        *("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside"),
    ),
    ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax"),
)
VIA: Final = Dialect(
    "via",
    "VGG Image Annotator's",
    (
        *("filename", "file_size", "file_attributes", "region_count", "region_id"),
        *("region_shape_attributes", "region_attributes"),
    ),
    ("filename", "region_shape_attributes", "region_attributes"),
)
_RETINANET_COLUMNS = ("path", "x1", "y1", "x2", "y2", "class_name")
RETINANET: Final = Dialect("retinanet", "keras-retinanet's", _RETINANET_COLUMNS, _RETINANET_COLUMNS, needs_header=False)

DIALECTS: Final = (TUTORIAL, OPENIMAGES, VIA, RETINANET)
"""Dialects with a header come first, so that a header is never read as a row."""
