"""Recognizes labelImg folders and VOC datasets."""

from __future__ import annotations

import posixpath
import re
from typing import Any

from boxwright import DataError
from boxwright.plugins import Detection
from boxwright.storage import Folder, filesystem, is_remote, join
from boxwright_voc.devkit import ANNOTATIONS, IMAGES, years

_EXAMINED = 3
_BEGINNING = 4096
_MOST_FOLDERS = 100
_ROOT = re.compile(rb"<annotation[\s/>]")  # CVAT's root element is <annotations>


def detect_labelimg(location: str) -> Detection:
    """Looks for XML files in the folder, or else in its sub-folders, and for ``<annotation`` in the first few."""
    files, root = filesystem(location)
    if files.isfile(root):
        return Detection(False, "it is a file, not a folder")
    try:
        paths = _visible(files, root)
    except FileNotFoundError:
        return Detection(False, "no such file or folder")
    if {ANNOTATIONS, IMAGES} <= paths.keys():
        return Detection(False, f"it contains the folders {ANNOTATIONS} and {IMAGES} of a Pascal VOC dataset")
    xmls, where = _xmls(paths), ""
    if not xmls and not is_remote(location) and ANNOTATIONS not in paths:
        where = " in its sub-folders"
        for folder in sorted(paths)[:_MOST_FOLDERS]:  # one level: exports with a folder for each split, train/a.xml
            if files.isdir(paths[folder]):
                inside = _visible(files, paths[folder])
                xmls |= {f"{folder}/{name}": path for name, path in _xmls(inside).items()}
    if not xmls:
        return Detection(False, "no .xml file in it")
    for name in sorted(xmls)[:_EXAMINED]:
        if _is_annotation(files.cat_file(xmls[name], start=0, end=_BEGINNING)):
            return Detection(True, f"{len(xmls)} .xml files{where}; {name} begins with <annotation>")
    return Detection(False, f"{len(xmls)} .xml files{where}, and no <annotation> in the first")


def detect_voc(location: str) -> Detection:
    """Looks for ``Annotations`` in the folder or its sub-folders, and for ``<annotation`` in the first XML there."""
    try:
        _, year = years(location)[0]
        folder = Folder.at(join(year, ANNOTATIONS))
        xmls = folder.ending(".xml")
        if not xmls:
            return Detection(False, f"no .xml file in its folder {ANNOTATIONS}")
        if not _is_annotation(folder.read(xmls[0])):
            return Detection(False, f"{ANNOTATIONS}/{xmls[0]} is not an <annotation>")
    except DataError as error:
        return Detection(False, error.problem)
    return Detection(True, f"{len(xmls)} .xml files in its folder {ANNOTATIONS}")


def _is_annotation(data: bytes) -> bool:
    # In UTF-16 each ASCII character has a NUL next to it.
    return bool(_ROOT.search(data.replace(b"\0", b"")))


def _visible(files: Any, folder: str) -> dict[str, str]:
    """Returns the entries of a folder that are not hidden: each name with its path."""
    paths = {posixpath.basename(path.rstrip("/")): path for path in files.ls(folder, detail=False)}
    return {name: path for name, path in paths.items() if not name.startswith(".")}


def _xmls(paths: dict[str, str]) -> dict[str, str]:
    return {name: path for name, path in paths.items() if name.lower().endswith(".xml")}
