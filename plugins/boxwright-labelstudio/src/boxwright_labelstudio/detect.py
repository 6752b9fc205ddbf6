"""Recognizes Label Studio's JSON and JSON-MIN."""

from __future__ import annotations

from typing import Any

from boxwright import BoxwrightError, DataError
from boxwright.plugins import Detection
from boxwright.storage import base_name, is_folder
from boxwright_labelstudio.reader import first_task

_LISTS = ("annotations", "predictions", "completions")
_REGION = frozenset({"original_width", "original_height", "choices"})


def detect(location: str) -> Detection:
    """Examines the first task of a JSON file."""
    try:
        if is_folder(location):
            return Detection(False, "it is a folder, not a file")
        if not base_name(location).lower().endswith(".json"):
            return Detection(False, "its name does not end in .json")
        first: Any = first_task(location)
    except DataError as error:
        return Detection(False, error.problem)
    except BoxwrightError as error:
        return Detection(False, error.message)
    if not isinstance(first, dict):
        return Detection(False, "it is an empty list" if first is None else "it is not a list of objects")
    data = first.get("data")
    if isinstance(data, dict) and any(isinstance(first.get(key), list) for key in _LISTS):
        return Detection(True, "it is a list of tasks with data and annotations")
    if "annotator" in first and "annotation_id" in first:
        return Detection(True, "it is a list of annotations with annotator and annotation_id (JSON-MIN)")
    return Detection(False, "it is a list of objects without data and annotations")
