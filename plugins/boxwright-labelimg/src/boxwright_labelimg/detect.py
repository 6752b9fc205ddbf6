"""Tells whether a location looks like a labelImg folder."""

from __future__ import annotations

import os
from itertools import islice
from typing import Any

from boxwright.specs import Detection
from boxwright.uri import is_remote

_LOOKED_AT = 3
_START = 4096


def detect(location: str) -> Detection:
    """Looks for XML files directly in the folder, and for ``<annotation`` at the start of the first few."""
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
    if not xmls:
        return Detection(False, "no .xml file directly in it")
    for name in islice(xmls, _LOOKED_AT):
        # UTF-16 has a NUL beside every ASCII character.
        if b"<annotation" in start_of(name).replace(b"\0", b""):
            return Detection(True, f"{len(xmls)} .xml files; {name} begins with <annotation>")
    return Detection(False, f"{len(xmls)} .xml files, and no <annotation> in the first")


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
