"""Maps of classes in files: two columns of CSV, or a JSON object."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Final

from boxwright import DataError
from boxwright.storage import read_file

_LARGEST: Final = 1 << 20
"""Bytes beyond which a file is no map of classes."""

_HEADERS: Final = (["from", "to"], ["old", "new"], ["source", "target"])
"""First lines of a CSV file that name its columns."""


def read_class_map(file: str) -> dict[str, str]:
    """The new class of each old one; an empty one leaves its boxes out.

    A file ending in ``.json`` holds one object, ``{"apple": "fruit", "leaf": null}``; any other is CSV with two
    columns, old and new, with or without a first line ``from,to``. White space around names is taken off.

    Raises:
        DataError: The file is missing, or no map; the error names the line.
    """
    content = read_file(file, "check the path of remap:file=")
    if content is None:
        raise DataError(file, "there is no such file", "check the path of remap:file=")
    if len(content) > _LARGEST:
        raise DataError(file, "it is larger than 1 MiB", "is this a map of classes? give one")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(file, "it is not UTF-8", "save it as UTF-8") from None
    rows = _json_rows(text, file) if file.lower().endswith(".json") else _csv_rows(text, file)
    found: dict[str, str] = {}
    for place, old, new in rows:
        if not old:
            raise DataError(file, "the old class is empty", "write its name", place)
        if found.setdefault(old, new) != new:
            raise DataError(file, f"{old!r} stands there a second time, with another class", "leave one out", place)
    if not found:
        raise DataError(file, "it holds no class", "write a line OLD,NEW for each class")
    return found


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
                    f"it has {len(cells)} {'column' if len(cells) == 1 else 'columns'} and not two",
                    'write OLD,NEW; a name with a comma in it stands in "..."; to leave a class out: OLD,',
                    f"line {reader.line_num}",
                )
            yield f"line {reader.line_num}", cells[0], cells[1]
    except csv.Error as error:
        raise DataError(file, f"it is no CSV: {error}", "write OLD,NEW", f"line {reader.line_num}") from None


def _json_rows(text: str, file: str) -> Iterable[tuple[str, str, str]]:
    remedy = 'write {"OLD": "NEW", ...}; to leave a class out: {"OLD": null}'
    try:
        # As pairs, so that a name that stands twice is seen.
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise DataError(file, f"it is no JSON: {error}", remedy) from None
    if not isinstance(pairs, _Pairs):
        raise DataError(file, "it is no JSON object", remedy)
    for old, new in pairs:
        if new is not None and not isinstance(new, str):
            raise DataError(file, f"the new class is {new!r}, which is no name", remedy, repr(old))
        yield repr(old), old.strip(), (new or "").strip()


class _Pairs(list[tuple[str, object]]):
    """An object of JSON as its pairs, told apart from an array."""
