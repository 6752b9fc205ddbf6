"""The files beside a CSV that say which classes there are."""

from __future__ import annotations

import csv
import io
import os

from boxwright import DataError, LabelMap, LabelMapItem
from boxwright.storage import read_file

_DESCRIPTIONS_HEADER = ["LabelName", "DisplayName"]


def read_descriptions(path: str) -> dict[str, str]:
    """Open Images' ``class-descriptions-boxable.csv``: the classes' names by their identifiers, in the file's order.

    Raises:
        DataError: It is not there, has no two fields in a line, or a name or an identifier stands twice.
    """
    names: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line, (identifier, name) in _pairs(path, "/m/011k07,Tortoise"):
        if line == 1 and [identifier, name] == _DESCRIPTIONS_HEADER:
            continue
        for what in (identifier, f"={name}"):
            if lines.setdefault(what, line) != line:
                problem = f"{what.removeprefix('=')!r} stands already in line {lines[what]}"
                raise DataError(path, problem, "give every class one identifier and one name", f"line {line}")
        names[identifier] = name
    return names


def classes_beside(location: str) -> str:
    """keras-retinanet's class mapping as it is written beside a CSV: ``train_classes.csv`` beside ``train.csv``."""
    head, chain, rest = location.partition("::")
    return f"{os.path.splitext(head)[0]}_classes.csv{chain}{rest}"


def class_numbers(classes: str | None, location: str) -> LabelMap | None:
    """The class mapping that was named, else the one that is beside a CSV.

    Raises:
        DataError: As :func:`read_class_numbers`.
    """
    if classes is None and read_file(classes_beside(location)) is None:
        return None
    return read_class_numbers(classes if classes is not None else classes_beside(location))


def read_class_numbers(path: str) -> LabelMap:
    """keras-retinanet's class mapping, ``name,number`` with numbers from 0, as a label map whose numbers begin with 1.

    Raises:
        DataError: It is not there, has no two fields in a line, or a name or number stands twice or is none.
    """
    items = []
    for line, (name, number) in _pairs(path, "cow,0"):
        if not number.isdecimal() or len(number) > 9 or not name:
            problem = f"{name!r} has the number {number!r}"
            raise DataError(path, problem, "write the class and its number, from 0 on: cow,0", f"line {line}")
        items.append(LabelMapItem(id=int(number) + 1, name=name))
    try:
        return LabelMap(items=tuple(sorted(items, key=lambda item: item.id)))
    except ValueError:
        names, ids = [item.name for item in items], [item.id for item in items]
        twice = next((name for name in names if names.count(name) > 1), None)
        what = f"the class {twice!r}" if twice is not None else f"the number {max(ids, key=ids.count) - 1}"
        raise DataError(path, f"{what} stands twice", "give every class a name and a number of its own") from None


def _pairs(path: str, example: str) -> list[tuple[int, tuple[str, str]]]:
    """The rows of a file with two columns, each with its line."""
    content = read_file(path, "check ?classes=FILE")
    if content is None:
        raise DataError(path, "there is no such file of classes", "check ?classes=FILE")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(path, "it is not UTF-8 text", "save it as UTF-8") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    pairs: list[tuple[int, tuple[str, str]]] = []
    while True:
        line = rows.line_num + 1
        try:
            row = [field.strip() for field in next(rows)]
        except StopIteration:
            break
        except csv.Error as error:
            raise DataError(path, f"it cannot be read as CSV: {error}", "check the quotes", f"line {line}") from None
        if not any(row):
            continue
        if len(row) != 2:
            raise DataError(path, f"it has {len(row)} fields", f"write two: {example}", f"line {line}")
        pairs.append((line, (row[0], row[1])))
    if not pairs:
        raise DataError(path, "there are no classes in it", f"write one a line: {example}")
    return pairs
