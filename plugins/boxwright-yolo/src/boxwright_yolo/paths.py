"""Where the files lie that data.yaml, obj.data and lists of pictures name: in the dataset's folder, never outside."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from boxwright.folders import Folder
from boxwright.uri import PICTURE_SUFFIXES, base_name, parent

PICTURE_ENDINGS: Final = tuple(sorted(PICTURE_SUFFIXES))
YAML_ENDINGS: Final = (".yaml", ".yml")
_DESCRIPTIONS = (*YAML_ENDINGS, ".data")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]*://")
_PICTURE_FOLDERS = ("images", "JPEGImages")


def label_file_of(picture: str) -> str:
    """The path of a picture's label file: the last folder ``images`` becomes ``labels``, the ending ``.txt``.

    This is Ultralytics' rule (https://docs.ultralytics.com/datasets/detect/), and darknet's, which also knows Pascal
    VOC's ``JPEGImages``. A picture in no such folder has its label file beside it.
    """
    return f"{stem_of(labels_folder_of(picture))}.txt"


def stem_of(path: str) -> str:
    """A path without its ending."""
    return os.path.splitext(path)[0]


def labels_folder_of(path: str) -> str:
    """A path with its last folder ``images`` exchanged for ``labels``; the same path where it has none."""
    for name in _PICTURE_FOLDERS:
        before, found, after = f"/{path}".rpartition(f"/{name}/")
        if found:
            return f"{before}/labels/{after}".removeprefix("/")
    return path


def clean(written: str) -> list[str]:
    """The parts of a written path, without ``.``, without ``..`` and what it takes back, and without leading ``..``."""
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
    """The dataset's folder, and the name in it of the file that describes it, where that is what is named."""
    name = base_name(location)
    if not name.lower().endswith(_DESCRIPTIONS) or os.path.isdir(location):
        return location, ""
    return parent(location), name


class Tree:
    """The files and folders of a dataset, among which written paths are looked for.

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
        """Every folder that holds a file, by its path inside; the top is the empty text."""
        found = {""}
        for name in self.names:
            folder = name.rpartition("/")[0]
            while folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return frozenset(found)

    @cached_property
    def pictures(self) -> list[str]:
        """The files with a picture's ending, in plain string order."""
        return self.folder.ending(*PICTURE_ENDINGS)

    def find(self, written: str, base: str = "") -> str | None:
        """The path inside the folder that is meant by a written one; ``None`` where there is nothing like it.

        Tried in turn: the path below ``base``, then below the folder's top. A path that leads out of the folder is
        taken without its leading ``..``, as Roboflow's exports need it and Ultralytics does it. Then what follows the
        folder's own name, or ``data/``, with which CVAT's exports begin. An absolute path, which is that of the machine
        where it was written, is shortened from its beginning until something is there.

        Args:
            written: A file or folder, with ``/`` or a backslash.
            base: What data.yaml says under ``path``, or the folder of the list that names a picture.
        """
        if written in self.names:
            return written
        for parts in self._candidates(written, base):
            path = "/".join(parts)
            if path in self.names or path in self.folders or labels_folder_of(f"{path}/")[:-1] in self.folders:
                return path
        return None

    def find_picture(self, written: str, base: str = "") -> str | None:
        """As :meth:`find`, of a picture: it, or at least its label file, is in the folder."""
        if written in self.names:
            return written
        for parts in self._candidates(written, base):
            path = "/".join(parts)
            if path in self.names or label_file_of(path) in self.names or f"{stem_of(path)}.txt" in self.names:
                return path
        return None

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
