"""Detects formats that panlabel recognizes only if it finds the images, by the beginning of the file."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice

from boxwright import BoxwrightError, DataError
from boxwright.plugins import Detection
from boxwright.storage import IMAGE_SUFFIXES, base_name, json_members, open_binary

_SOME = 1 << 12
_OBJECT = "name a JSON file"
_IMAGE = rf"[^,\n]*(?:{'|'.join(re.escape(suffix) for suffix in sorted(IMAGE_SUFFIXES))})"
_FACES = re.compile(rf"(?:\d+\r?\n)?{_IMAGE}\r?\n\d+\s*\r?\n(?:-?\d+\s+){{9}}-?\d+\s*(?:\r?\n|$)", re.IGNORECASE)
_AUTOML = re.compile(
    rf"(?:(?:TRAIN|TRAINING|VALIDATION|VALIDATE|TEST|UNASSIGNED)?,)?{_IMAGE},[^,\n]*,[\d.]+,[\d.]+,[\d.]*,[\d.]*,[\d.]+,[\d.]+,",
    re.IGNORECASE,
)
_VOTT = re.compile(r'"?image"?,"?xmin"?,"?ymin"?,"?xmax"?,"?ymax"?,"?label"?\s')


def _vott_json(location: str) -> Detection:
    for member in islice(json_members(location, _OBJECT, into=("assets",)), 64):
        entry = member.value
        if member.key == "assets" and isinstance(entry, dict) and {"asset", "regions"} <= entry.keys():
            return Detection(True, "an object with assets, which have regions")
    return Detection(False, "no assets with regions in it")


def _begins(pattern: re.Pattern[str], what: str) -> Callable[[str], Detection]:
    def detect(location: str) -> Detection:
        with open_binary(location) as file:
            text = file.read(_SOME).decode("utf-8-sig", "replace")
        return Detection(True, what) if pattern.match(text) else Detection(False, f"it does not begin with {what}")

    return detect


_KINDS: dict[str, tuple[str, Callable[[str], Detection]]] = {
    "automl-vision": (".csv", _begins(_AUTOML, "a use, an image, a label and two corners from 0 to 1")),
    "vott-csv": (".csv", _begins(_VOTT, "VoTT's header image,xmin,ymin,xmax,ymax,label")),
    "vott-json": (".json", _vott_json),
    "wider-face": (".txt", _begins(_FACES, "an image, a number of faces, and ten numbers for each")),
}


def recognised(name: str, location: str) -> Detection | None:
    """Returns whether a file has the format with that name, ``None`` if panlabel must be asked."""
    if name not in _KINDS:
        return None
    ending, detect = _KINDS[name]
    if not base_name(location).lower().endswith(ending):
        return Detection(False, f"its name does not end in {ending}")
    try:
        return detect(location)
    except DataError as error:
        return Detection(False, error.problem)
    except BoxwrightError as error:
        return Detection(False, error.message)
