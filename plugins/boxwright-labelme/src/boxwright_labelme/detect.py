"""Recognizes LabelMe's JSON."""

from __future__ import annotations

from typing import Any

from boxwright import DataError
from boxwright.plugins import Detection
from boxwright.storage import join, list_folder, parse_json, read_file

_EXAMINED = 3
_MOST_FOLDERS = 20


def detect(location: str) -> Detection:
    """Examines a JSON file, or the first few in a folder or else in its sub-folders."""
    try:
        names = list_folder(location)
    except FileNotFoundError:
        return Detection(False, "no such file or folder")
    except NotADirectoryError:
        if not location.lower().endswith(".json"):
            return Detection(False, "its name does not end in .json")
        return _examine(location, "it")
    found = _jsons(names)
    if not found:
        folders = [name for name in sorted(names) if name.endswith("/") and not name.startswith(".")]
        for folder in folders[:_MOST_FOLDERS]:
            found += [folder + name for name in _jsons(list_folder(join(location, folder.rstrip("/"))))]
    answer = Detection(False, "no .json file in it")
    for name in found[:_EXAMINED]:
        answer = _examine(join(location, name), name)
        if answer.matches:
            break
    return answer


def _jsons(names: list[str]) -> list[str]:
    return sorted(name for name in names if name.lower().endswith(".json") and not name.startswith("."))


def _examine(location: str, name: str) -> Detection:
    try:
        content: Any = parse_json(read_file(location) or b"", location)
    except DataError as error:
        return Detection(False, f"{name}: {error.problem}")
    if not isinstance(content, dict):
        return Detection(False, f"{name} is not an object")
    if not isinstance(content.get("shapes"), list) or "imagePath" not in content:
        missing = "shapes" if not isinstance(content.get("shapes"), list) else "imagePath"
        return Detection(False, f"{name} is an object without {missing}")
    return Detection(True, f"{name} is an object with shapes and imagePath")
