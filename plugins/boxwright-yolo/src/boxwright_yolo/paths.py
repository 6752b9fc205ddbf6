"""Finds the files that data.yaml, obj.data and lists of images name, inside the dataset's folder only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final
from urllib.parse import unquote

from boxwright.images import folded
from boxwright.storage import IMAGE_SUFFIXES, Folder, base_name, parent

YAML_SUFFIXES: Final = (".yaml", ".yml")
_DESCRIPTIONS = (*YAML_SUFFIXES, ".data")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]*://")
_IMAGE_FOLDERS = ("images", "JPEGImages")


def label_file_of(image: str) -> str:
    """Returns the path of an image's label file: the last folder ``images`` becomes ``labels``, the suffix ``.txt``.

    This is Ultralytics' rule (https://docs.ultralytics.com/datasets/detect/), and that of darknet, which also accepts
    Pascal VOC's ``JPEGImages``. Without such a folder, the label file is next to the image.
    """
    return f"{stem_of(labels_folder_of(image))}.txt"


def stem_of(path: str) -> str:
    """Returns a path without its suffix."""
    return os.path.splitext(path)[0]


def labels_folder_of(path: str) -> str:
    """Returns a path with its last folder ``images`` replaced by ``labels``, if it has one."""
    for name in _IMAGE_FOLDERS:
        before, found, after = f"/{path}".rpartition(f"/{name}/")
        if found:
            return f"{before}/labels/{after}".removeprefix("/")
    return path


def clean(written: str) -> list[str]:
    """Returns the parts of a written path, with ``.`` and ``..`` resolved and any leading ``..`` removed."""
    parts: list[str] = []
    for part in written.strip().replace("\\", "/").split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return parts


def is_absolute(written: str) -> bool:
    """Whether a written path begins at a root, a drive or a scheme."""
    return _ABSOLUTE.match(written.strip().replace("\\", "/")) is not None


def folder_and_file(location: str) -> tuple[str, str]:
    """Returns the dataset's folder, and the name of the file that describes it if the location is that file."""
    name = base_name(location)
    if not name.lower().endswith(_DESCRIPTIONS) or os.path.isdir(location):
        return location, ""
    return parent(location), name


class Tree:
    """The files and folders of a dataset, in which written paths are found.

    Args:
        folder: The dataset's folder.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.names = frozenset(folder.names)
        own = clean(folder.location)
        self._own = own[-1] if own else ""

    @cached_property
    def folders(self) -> frozenset[str]:
        """The path of every folder that contains a file; the top is ``""``."""
        found = {""}
        for name in self.names:
            folder = name.rpartition("/")[0]
            while folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return frozenset(found)

    @cached_property
    def images(self) -> list[str]:
        """The files with an image's suffix, in plain string order."""
        return self.folder.ending(*IMAGE_SUFFIXES)

    @cached_property
    def _by_folded_name(self) -> dict[str, list[str]]:
        table: dict[str, list[str]] = {}
        for name in self.names:
            table.setdefault(folded(name), []).append(name)
        return table

    def spelled(self, path: str) -> str:
        """Returns the file with a path, or the only one that differs from it in case or the Unicode normal form.

        Empty if there is none.
        """
        if path in self.names:
            return path
        found = self._by_folded_name.get(folded(path), ())
        return found[0] if len(found) == 1 else ""

    def find(self, written: str, base: str = "") -> str | None:
        """Returns the path inside the folder that a written path means, or ``None`` if there is none.

        Tried in order: the path below ``base``, then below the folder's top. A path that leads out of the folder is
        used without its leading ``..``, as Roboflow's exports require and Ultralytics does. Then the part after the
        folder's own name, or after ``data/``, with which CVAT's exports begin. An absolute path, from the machine that
        wrote it, is shortened from its beginning until it exists.

        Args:
            written: A file or folder, with ``/`` or a backslash.
            base: The value of ``path`` in data.yaml, or the folder of the list that names an image.
        """
        if written in self.names:
            return written
        for parts in self._candidates(written, base):
            path = "/".join(parts)
            if path in self.names or path in self.folders or labels_folder_of(f"{path}/")[:-1] in self.folders:
                return path
        return None

    def find_image(self, written: str, base: str = "") -> str | None:
        """Returns what :meth:`find` does, for an image: it or at least its label file exists in the folder."""
        if written in self.names:
            return written
        for parts in self._candidates(written, base):
            path = self.spelled("/".join(parts)) or "/".join(parts)
            if path in self.names or label_file_of(path) in self.names or f"{stem_of(path)}.txt" in self.names:
                return path
        decoded = unquote(written)
        return self.find_image(decoded, base) if decoded != written else None

    def _candidates(self, written: str, base: str) -> Iterator[list[str]]:
        absolute = is_absolute(written)
        for text in (written,) if absolute or not base else (f"{base}/{written}", written):
            parts = clean(text)
            yield parts
            if self._own in parts:
                yield parts[len(parts) - parts[::-1].index(self._own) :]
            if parts[:1] == ["data"]:
                yield parts[1:]
        if absolute:
            parts = clean(written)
            yield from (parts[first:] for first in range(1, len(parts)))
