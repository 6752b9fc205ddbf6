"""Class maps in files: two columns of CSV, or a JSON object."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Final

from boxwright import DataError
from boxwright.storage import read_file

_MAX_BYTES: Final = 1 << 20
"""Size of the largest file that is read."""

_HEADERS: Final = (["from", "to"], ["old", "new"], ["source", "target"])
"""First lines of a CSV file that name its columns."""


def read_class_map(file: str) -> dict[str, str]:
    """Returns the new class of each old class; an empty one drops the boxes of its class.

    A file with the suffix ``.json`` contains one object, ``{"apple": "fruit", "leaf": null}``. Any other file is CSV
    with two columns, old and new, with or without a first line ``from,to``. White space around names is ignored.

    Raises:
        DataError: The file is missing or is not a class map; the error names the line.
    """
    content = read_file(file, "check the path of remap:file=")
    if content is None:
        raise DataError(file, "file not found", "check the path of remap:file=")
    if len(content) > _MAX_BYTES:
        raise DataError(file, "the file is larger than 1 MiB", "check that it is a class map")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(file, "the file is not UTF-8", "save it as UTF-8") from None
    rows = _json_rows(text, file) if file.lower().endswith(".json") else _csv_rows(text, file)
    classes: dict[str, str] = {}
    for place, old, new in rows:
        if not old:
            raise DataError(file, "the old class is empty", "write its name", place)
        if classes.setdefault(old, new) != new:
            raise DataError(file, f"duplicate class {old!r} with another new class", "remove one of the two", place)
    if not classes:
        raise DataError(file, "the file contains no classes", "write a line OLD,NEW for each class")
    return classes


def _csv_rows(text: str, file: str) -> Iterable[tuple[str, str, str]]:
    reader = csv.reader(io.StringIO(text), strict=True, skipinitialspace=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells) or (reader.line_num == 1 and [cell.casefold() for cell in cells] in _HEADERS):
                continue
            if len(cells) != 2:
                raise DataError(
                    file,
                    f"expected 2 columns, found {len(cells)}",
                    'write OLD,NEW, with "..." around a name that contains a comma; to drop a class: OLD,',
                    f"line {reader.line_num}",
                )
            yield f"line {reader.line_num}", cells[0], cells[1]
    except csv.Error as error:
        raise DataError(file, f"invalid CSV: {error}", "write OLD,NEW", f"line {reader.line_num}") from None


def _json_rows(text: str, file: str) -> Iterable[tuple[str, str, str]]:
    remedy = 'write {"OLD": "NEW", ...}; to drop a class: {"OLD": null}'
    try:
        # As pairs, so that duplicate names are found.
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise DataError(file, f"invalid JSON: {error}", remedy) from None
    if not isinstance(pairs, _Pairs):
        raise DataError(file, "the file does not contain a JSON object", remedy)
    for old, new in pairs:
        if new is not None and not isinstance(new, str):
            raise DataError(file, f"the new class is {new!r}, not a name", remedy, repr(old))
        yield repr(old), old.strip(), (new or "").strip()


class _Pairs(list[tuple[str, object]]):
    """The pairs of a JSON object, a separate type to distinguish them from an array."""
