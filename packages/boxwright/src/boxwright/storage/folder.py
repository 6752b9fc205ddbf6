"""The files of a folder, on this machine or wherever fsspec reaches, listed once and in a fixed order."""

from __future__ import annotations

import os
from typing import Any

from boxwright.errors import DataError
from boxwright.storage.filesystem import MAX_FILE_BYTES, check_length, open_regular, read_within
from boxwright.storage.links import link_error, links_followed
from boxwright.storage.objects import is_object_storage, is_prefix, names_below
from boxwright.storage.uri import is_remote, join

_CHUNK = 1 << 16


class Folder:
    """A folder and all its sub-folders; hidden files and folders (``.name``) are left out.

    Make one by :meth:`at`, which also takes URLs. Links that lead out of the folder are refused unless the user follows
    links: those to folders at once, and those to files when they are read.

    Attributes:
        names: The files by their path inside the folder, with ``/``, in the order of the file system; sort what you
            use.

    Raises:
        DataError: The folder does not exist, or a link to another folder leads out of it.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        self._links_out: dict[str, str] = {}
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
            DataError: It cannot be read, is larger than any annotation, or is a link that leads out of the folder.
        """
        if name in self._links_out:
            raise link_error(self.place(name), self._links_out[name])
        try:
            # os.open and os.read cost half of open(), which matters with thousands of small files.
            handle = open_regular(self.place(name))
            try:
                content = data = os.read(handle, _CHUNK)
                while data and len(content) <= MAX_FILE_BYTES:  # a read may return less than the rest of the file
                    data = os.read(handle, max(_CHUNK, len(content)))
                    content += data
            finally:
                os.close(handle)
            return check_length(content, self.place(name), MAX_FILE_BYTES)
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
        root = os.path.realpath(self.location)
        self._walk("", names, {root}, "" if links_followed() else os.path.join(root, ""))
        return names

    def _walk(self, inside: str, names: list[str], seen: set[str], root: str) -> None:
        """Adds the files of a sub-folder; ``root`` is where links may lead, empty for anywhere."""
        try:
            with os.scandir(self.place(inside) if inside else self.location) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_file(follow_symlinks=False):  # nearly all, for which this is all there is to ask
                        names.append(inside + entry.name)
                        continue
                    if entry.is_symlink():
                        target = os.path.realpath(entry.path)
                        outside = not os.path.join(target, "").startswith(root)
                        if outside and entry.is_dir():
                            raise link_error(entry.path, target)
                        if outside:
                            self._links_out[inside + entry.name] = target
                    if not entry.is_dir():
                        names.append(inside + entry.name)
                    elif (real := os.path.realpath(entry.path)) not in seen:  # a link may lead back up
                        seen.add(real)
                        self._walk(f"{inside}{entry.name}/", names, seen, root)
        except OSError as error:
            raise _unreadable(self.place(inside), error) from None


class _RemoteFolder(Folder):
    def place(self, name: str) -> str:
        return join(self.location, name)

    def read(self, name: str) -> bytes:
        try:
            return read_within(self._fs, f"{self._root}/{name}", self.place(name), MAX_FILE_BYTES)
        except OSError as error:
            raise _unreadable(self.place(name), error) from None

    def _list(self) -> list[str]:
        import fsspec

        self._fs: Any
        self._fs, root = fsspec.core.url_to_fs(self.location)
        self._root = root.rstrip("/")
        try:
            if is_object_storage(self._fs):
                names = [*filter(_shown, names_below(self._fs, root))]
                there = names or is_prefix(self._fs, root)
            else:
                there = self._fs.isdir(root)
                inside = (path[len(self._root) :].lstrip("/") for path in self._fs.find(root)) if there else ()
                names = [*filter(_shown, inside)]
        except FileNotFoundError:  # no such bucket
            there = False
        if not there:
            raise DataError(self.location, "folder not found", "check the address")
        return names


def _shown(name: str) -> bool:
    return not any(part.startswith(".") for part in name.split("/"))


def _unreadable(place: str, error: OSError) -> DataError:
    return DataError(place, f"it cannot be read: {error.strerror or error}", "check the file and its permissions")
