"""Where the parts of a VOC dataset lie: the folders of its years, on this machine or wherever fsspec reaches."""

from __future__ import annotations

import os
from typing import Any, Final

from boxwright.errors import DataError
from boxwright.files import filesystem
from boxwright.uri import is_remote, join

ANNOTATIONS: Final = "Annotations"
PICTURES: Final = "JPEGImages"
LISTS: Final = "ImageSets/Main"
_DEVKIT = "VOCdevkit"


def years(location: str) -> list[tuple[str, str]]:
    """The years of a dataset, each as what its pictures' names begin with and its folder.

    A folder that holds ``Annotations`` is one year, whose pictures' names begin with nothing. Otherwise each of its
    sub-folders that holds ``Annotations`` is one, in plain string order, and ``VOC2007/`` stands before the names.

    Raises:
        DataError: There is no such folder, or no ``Annotations`` in it nor in its sub-folders.
    """
    found = subfolders(location)
    if ANNOTATIONS in found:
        return [("", location)]
    several = [(f"{name}/", join(location, name)) for name in found if _has_annotations(location, name)]
    if several:
        return several
    if _DEVKIT in found:
        return years(join(location, _DEVKIT))
    remedy = "name the folder that holds Annotations, JPEGImages and ImageSets: voc:VOCdevkit/VOC2007"
    if location.rstrip("/").endswith(ANNOTATIONS):
        remedy = "name the folder above it, that holds Annotations, JPEGImages and ImageSets"
    raise DataError(location, "there is no folder Annotations in it, nor in its sub-folders", remedy)


def _has_annotations(location: str, name: str) -> bool:
    return is_folder(join(join(location, name), ANNOTATIONS))


def subfolders(location: str) -> list[str]:
    """The names of the folders in a folder, sorted, without hidden ones.

    Raises:
        DataError: There is no such folder.
    """
    if not is_folder(location):
        there = not is_remote(location) and os.path.exists(location)
        raise DataError(
            location, "it is a file, not a folder" if there else "there is no such folder", "check the path"
        )
    if is_remote(location):
        files, root = filesystem(location)
        entries: list[dict[str, Any]] = files.ls(root, detail=True)
        names = [entry["name"].rstrip("/").rpartition("/")[2] for entry in entries if entry["type"] == "directory"]
    else:
        with os.scandir(location) as listed:
            names = [entry.name for entry in listed if entry.is_dir()]
    return sorted(name for name in names if not name.startswith("."))


def is_folder(location: str) -> bool:
    """Whether there is a folder at a path or URL."""
    if is_remote(location):
        files, root = filesystem(location)
        return bool(files.isdir(root))
    return os.path.isdir(location)
