"""Tells whether a location looks like a labelImg folder."""

from __future__ import annotations

import os
import re
from itertools import islice
from typing import Any

from boxwright.specs import Detection
from boxwright.uri import is_remote

_LOOKED_AT = 3
_START = 4096
_FOLDERS = 100
_ROOT = re.compile(rb"<annotation[\s/>]")  # CVAT's outermost element is <annotations>


def detect(location: str) -> Detection:
    """Looks for XML files in the folder, else in its sub-folders, and for ``<annotation`` at the start of a few."""
    try:
        names, start_of = _remote(location) if is_remote(location) else _local(location)
    except FileNotFoundError:
        return Detection(False, "there is nothing at that place")
    except NotADirectoryError:
        return Detection(False, "it is a file, not a folder")
    folders = {name.rstrip("/") for name in names}
    if {"Annotations", "JPEGImages"} <= folders:
        return Detection(False, "it has the folders Annotations and JPEGImages of a Pascal VOC dataset")
    xmls = sorted(name for name in names if name.lower().endswith(".xml") and not name.startswith("."))
    where = ""
    if not xmls and not is_remote(location) and "Annotations" not in folders:
        xmls, where = _in_sub_folders(location, names), " in its sub-folders"
    if not xmls:
        return Detection(False, "no .xml file in it")
    for name in islice(xmls, _LOOKED_AT):
        # UTF-16 has a NUL beside every ASCII character.
        if _ROOT.search(start_of(name).replace(b"\0", b"")):
            return Detection(True, f"{len(xmls)} .xml files{where}; {name} begins with <annotation>")
    return Detection(False, f"{len(xmls)} .xml files{where}, and no <annotation> in the first")


def _in_sub_folders(location: str, names: list[str]) -> list[str]:
    """XML files one level down, as in exports with a folder for each split: train/a.xml."""
    found = []
    for folder in sorted(names)[:_FOLDERS]:
        path = os.path.join(location, folder)
        if not folder.startswith(".") and os.path.isdir(path):
            inside = (name for name in os.listdir(path) if name.lower().endswith(".xml") and not name.startswith("."))
            found += [f"{folder}/{name}" for name in inside]
    return sorted(found)


def _local(location: str) -> tuple[list[str], Any]:
    def start_of(name: str) -> bytes:
        with open(os.path.join(location, name), "rb") as file:
            return file.read(_START)

    return os.listdir(location), start_of


def _remote(location: str) -> tuple[list[str], Any]:
    import fsspec

    fs, root = fsspec.core.url_to_fs(location)
    if fs.isfile(root):
        raise NotADirectoryError(location)
    paths = {path.rstrip("/").rpartition("/")[2]: path for path in fs.ls(root, detail=False)}
    return list(paths), lambda name: fs.cat_file(paths[name], start=0, end=_START)
