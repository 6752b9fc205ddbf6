"""The files next to a CSV file that define the classes."""

from __future__ import annotations

import csv
import io
import os

from boxwright import DataError, LabelMap, LabelMapItem
from boxwright.storage import read_file

_DESCRIPTIONS_HEADER = ["LabelName", "DisplayName"]


def read_descriptions(path: str) -> dict[str, str]:
    """Returns the class names of Open Images' ``class-descriptions-boxable.csv`` by identifier, in file order.

    Raises:
        DataError: The file is missing, a line does not have two fields, or a name or identifier is a duplicate.
    """
    names: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line, (identifier, name) in _pairs(path, "/m/011k07,Tortoise"):
        if line == 1 and [identifier, name] == _DESCRIPTIONS_HEADER:
            continue
        for what in (identifier, f"={name}"):
            if lines.setdefault(what, line) != line:
                problem = f"{what.removeprefix('=')!r} is a duplicate of line {lines[what]}"
                raise DataError(path, problem, "give each class one identifier and one name", f"line {line}")
        names[identifier] = name
    return names


def class_mapping_path(location: str) -> str:
    """Returns the location of keras-retinanet's class mapping: ``train_classes.csv`` for ``train.csv``."""
    head, chain, rest = location.partition("::")
    return f"{os.path.splitext(head)[0]}_classes.csv{chain}{rest}"


def class_numbers(classes: str | None, location: str) -> LabelMap | None:
    """Returns the class mapping that was passed, or the one next to the CSV file.

    Raises:
        DataError: As :func:`read_class_numbers`.
    """
    if classes is None and read_file(class_mapping_path(location)) is None:
        return None
    return read_class_numbers(classes if classes is not None else class_mapping_path(location))


def read_class_numbers(path: str) -> LabelMap:
    """Returns keras-retinanet's class mapping, ``name,number`` from 0, as a label map with ids from 1.

    Raises:
        DataError: The file is missing, a line does not have two fields, or a name or number is a duplicate or invalid.
    """
    items = []
    for line, (name, number) in _pairs(path, "cow,0"):
        if not number.isdecimal() or len(number) > 9 or not name:
            problem = f"{name!r} has the number {number!r}"
            raise DataError(path, problem, "write the class and its number, counted from 0: cow,0", f"line {line}")
        items.append(LabelMapItem(id=int(number) + 1, name=name))
    try:
        return LabelMap(items=tuple(sorted(items, key=lambda item: item.id)))
    except ValueError:
        names, ids = [item.name for item in items], [item.id for item in items]
        duplicate = next((name for name in names if names.count(name) > 1), None)
        what = f"class {duplicate!r}" if duplicate is not None else f"number {max(ids, key=ids.count) - 1}"
        raise DataError(path, f"duplicate {what}", "give each class its own name and number") from None


def _pairs(path: str, example: str) -> list[tuple[int, tuple[str, str]]]:
    """Returns the rows of a file with two columns, each with its line."""
    content = read_file(path, "check ?classes=FILE")
    if content is None:
        raise DataError(path, "file of classes not found", "check ?classes=FILE")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(path, "it is not UTF-8", "save it as UTF-8") from None
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
        raise DataError(path, "it contains no classes", f"write one per line: {example}")
    return pairs
