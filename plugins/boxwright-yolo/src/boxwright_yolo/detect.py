"""Recognizes YOLO datasets."""

from __future__ import annotations

import os
from itertools import islice

from boxwright import DataError
from boxwright.plugins import Detection
from boxwright.storage import IMAGE_SUFFIXES, join, list_folder, read_file
from boxwright_yolo.description import CLASS_FILES, ORDER, UNSPLIT, read_yaml
from boxwright_yolo.layout import is_label
from boxwright_yolo.paths import YAML_SUFFIXES, folder_and_file

_EXAMINED = 3


def detect(location: str) -> Detection:
    """Looks for a data.yaml with classes and images, an obj.data, or class names with label files."""
    try:
        folder, file = folder_and_file(location)
        names = list_folder(folder)
    except FileNotFoundError:
        return Detection(False, "no such file or folder")
    except NotADirectoryError:
        return Detection(False, "it is a file, but not a data.yaml or obj.data")
    if file:
        return _by_description(folder, names, [file])
    if {"Annotations/", "JPEGImages/"} <= set(names):
        return Detection(False, "it contains the folders Annotations and JPEGImages of a Pascal VOC dataset")
    found = _by_description(folder, names, [name for name in sorted(names) if name.lower().endswith(YAML_SUFFIXES)])
    if not found.matches and "obj.data" in names:
        found = _by_description(folder, names, ["obj.data"])
    return found if found.matches else _by_labels(folder, names, found.reason)


def _by_description(folder: str, names: list[str], files: list[str]) -> Detection:
    reason = "no data.yaml, obj.data or classes.txt in it"
    for name in files:
        if name not in names:
            return Detection(False, "file not found")
        if name.lower().endswith(".data"):
            if b"names" in _content(folder, name):
                return Detection(True, f"{name} names the classes, as in darknet")
            reason = f"{name} does not name the classes"
            continue
        try:
            description = read_yaml(_content(folder, name), name)
        except DataError as error:
            reason = f"{name}: {error.problem}"
            continue
        splits = [split for split in description.splits if split != UNSPLIT]
        parts = splits if set(ORDER).intersection(splits) else ["images", "labels"]
        if parts is splits or {"images/", "labels/"} <= set(names):
            return Detection(True, f"{name} names {len(description.names)} classes; {', '.join(parts)}")
        reason = f"{name} does not name train, val or test"
    return Detection(False, reason)


def _by_labels(folder: str, names: list[str], reason: str) -> Detection:
    named = [name for name in CLASS_FILES if name in names]
    named += [name for name in names if name.lower().endswith(".names")]
    if not named:
        return Detection(False, reason)
    if {"images/", "labels/"} <= set(names):
        return Detection(True, f"{named[0]}, images and labels")
    stems = {os.path.splitext(n)[0] for n in names if os.path.splitext(n)[1].lower() in IMAGE_SUFFIXES}
    texts = sorted(name for name in names if name.lower().endswith(".txt") and name not in named)
    adjacent = [name for name in texts if os.path.splitext(name)[0] in stems]
    if adjacent:
        return Detection(True, f"{named[0]}, and {len(adjacent)} .txt files next to images of the same name")
    if any(is_label(_content(folder, name)) for name in islice(texts, _EXAMINED)):
        return Detection(True, f"{named[0]}, and {len(texts)} .txt files with a class and four numbers per line")
    return Detection(False, f"{named[0]}, but no label file next to it")


def _content(folder: str, name: str) -> bytes:
    return read_file(join(folder, name)) or b""
