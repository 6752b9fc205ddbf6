"""Detects the format of a location."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from boxwright.datasets.split_folders import answer_of, parts_of
from boxwright.errors import DataError, UsageError
from boxwright.plugins.registry import Registry, default_registry
from boxwright.plugins.specs import Detection, FormatSpec
from boxwright.progress import logger
from boxwright.storage.uri import is_remote

_FEW, _MANY = 4, 200
_NEAR = 3
_FAR = re.compile(r"(?:no|not|its name|file|folder|it (?:is|contains) (?:no|not|a)) ", re.IGNORECASE)
"""How the reason begins if a location has no file of the kind that a format looks for; see :class:`Detection`."""


def detect_format(location: str, plugins: Registry | None = None) -> str:
    """The name of the one format that a location looks like.

    The answer of every format is logged, for ``boxwright --verbose``.

    Raises:
        UsageError: No format matches, or more than one; the message lists those and the near misses.
        DataError: There is nothing at that location.
    """
    plugins = plugins or default_registry()
    found = detection_reasons(location, plugins)
    for name, answer in found.items():
        logger().info("%s is %s%s: %s", location, "" if answer.matches else "not ", name, answer.reason)
    matches = [name for name, detection in found.items() if detection.matches] or in_parts(location, plugins)
    if len(matches) == 1:
        return matches[0]
    path = Path(location)
    if not matches and not is_remote(location) and not path.exists() and not path.is_symlink():
        raise DataError(location, "file or folder not found", "check the path")
    if not matches and path.is_dir() and not any(path.iterdir()):
        raise DataError(location, "the folder is empty", "check the path")
    shown = {name: answer for name, answer in found.items() if answer.matches} or near_misses(found)
    reasons = "".join(f"\n  {name}: {answer.reason}" for name, answer in shown.items())
    if matches:
        raise UsageError(f"{location} could be {' or '.join(matches)}:{reasons}", f"say which: {matches[0]}:{location}")
    inside = " or ".join(recognised_inside(location, plugins))
    remedy = f"it is a folder; name what is in it: {inside}" if inside else f"name its format: FORMAT:{location}"
    remedy += "; --verbose shows why it is none of the others" if len(found) > len(shown) else ""
    raise UsageError(f"no format was recognised at {location}{':' if reasons else ''}{reasons}", remedy)


def near_misses(answers: Mapping[str, Detection]) -> dict[str, Detection]:
    """Returns the few formats that found files of their kind, and something wrong in them."""
    times = Counter(answer.reason for answer in answers.values())
    near = {
        name: answer
        for name, answer in answers.items()
        if not answer.matches and times[answer.reason] == 1 and not _FAR.match(answer.reason)
    }
    return dict(list(near.items())[:_NEAR])


def in_parts(location: str, plugins: Registry) -> list[str]:
    """Returns the formats of which a folder has parts: a file, or one in each of ``train``, ``valid`` and ``test``."""
    specs = [entry.spec for entry in plugins.all("format") if entry.spec.load and not entry.missing]
    return [spec.name for spec in specs if parts_of(spec, location, plugins)]


def recognised_inside(location: str, plugins: Registry) -> list[str]:
    """The first few files of a local folder and its sub-folders that a format knows, or else its sub-folders.

    Such as ``coco:export/train/_annotations.coco.json``: for somebody who names the folder that was unpacked.
    """
    if is_remote(location):
        return []
    found: list[str] = []
    top = Path(location)
    for folder in (top, *[path for path in _listed(top) if path.is_dir()][:_FEW]):
        for path in _listed(folder)[:_MANY]:
            for entry in plugins.all("format"):
                spec: FormatSpec = entry.spec
                fits = spec.detect and spec.target == "file" and path.name.lower().endswith(spec.suffixes or ("/",))
                if fits and not entry.missing and answer_of(spec, str(path), plugins).matches:
                    found.append(f"{spec.name}:{path}")
        if len(found) >= _FEW:
            break
    if not found:
        for folder in [path for path in _listed(top) if path.is_dir() and path.name != "__MACOSX"][:_FEW]:
            answers = detection_reasons(str(folder), plugins)
            names = [name for name, answer in answers.items() if answer.matches] or in_parts(str(folder), plugins)
            found += [f"{name}:{folder}" for name in names]
    return found[:_FEW]


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:  # it does not exist, is a file, or may not be looked into
        return []


def detection_reasons(location: str, plugins: Registry) -> dict[str, Detection]:
    """Every readable format's answer to whether a location is its own, with the reason."""
    answers: dict[str, Detection] = {}
    for entry in plugins.all("format"):
        if not entry.spec.detect:
            continue
        if entry.missing:
            answers[entry.spec.name] = Detection(False, f"{', '.join(entry.missing)} is not installed")
            continue
        answers[entry.spec.name] = answer_of(entry.spec, location, plugins)
    return answers
