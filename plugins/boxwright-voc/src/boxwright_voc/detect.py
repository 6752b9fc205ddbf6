"""Recognizes labelImg folders and VOC datasets."""

from __future__ import annotations

import re

from boxwright import DataError
from boxwright.plugins import Detection
from boxwright.storage import Folder, filesystem, is_remote, join, list_folder
from boxwright_voc.devkit import ANNOTATIONS, IMAGES, years

_EXAMINED = 3
_BEGINNING = 4096
_MOST_FOLDERS = 100
_ROOT = re.compile(rb"<annotation[\s/>]")  # CVAT's root element is <annotations>


def detect_labelimg(location: str) -> Detection:
    """Looks for XML files in the folder, or else in its sub-folders, and for ``<annotation`` in the first few."""
    try:
        names = list_folder(location)
    except FileNotFoundError:
        return Detection(False, "no such file or folder")
    except NotADirectoryError:
        return Detection(False, "it is a file, not a folder")
    if {f"{ANNOTATIONS}/", f"{IMAGES}/"} <= set(names):
        return Detection(False, f"it contains the folders {ANNOTATIONS} and {IMAGES} of a Pascal VOC dataset")
    xmls, place = _xmls(names), ""
    if not xmls and not is_remote(location) and f"{ANNOTATIONS}/" not in names:
        place = " in its sub-folders"  # one level: exports with a folder for each split, train/a.xml
        folders = [name for name in sorted(names) if name.endswith("/") and not name.startswith(".")]
        for folder in folders[:_MOST_FOLDERS]:
            xmls += [folder + name for name in _xmls(list_folder(join(location, folder)))]
    if not xmls:
        return Detection(False, "no .xml file in it")
    for name in xmls[:_EXAMINED]:
        files, path = filesystem(join(location, name))
        if _is_annotation(files.cat_file(path, start=0, end=_BEGINNING)):
            return Detection(True, f"{len(xmls)} .xml files{place}; {name} begins with <annotation>")
    return Detection(False, f"{len(xmls)} .xml files{place}, and no <annotation> in the first")


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


def _xmls(names: list[str]) -> list[str]:
    return sorted(name for name in names if name.lower().endswith(".xml") and not name.startswith("."))
