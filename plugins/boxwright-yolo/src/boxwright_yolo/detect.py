"""Recognizes YOLO datasets."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

from boxwright import DataError
from boxwright.plugins import Detection
from boxwright.storage import IMAGE_SUFFIXES, is_remote, join
from boxwright_yolo.description import CLASS_FILES, ORDER, UNSPLIT, read_yaml
from boxwright_yolo.layout import is_label
from boxwright_yolo.paths import YAML_SUFFIXES, folder_and_file

_EXAMINED = 3


class _Place(NamedTuple):
    """The names directly in a folder (folders end in ``/``), and a way to read one of its files."""

    names: list[str]
    read: Callable[[str], bytes]


def detect(location: str) -> Detection:
    """Looks for a data.yaml with classes and images, an obj.data, or class names with label files."""
    try:
        folder, file = folder_and_file(location)
        place = _look(folder)
    except FileNotFoundError:
        return Detection(False, "no such file or folder")
    except NotADirectoryError:
        return Detection(False, "it is a file, but not a data.yaml or obj.data")
    if file:
        return _by_description(place, [file])
    if {"Annotations/", "JPEGImages/"} <= set(place.names):
        return Detection(False, "it contains the folders Annotations and JPEGImages of a Pascal VOC dataset")
    found = _by_description(place, [name for name in sorted(place.names) if name.lower().endswith(YAML_SUFFIXES)])
    if not found.matches and "obj.data" in place.names:
        found = _by_description(place, ["obj.data"])
    return found if found.matches else _by_labels(place, found.reason)


def _by_description(place: _Place, names: list[str]) -> Detection:
    reason = "no data.yaml, obj.data or classes.txt in it"
    for name in names:
        if name not in place.names:
            return Detection(False, "file not found")
        if name.lower().endswith(".data"):
            if b"names" in place.read(name):
                return Detection(True, f"{name} names the classes, as in darknet")
            reason = f"{name} does not name the classes"
            continue
        try:
            description = read_yaml(place.read(name), name)
        except DataError as error:
            reason = f"{name}: {error.problem}"
            continue
        splits = [split for split in description.splits if split != UNSPLIT]
        parts = splits if set(ORDER).intersection(splits) else ["images", "labels"]
        if parts is splits or {"images/", "labels/"} <= set(place.names):
            return Detection(True, f"{name} names {len(description.names)} classes; {', '.join(parts)}")
        reason = f"{name} does not name train, val or test"
    return Detection(False, reason)


def _by_labels(place: _Place, reason: str) -> Detection:
    named = [name for name in CLASS_FILES if name in place.names]
    named += [name for name in place.names if name.lower().endswith(".names")]
    if not named:
        return Detection(False, reason)
    if {"images/", "labels/"} <= set(place.names):
        return Detection(True, f"{named[0]}, images and labels")
    stems = {os.path.splitext(n)[0] for n in place.names if os.path.splitext(n)[1].lower() in IMAGE_SUFFIXES}
    texts = sorted(name for name in place.names if name.lower().endswith(".txt") and name not in named)
    adjacent = [name for name in texts if os.path.splitext(name)[0] in stems]
    if adjacent:
        return Detection(True, f"{named[0]}, and {len(adjacent)} .txt files next to images of the same name")
    if any(is_label(place.read(name)) for name in islice(texts, _EXAMINED)):
        return Detection(True, f"{named[0]}, and {len(texts)} .txt files with a class and four numbers per line")
    return Detection(False, f"{named[0]}, but no label file next to it")


def _look(location: str) -> _Place:
    return _remote(location) if is_remote(location) else _local(location)


def _local(location: str) -> _Place:
    def read(name: str) -> bytes:
        with open(os.path.join(location, name), "rb") as file:
            return file.read()

    with os.scandir(location) as entries:
        return _Place([f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries], read)


def _remote(location: str) -> _Place:
    import fsspec

    files, root = fsspec.core.url_to_fs(location)
    if files.isfile(root):
        raise NotADirectoryError(location)
    listed: list[dict[str, Any]] = files.ls(root, detail=True)
    names = [
        entry["name"].rstrip("/").rpartition("/")[2] + ("/" if entry["type"] == "directory" else "") for entry in listed
    ]
    return _Place(names, lambda name: files.cat_file(join(root, name)))
