"""Recognizes Datumaro's JSON."""

from __future__ import annotations

from itertools import islice
from typing import Any

from boxwright import BoxwrightError, DataError
from boxwright.plugins import Detection
from boxwright.storage import Folder, base_name, is_folder, join, json_members
from boxwright_datumaro.reader import ANNOTATIONS, OBJECT

_EXAMINED = 12


def detect(location: str) -> Detection:
    """Examines the first members of a JSON file, or of the first one in ``annotations``."""
    try:
        if not is_folder(location):
            if not base_name(location).lower().endswith(".json"):
                return Detection(False, "its name does not end in .json")
            return _examine(location, "it")
        inside = join(location, ANNOTATIONS)
        files = Folder.at(inside).ending(".json") if is_folder(inside) else []
        if not files:
            return Detection(False, f"no .json file in a folder {ANNOTATIONS}")
        return _examine(join(inside, files[0]), files[0])
    except DataError as error:
        return Detection(False, error.problem)
    except BoxwrightError as error:
        return Detection(False, error.message)


def _examine(location: str, name: str) -> Detection:
    categories: Any = None
    for member in islice(json_members(location, OBJECT, into=("items",)), _EXAMINED):
        if member.key == "categories":
            categories = member.value
        if member.key == "items" and isinstance(member.value, dict) and "id" in member.value:
            return Detection(True, f"{name} is an object with items that have an id")
    if isinstance(categories, dict) and "label" in categories:
        return Detection(True, f"{name} is an object with categories of labels")
    return Detection(False, f"{name} is an object without items")
