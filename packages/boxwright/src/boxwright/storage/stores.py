"""Where outputs are written: local files, and anything that fsspec opens."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

from boxwright.errors import DataError
from boxwright.storage.filesystem import alive, filesystem
from boxwright.storage.switch import JOURNAL, MARK, OLD, settle
from boxwright.storage.uri import base_name, join, parent

# Process numbers mean nothing on another machine. os.uname says its name without importing platform.
_NODE = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
_UNFINISHED: Final = ".boxwright-unfinished"
HOST: Final = f"{zlib.crc32(_NODE.encode()):08x}"


class LocalStorage:
    """Local files."""

    def split(self, path: str) -> tuple[str, str]:
        """Returns the folder and the name of a path."""
        # A link is followed: what it points to is replaced, on its own disk, and the link stays.
        whole = Path(os.path.realpath(path) if os.path.islink(path) else path)
        return str(whole.parent), whole.name

    def join(self, folder: str, name: str) -> str:
        """Returns the path of a file in a folder."""
        return str(Path(folder) / name)

    def exists(self, path: str) -> bool:
        """Whether there is something with this path."""
        return os.path.lexists(path)

    def is_folder(self, path: str) -> bool:
        """Whether a path is a folder."""
        return os.path.isdir(path)

    def names(self, path: str) -> list[str]:
        """Returns the names in a folder."""
        return os.listdir(path)

    def make_folder(self, path: str) -> list[str]:
        """Creates a folder and those above it; returns those that did not exist."""
        missing = list(
            itertools.takewhile(lambda each: not os.path.lexists(each), (path, *map(str, Path(path).parents)))
        )
        os.makedirs(path, exist_ok=True)
        return missing[::-1]

    def link(self, source: str, target: str) -> None:
        """Creates a second path of a file, or copies it."""
        try:
            os.link(source, target)
        except OSError:  # a file system without hard links
            shutil.copyfile(source, target)

    def open(self, path: str) -> IO[bytes]:
        """Creates a file."""
        # A write larger than the buffer goes straight to the file: images do, rows of text are collected.
        return open(path, "xb", buffering=1 << 16)

    def remove_file(self, path: str) -> None:
        """Removes a file."""
        os.remove(path)

    def remove_folder(self, path: str) -> None:
        """Removes a folder with its content."""
        shutil.rmtree(path, ignore_errors=True)

    def files_below(self, folder: str) -> Iterator[str]:
        """Yields the files in a folder and below."""
        for base, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if MARK not in name]
            yield from (os.path.join(base, name) for name in names)

    def remove_stale(self, parent: str, name: str) -> None:
        """Removes what killed local processes left of outputs whose name begins with ``name``."""
        settle(parent, wait=True)  # what another process needs to finish the changes of a third is not left over
        prefix = "|".join(map(re.escape, (f".{name}", f".{JOURNAL}")))
        pattern = re.compile(rf"(?:{prefix}).*{re.escape(MARK)}{HOST}-(\d+)-\d+(?:{OLD})?$")
        try:
            with os.scandir(parent) as entries:
                left = [(entry.path, match) for entry in entries if (match := pattern.match(entry.name))]
        except FileNotFoundError:
            return
        for path, match in left:
            if alive(int(match[1])):
                continue
            with contextlib.suppress(OSError):  # another process may be clearing it away as well
                if os.path.isdir(path) and not os.path.islink(path):
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    os.remove(path)


class RemoteStorage:
    """Anything that fsspec opens, which has no rename for folders: files are moved one by one."""

    def __init__(self, location: str) -> None:
        self.fs, _ = filesystem(location)

    def split(self, path: str) -> tuple[str, str]:
        """Returns the folder and the name of a path."""
        scheme, _, rest = path.rstrip("/").partition("://")
        parent, _, name = rest.rpartition("/")
        return f"{scheme}://{parent}", name

    def join(self, folder: str, name: str) -> str:
        """Returns the path of a file in a folder."""
        return join(folder, name)

    def exists(self, path: str) -> bool:
        """Whether there is something with this path."""
        return bool(self.fs.exists(path))

    def is_folder(self, path: str) -> bool:
        """Whether a path is a folder."""
        return bool(self.fs.isdir(path))

    def names(self, path: str) -> list[str]:
        """Returns the names in a folder."""
        return list(self.fs.ls(path, detail=False))

    def make_folder(self, path: str) -> list[str]:
        """Creates a folder and those above it; returns those that did not exist, as far as that is known."""
        if not path.endswith("://"):
            with contextlib.suppress(FileExistsError):
                self.fs.makedirs(path, exist_ok=True)
        return []

    def link(self, source: str, target: str) -> None:
        """Creates a second path of a file, or copies it."""
        self.fs.copy(source, target)

    def open(self, path: str) -> IO[bytes]:
        """Creates a file."""
        return self.fs.open(path, "wb")  # type: ignore[no-any-return]

    def remove_file(self, path: str) -> None:
        """Removes a file."""
        self.fs.rm(path)

    def remove_folder(self, path: str) -> None:
        """Removes a folder with its content."""
        self.fs.rm(path, recursive=True)

    def replace(self, pairs: Sequence[tuple[str, str]], *, folder: bool) -> None:
        """Moves files, or a folder, from temporary to final paths."""
        if not folder:
            for temporary, final in pairs:
                self.fs.mv(temporary, final)
            return
        ((temporary, final),) = pairs
        made, old = ([*self.files_below(path)] for path in (temporary, final))
        for name in made:
            self.fs.mv(join(temporary, name), join(final, name))
        for name in set(old) - set(made):
            self.fs.rm(join(final, name))
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm(temporary, recursive=True)

    def mark(self, target: str) -> str:
        """Writes a file that says that the files of a target are being moved; returns its path."""
        path = _mark_of(target)
        with self.fs.open(path, "wb") as file:
            file.write(b"boxwright is replacing these files, or was killed meanwhile\n")
        return path

    def files_below(self, folder: str) -> Iterator[str]:
        """Yields the files in a folder and below."""
        inside = len(self.fs._strip_protocol(folder).rstrip("/")) + 1
        return (path[inside:] for path in self.fs.find(folder))

    def remove_stale(self, parent: str, name: str) -> None:
        """Left alone: another machine may be writing there."""


def _mark_of(location: str) -> str:
    name = base_name(location.rstrip("/")).partition("@")[0]
    return join(parent(location.rstrip("/")), f".{name}{_UNFINISHED}")


def check_finished(location: str) -> None:
    """Checks that no process was killed while it moved several files to a URL, where this is not atomic.

    Args:
        location: A URL; those that are never written, such as files in archives, are not checked.

    Raises:
        DataError: One was killed, or is moving them now.
    """
    if "::" in location or location.startswith(("http:", "https:")):
        return
    mark, found = _mark_of(location), False
    with contextlib.suppress(Exception):  # opening the dataset has the same error, and says more
        found = bool(filesystem(mark)[0].exists(mark))
    if found:
        problem = "its files are being replaced, or were when that conversion was killed: some may be old and some new"
        raise DataError(location, problem, f"convert again with --overwrite, or remove {mark} if you checked them")
