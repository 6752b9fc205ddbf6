"""The files of a folder, on this machine or wherever fsspec reaches, listed once and in a fixed order."""

from __future__ import annotations

import os
from typing import Any

from boxwright.errors import DataError
from boxwright.storage.uri import is_remote, join

_CHUNK = 1 << 16
_LARGEST = 64 << 20
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)


class Folder:
    """A folder and all its sub-folders; hidden files and folders (``.name``) are left out.

    Make one by :meth:`at`, which also takes URLs.

    Attributes:
        names: The files by their path inside the folder, with ``/``, in the order of the file system; sort what you
            use.

    Raises:
        DataError: The folder does not exist.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        self.names: list[str] = self._list()

    @staticmethod
    def at(location: str) -> Folder:
        """The folder at a path, or at a URL that fsspec opens."""
        return _RemoteFolder(location) if is_remote(location) else Folder(location)

    def ending(self, *suffixes: str) -> list[str]:
        """The files with one of these endings (``".xml"``, lower case), in plain string order."""
        return sorted(name for name in self.names if name.lower().endswith(suffixes))

    def place(self, name: str) -> str:
        """The path or URL of one of its files."""
        return f"{self.location}/{name}" if self.location != "." else name

    def read(self, name: str) -> bytes:
        """Returns the content of one of its annotation files; use :meth:`boxwright.ImageRef.read` for images.

        Raises:
            DataError: It cannot be read, or is larger than any annotation.
        """
        try:
            # os.open and os.read cost half of open(), which matters with thousands of small files.
            handle = os.open(self.place(name), _FLAGS)
            try:
                content = data = os.read(handle, _CHUNK)
                while data and len(content) <= _LARGEST:  # a read may return less than the rest of the file
                    data = os.read(handle, max(_CHUNK, len(content)))
                    content += data
            finally:
                os.close(handle)
            return _limited(content, self.place(name))
        except OSError as error:
            raise _unreadable(self.place(name), error) from None

    def _list(self) -> list[str]:
        self.location = os.path.normpath(self.location)
        if not os.path.isdir(self.location):
            file = os.path.exists(self.location)
            raise DataError(
                self.location,
                "it is a file, not a folder" if file else "folder not found",
                "name its folder" if file else "check the path",
            )
        names: list[str] = []
        self._walk("", names, {os.path.realpath(self.location)})
        return names

    def _walk(self, inside: str, names: list[str], seen: set[str]) -> None:
        try:
            with os.scandir(self.place(inside) if inside else self.location) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if not entry.is_dir():
                        names.append(inside + entry.name)
                    elif (real := os.path.realpath(entry.path)) not in seen:  # a link may lead back up
                        seen.add(real)
                        self._walk(f"{inside}{entry.name}/", names, seen)
        except OSError as error:
            raise _unreadable(self.place(inside), error) from None


class _RemoteFolder(Folder):
    def place(self, name: str) -> str:
        return join(self.location, name)

    def read(self, name: str) -> bytes:
        try:
            content: bytes = self._fs.cat_file(f"{self._root}/{name}")
        except OSError as error:
            raise _unreadable(self.place(name), error) from None
        return _limited(content, self.place(name))

    def _list(self) -> list[str]:
        import fsspec

        self._fs: Any
        self._fs, root = fsspec.core.url_to_fs(self.location)
        self._root = root.rstrip("/")
        if not self._fs.isdir(root):
            raise DataError(self.location, "folder not found", "check the address")
        inside = [path[len(self._root) :].lstrip("/") for path in self._fs.find(root)]
        return [name for name in inside if not any(part.startswith(".") for part in name.split("/"))]


def _limited(data: bytes, place: str) -> bytes:
    if len(data) > _LARGEST:
        raise DataError(place, f"it is larger than {_LARGEST >> 20} MiB", "is this an annotation? move it elsewhere")
    return data


def _unreadable(place: str, error: OSError) -> DataError:
    return DataError(place, f"it cannot be read: {error.strerror or error}", "check the file and its permissions")
