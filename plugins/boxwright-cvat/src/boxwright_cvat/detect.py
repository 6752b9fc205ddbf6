"""Recognizes CVAT's XML."""

from __future__ import annotations

import re

from boxwright import BoxwrightError
from boxwright.plugins import Detection
from boxwright.storage import base_name, is_folder, join, open_binary
from boxwright_cvat.reader import FILE

_BEGINNING = 1 << 14
_ROOT = re.compile(rb"<annotations[\s/>]")
_PARTS = re.compile(rb"<(meta|image|track)[\s/>]")


def detect(location: str) -> Detection:
    """Looks for ``<annotations>`` at the beginning of the XML file, or of ``annotations.xml`` in a folder."""
    try:
        inside = is_folder(location)
        if not inside and not base_name(location).lower().endswith(".xml"):
            return Detection(False, "its name does not end in .xml")
        with open_binary(join(location, FILE) if inside else location) as file:
            beginning = file.read(_BEGINNING).replace(b"\0", b"")  # in UTF-16 each ASCII character has a NUL next to it
    except BoxwrightError as error:
        return Detection(False, f"no {FILE} in it" if inside else error.message.rpartition(": ")[2])
    if not _ROOT.search(beginning):
        return Detection(False, "its root element is not <annotations>")
    part = _PARTS.search(beginning)
    if part is None:
        return Detection(False, "its <annotations> contain no <meta>, <image> or <track>")
    return Detection(True, f"its <annotations> contain <{part[1].decode()}>")
