"""Tells whether a location looks like a Pascal VOC dataset."""

from __future__ import annotations

from boxwright.errors import DataError
from boxwright.folders import Folder
from boxwright.specs import Detection
from boxwright.uri import join
from boxwright_voc.places import ANNOTATIONS, years


def detect(location: str) -> Detection:
    """Looks for ``Annotations`` in the folder or its sub-folders, and for ``<annotation`` in the first XML there."""
    try:
        _, place = years(location)[0]
        folder = Folder.at(join(place, ANNOTATIONS))
        xmls = folder.ending(".xml")
        if not xmls:
            return Detection(False, f"no .xml file in its folder {ANNOTATIONS}")
        # UTF-16 has a NUL beside every ASCII character.
        if b"<annotation" not in folder.read(xmls[0]).replace(b"\0", b""):
            return Detection(False, f"{ANNOTATIONS}/{xmls[0]} is no <annotation>")
    except DataError as error:
        return Detection(False, error.problem)
    return Detection(True, f"{len(xmls)} .xml files in its folder {ANNOTATIONS}")
