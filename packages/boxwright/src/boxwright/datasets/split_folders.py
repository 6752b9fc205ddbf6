"""A folder that is one dataset in parts, in ``train``, ``valid`` and ``test``, as Roboflow exports them.

Formats in one file, and folders of annotations whose format has no splits, are found in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from boxwright.errors import BoxwrightError
from boxwright.plugins.registry import Registry
from boxwright.plugins.specs import Detection, FormatSpec
from boxwright.storage.filesystem import first_files, is_folder, list_folder, list_folders
from boxwright.storage.uri import IMAGE_SUFFIXES, is_remote, join

SPLITS = {"train": "train", "valid": "val", "val": "val", "validation": "val", "test": "test"}
"""The names of folders that are splits, in lower case, and the splits."""

_MOST = 20
_TEXT = "_annotations.txt"  # the only text file that is a dataset in Roboflow's exports
_OTHERS = (".txt", ".md", ".zip", ".pbtxt", ".images", ".jsonl", ".yaml", ".yml")


def parts_of(spec: FormatSpec, location: str, plugins: Registry) -> dict[str, str]:
    """Returns the parts of a folder that is a dataset of a format.

    Args:
        spec: The format.
        location: A path or URL.
        plugins: Resolves the format's ``detect``.

    Returns:
        The location of each split; that of the only file without a split under ``""``. Empty if the location is not
        such a folder, or if a folder of a split contains several files of the format.
    """
    if not spec.detect or not (spec.target == "file" or spec.split_folders) or not _is_folder(location):
        return {}

    def matches(place: str) -> bool:
        return answer_of(spec, place, plugins).matches

    def first_two(places: Iterable[str]) -> list[str]:  # more are not looked into: that takes requests
        return list(islice(filter(matches, places), 2))

    if spec.target == "folder" and _files(_first_files(location)):
        return {}
    if spec.target == "folder" and not any(name.lower() in SPLITS for name in _folders(location)):
        return {}
    names = _entries(location)
    here = _files(names)
    if spec.target == "file" and len(found := first_two(join(location, name) for name in here)) == 1:
        return {"": found[0]}
    if spec.target == "file" and not here and "annotations/" in names:  # as CVAT exports COCO
        folder = join(location, "annotations")
        found = first_two(join(folder, name) for name in _files(_entries(folder)))
        if len(found) == 1:
            return {"": found[0]}
    others = [name[:-1] for name in names if name.endswith("/") and name[:-1].lower() not in SPLITS]
    if spec.split_folders and (here or any(matches(join(location, name)) for name in others)):
        return {}
    parts: dict[str, str] = {}
    for name in names:
        split = SPLITS.get(name[:-1].lower()) if name.endswith("/") else None
        if split is None or split in parts:
            continue
        folder = join(location, name[:-1])
        places = [folder] if spec.split_folders else [join(folder, file) for file in _files(_entries(folder))]
        found = first_two(places)
        if len(found) > 1:
            return {}
        if found:
            parts[split] = found[0]
    return {split: parts[split] for split in ("train", "val", "test") if split in parts}


def answer_of(spec: FormatSpec, location: str, plugins: Registry) -> Detection:
    """Returns a format's answer to whether a location is its own; if it fails, or even exits, it is not."""
    try:
        answer = plugins.resolve("format", spec.name, "detect")(location)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Detection(False, f"could not look: {type(error).__name__}: {error}")
    return answer if isinstance(answer, Detection) else Detection(False, f"said {answer!r}")


def _is_folder(location: str) -> bool:
    try:
        return is_folder(location)
    except (BoxwrightError, OSError):
        return False


def _folders(location: str) -> list[str]:
    try:
        return list_folders(location)
    except (BoxwrightError, OSError):
        return []


def _entries(location: str) -> list[str]:
    try:
        return sorted(name for name in list_folder(location) if not name.startswith("."))
    except (BoxwrightError, OSError):
        return []


def _first_files(location: str) -> list[str]:
    if not is_remote(location):
        return []  # listing all of them takes no longer
    try:
        return sorted(name for name in first_files(location) if not name.startswith("."))
    except (BoxwrightError, OSError):
        return []


def _files(names: list[str]) -> list[str]:
    skipped = (*IMAGE_SUFFIXES, *_OTHERS, "/")
    return [name for name in names if name == _TEXT or not name.lower().endswith(skipped)][:_MOST]
