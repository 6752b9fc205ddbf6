"""Recognizes CreateML JSON."""

from __future__ import annotations

from itertools import islice

from boxwright import DataError
from boxwright.plugins import Detection
from boxwright.storage import base_name, join, json_elements, list_folder
from boxwright_createml.annotation import ANNOTATION_KEYS, IMAGE_KEYS
from boxwright_createml.reader import LIST, ROBOFLOW

_EXAMINED = 3
_ROBOFLOW_SPLITS = ("train", "valid", "test")


def detect(location: str) -> Detection:
    """Examines the first entry of a JSON file, or of the first few in a folder."""
    try:
        names = list_folder(location)
    except FileNotFoundError:
        return Detection(False, "no such file or folder")
    except NotADirectoryError:
        if not base_name(location).lower().endswith(".json"):
            return Detection(False, "its name does not end in .json")
        return _examine(location, "it")
    found = sorted(name for name in names if name.lower().endswith(".json"))[:_EXAMINED]
    found += [f"{split}/{ROBOFLOW}" for split in _ROBOFLOW_SPLITS if f"{split}/" in names]
    answer = Detection(False, "no .json file directly in it")
    for name in found:
        answer = _examine(join(location, name), name)
        if answer.matches:
            break
    return answer


def _examine(location: str, name: str) -> Detection:
    try:
        first = next((content for _, content in islice(json_elements(location, LIST), 1)), None)
    except DataError as error:
        return Detection(False, f"{name}: {error.problem}")
    if first is None:
        return Detection(False, f"{name} is an empty list")
    if not isinstance(first, dict):
        return Detection(False, f"{name} is not a list of objects")
    image = next((key for key in IMAGE_KEYS if isinstance(first.get(key), str)), None)
    annotations = next((key for key in ANNOTATION_KEYS if isinstance(first.get(key), list)), None)
    if image is None or annotations is None:
        missing = "image" if image is None else "annotations"
        return Detection(False, f"{name} is a list of objects without {missing}")
    boxes = first[annotations]
    if boxes and not (isinstance(boxes[0], dict) and isinstance(boxes[0].get("coordinates"), dict)):
        return Detection(False, f"the {annotations} of {name} have no coordinates")
    return Detection(True, f"{name} is a list of objects with {image} and {annotations}")
