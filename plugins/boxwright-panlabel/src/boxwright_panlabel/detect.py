"""Detects panlabel's formats by asking panlabel.

``detect.NAME`` detects the format with that name. panlabel reads the whole dataset for this, so it runs only once for
all formats, only if the names of the files make it possible, and not for large files.
"""

from __future__ import annotations

import os
import tempfile
from functools import lru_cache, partial
from typing import Any, NamedTuple

from boxwright import BoxwrightError, DataError
from boxwright.plugins import Detection
from boxwright.storage import IMAGE_SUFFIXES, filesystem, is_remote
from boxwright_panlabel.program import convert
from boxwright_panlabel.recognise import recognised
from boxwright_panlabel.stage import fetch, first_special
from boxwright_panlabel.table import BRIDGES, ELSEWHERE

_LARGEST = 64 << 20
_FILES = (".json", ".jsonl", ".ndjson", ".manifest", ".xml", ".csv", ".txt", ".labels")
_PARTS = frozenset(
    {
        "_annotations.json",
        "Label",
        "ann",
        "annotation_definitions.json",
        "annotations",
        "annotations.xml",
        "bounding_boxes.labels",
        "gtFine",
        "meta.json",
        "metadata.jsonl",
        "vott-json-export",
        "yolo_keras.txt",
        "yolov4_pytorch.txt",
    }
)
_NAMES = {bridge.program_name: bridge.name for bridge in BRIDGES.values()}


def detect(name: str, location: str) -> Detection:
    """Returns whether panlabel detects the format with that name at a location."""
    if (found_here := recognised(name, location)) is not None:
        return found_here
    try:
        state = _state(location)
        if reason := _unlikely(location, state):
            return Detection(False, reason)
        found, reason = _ask_program(location, state)
    except OSError as error:
        return Detection(False, error.strerror or "the location does not exist")
    return Detection(found == name, reason)


class _State(NamedTuple):
    """The state of a location: its size or the names of its files, and when it changed."""

    whole: bool
    size: int
    names: frozenset[str]
    changed: str


def _state(location: str) -> _State:
    if not is_remote(location):
        what = os.stat(location)
        whole = os.path.isdir(location)
        return _State(whole, what.st_size, frozenset(os.listdir(location) if whole else ()), str(what.st_mtime_ns))
    files, root = filesystem(location)
    what = files.info(root)
    if what["type"] != "directory":
        return _State(False, what["size"] or 0, frozenset(), str(files.checksum(root)))
    inside = files.find(root, detail=True)
    below = len(root.rstrip("/")) + 1
    notes = (path for path in inside if not path.lower().endswith(tuple(IMAGE_SUFFIXES)))
    names = frozenset(path[below:].partition("/")[0] for path in inside)
    return _State(True, sum(inside[path]["size"] or 0 for path in notes), names, str(sorted(inside.items())))


def _unlikely(location: str, state: _State) -> str:
    """Returns why panlabel need not be asked about a location; an empty string if it must."""
    if state.whole:
        if not (state.names & _PARTS or any(name.lower().endswith(".json") for name in state.names)):
            return "it contains no file or folder with a name that panlabel recognizes"
    elif not location.lower().endswith(_FILES):
        return f"its name does not end in {', '.join(_FILES)}"
    if state.size > _LARGEST:
        return f"it is larger than {_LARGEST >> 20} MiB, and panlabel would read all of it"
    if not is_remote(location) and (special := first_special(location)):
        return f"{special} is not a regular file, but a pipe, a device or a socket"
    return ""


@lru_cache(maxsize=8)
def _ask_program(location: str, state: _State) -> tuple[str, str]:
    """Returns panlabel's answer for one state of a location: boxwright's name of the format, if any, and the reason."""
    with tempfile.TemporaryDirectory(prefix="boxwright-panlabel-") as folder:
        try:
            path = fetch(location, folder, images=True) if is_remote(location) else location
            done = convert(
                ("auto", path),
                ("ir-json", os.devnull),
                ["--dry-run"],
                name="FORMAT",
                blamed=location,
                renamed={path: location},
            )
        except DataError as error:
            return "", error.problem.partition(". ")[0]
        except BoxwrightError as error:
            return "", error.message
    name = _NAMES.get(done.source, "")
    if name:
        return name, f"panlabel detects {done.source}"
    return "", f"panlabel detects {done.source}, which the format {ELSEWHERE.get(done.source, done.source)} reads"


def __getattr__(name: str) -> Any:
    if name not in BRIDGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(detect, name)
