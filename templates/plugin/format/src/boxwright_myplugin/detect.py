"""Detects the format of a location."""

from __future__ import annotations

from boxwright import DataError, Detection

from boxwright_myplugin.files import open_bytes

_START = 4096


def detect(location: str) -> Detection:
    """Checks the suffix of the file and its first bytes."""
    if not location.lower().endswith(".myplugin"):
        return Detection(False, "its name does not end in .myplugin")
    try:
        with open_bytes(location) as file:
            start = file.read(_START)
    except DataError as error:
        return Detection(False, error.problem)
    if start.lstrip().startswith(b"{") and b'"image"' in start:
        return Detection(True, "its first line is a JSON object that names an image")
    return Detection(False, "its first line is not a JSON object that names an image")
