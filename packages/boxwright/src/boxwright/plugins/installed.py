"""The entry points of the installed distributions, found in a tenth of ``importlib.metadata``'s time.

That library reads every distribution's metadata as an e-mail, a tenth of a small conversion's time. Here only what
belongs to one group is looked at closely. What is installed in another way than as ``NAME.dist-info`` or
``NAME.egg-info`` in a folder of ``sys.path`` (in a zip file, by a finder of its own) is left to it.

Where these files lie and what they hold: https://packaging.python.org/en/latest/specifications/entry-points/ and
https://packaging.python.org/en/latest/specifications/recording-installed-packages/.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterator
from functools import reduce
from importlib.machinery import PathFinder
from typing import Any, NamedTuple

_METADATA = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}
_HEAD = re.compile(rb"\A(?:[^\n\r]+\r?\n)+")  # the headers end at the first empty line
_FIELD = rb"(?im)^%s:[ \t]*(\S+)"
_VALUE = re.compile(r"(?P<module>[\w.]+)\s*(?::\s*(?P<attribute>[\w.]+))?\s*(?:\[.*\])?")


class InstalledPoint(NamedTuple):
    """One entry point.

    Attributes:
        name: Its name in the group.
        value: ``"module"`` or ``"module:attribute"``.
        distribution: What brings it; ``"unknown"`` where its metadata is damaged.
        version: The distribution's version, or ``""``.
    """

    name: str
    value: str
    distribution: str
    version: str

    def load(self) -> Any:
        """Imports the object.

        Raises:
            ValueError: The value is no reference to an object.
            Exception: Whatever importing it raises.
        """
        found = _VALUE.fullmatch(self.value)
        if found is None:
            raise ValueError(f"{self.value!r} is no module and no module:attribute")
        attributes = found["attribute"].split(".") if found["attribute"] else []
        return reduce(getattr, attributes, importlib.import_module(found["module"]))


def installed_points(group: str) -> list[InstalledPoint]:
    """The entry points of a group, in the order of ``sys.path``; of a distribution found twice, only the first."""
    if any(hasattr(finder, "find_distributions") and finder is not PathFinder for finder in sys.meta_path):
        return _by_importlib(group)
    points: list[InstalledPoint] = []
    seen: set[str] = set()
    for place in dict.fromkeys(sys.path):
        try:
            names = os.listdir(place or ".")
        except NotADirectoryError:
            return _by_importlib(group)  # a zip file
        except OSError:
            continue
        for name in sorted(names):
            metadata = _METADATA.get(os.path.splitext(name)[1])
            if metadata is None:
                continue
            project = name.partition("-")[0].removesuffix(".egg-info").lower()
            if project in seen:
                continue
            seen.add(project)
            folder = os.path.join(place, name)
            text = _content(os.path.join(folder, "entry_points.txt"))
            if group.encode() in text:
                points += _of_file(text.decode(errors="replace"), group, _content(os.path.join(folder, metadata)))
    return points


def _content(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""


def _of_file(text: str, group: str, metadata: bytes) -> Iterator[InstalledPoint]:
    head = _HEAD.match(metadata)
    fields = [re.search(_FIELD % name, head[0] if head else b"") for name in (b"Name", b"Version")]
    distribution, version = (found[1].decode(errors="replace") if found else "" for found in fields)
    inside = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            inside = line.strip("[]") == group
        elif inside and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield InstalledPoint(name.strip(), value.strip(), distribution or "unknown", version)


def _by_importlib(group: str) -> list[InstalledPoint]:
    from importlib.metadata import entry_points

    points = []
    for point in entry_points(group=group):
        try:
            assert point.dist is not None
            distribution, version = str(point.dist.name or "unknown"), str(point.dist.version or "")
        except Exception:  # metadata that is damaged or gone
            distribution, version = "unknown", ""
        points.append(InstalledPoint(point.name, point.value, distribution, version))
    return points
