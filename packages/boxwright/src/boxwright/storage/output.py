"""Outputs that appear complete or not at all.

Everything is written under a temporary name next to the target (``.NAME.boxwright-partial-HOST-PID-N``) and renamed at
the end, so that a kill, a full disk or an error leaves the target unchanged. What a killed process left is
removed by the next output to the same target. A folder is replaced by two renames: a process killed between them leaves
the old folder under its temporary name, from where the next output to that target brings it back first.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType, TracebackType
from typing import IO, Any

from boxwright.errors import OutputError
from boxwright.storage.filesystem import alive, filesystem
from boxwright.storage.uri import IMAGE_SUFFIXES, is_remote, join

_MARK = ".boxwright-partial-"
_OLD = "-old"
SIDECAR_SUFFIX = ".sidecar.jsonl"
"""How the names of the files end that keep what a format cannot hold; see :mod:`boxwright.datasets.sidecar`."""
_numbers = itertools.count()
# Process numbers mean nothing on another machine. os.uname says its name without importing platform.
_NODE = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
_HOST = f"{zlib.crc32(_NODE.encode()):08x}"


class AtomicOutput:
    """A file, a set of files side by side, or a folder, in the making.

    Use it as a context manager: leaving it normally puts everything in place, leaving it by an exception removes it.

    Args:
        location: The target, a path or a URL that fsspec opens.
        target: ``"file"`` or ``"folder"``.
        overwrite: Whether an existing target may be replaced.
        dataset_attributes: What a writer may know of the dataset as a whole.

    Raises:
        OutputError: The target exists and ``overwrite`` is false, or its parent cannot be made.
    """

    def __init__(
        self,
        location: str,
        target: str = "file",
        *,
        overwrite: bool = False,
        dataset_attributes: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.location = location
        self.dataset_attributes = dataset_attributes
        self.target = target
        self.overwrite = overwrite
        self._open_files: list[IO[bytes]] = []
        self._storage: _LocalStorage | _RemoteStorage
        self._storage = _RemoteStorage(location) if is_remote(location) else _LocalStorage()
        self._token = f"{_MARK}{_HOST}-{os.getpid()}-{next(_numbers)}"
        self._parent, self._name = self._storage.split(location)
        if not self._name:
            raise OutputError(f"{location} names no file", "give the output a name")
        self._target = self._storage.join(self._parent, self._name)
        self._written: dict[str, str] = {}  # final path -> temporary path
        self._folder = self._storage.join(self._parent, f".{self._name}{self._token}") if target == "folder" else None
        with _plain_os_errors(location):
            # The files of a sharded output, `name@10`, are named after the part before the mark.
            self._storage.remove_stale(self._parent, self._name.partition("@")[0])
            self._check_target()
            self._storage.make_folder(self._parent)
            if self._folder:
                self._storage.make_folder(self._folder)

    @property
    def workplace(self) -> str | None:
        """The folder in which a ``"folder"`` output is made, else ``None``; other programs may put files there."""
        return self._folder

    def _check_target(self) -> None:
        path = self._target
        if not self._storage.exists(path):
            return
        is_folder = self._storage.is_folder(path)
        if self.target == "folder" and is_folder and not self._storage.list(path):
            return
        if is_folder and self.target == "file":
            raise OutputError(f"{path} is a folder", "give the name of a file")
        if not is_folder and self.target == "folder":
            raise OutputError(f"{path} is a file", "give the name of a folder")
        if not self.overwrite:
            raise OutputError(f"{path} exists already", "choose another name, or say --overwrite (overwrite=True)")

    def open(self, name: str = "") -> IO[bytes]:
        """Opens a new binary file of this output; see :class:`boxwright.datasets.Output`.

        Raises:
            OutputError: The name is unsafe, a duplicate, exists already, or cannot be written.
        """
        temporary, final = self._paths(name)
        with _plain_os_errors(final):
            if self._folder:
                self._storage.make_folder(self._storage.split(temporary)[0])
            file = self._storage.open(temporary)
        self._open_files = [other for other in self._open_files if not other.closed]
        self._open_files.append(file)
        return file

    def copy(self, source: str | os.PathLike[str], name: str) -> None:
        """Copies a local file into this output, byte for byte.

        Raises:
            OutputError: As :meth:`open`.
        """
        with self.open(name) as target, open(source, "rb") as file:
            shutil.copyfileobj(file, target, 1 << 20)

    def _paths(self, name: str) -> tuple[str, str]:
        safe_name(name or self._name, self.location, _RENAME if name else "give the output another name")
        if self._folder:
            final = self._storage.join(self._folder, name)
            temporary = final
        else:
            final = self._storage.join(self._parent, name or self._name)
            if name:
                self._check_sibling(final)
            folder, base = self._storage.split(final)
            temporary = self._storage.join(folder, f".{base}{self._token}")
        if final in self._written:
            raise OutputError(
                f"{name or self.location} would be written twice",
                "two images have the same name: rename one, or keep them in different folders",
            )
        self._written[final] = temporary
        return temporary, final

    def _check_sibling(self, path: str) -> None:
        if not self._storage.exists(path):
            return
        if self._storage.is_folder(path):
            raise OutputError(f"{path} is a folder", "move it away, or choose another name")
        if not self.overwrite:
            raise OutputError(f"{path} exists already", "choose another name, or say --overwrite (overwrite=True)")

    def commit(self) -> None:
        """Puts everything in place under its final name.

        Raises:
            OutputError: Another program made the target meanwhile, it contains foreign files, or it cannot be replaced;
                it is unchanged.
        """
        with _plain_os_errors(self.location):
            for file in self._open_files:
                if not file.closed:
                    file.close()
            if self._folder:
                self._check_target()
                self._storage.replace_folder(self._folder, self._target)
                return
            for final in self._written:
                self._check_sibling(final)
            for final, temporary in self._written.items():
                self._storage.replace_file(temporary, final)

    def abort(self) -> None:
        """Removes everything that was written."""
        for file in self._open_files:
            with contextlib.suppress(Exception):
                file.close()
        with contextlib.suppress(Exception):
            if self._folder:
                self._storage.remove_folder(self._folder)
            for temporary in self._written.values():
                with contextlib.suppress(FileNotFoundError):
                    self._storage.remove_file(temporary)

    def __enter__(self) -> AtomicOutput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self.commit()
            except BaseException:
                self.abort()
                raise
            return
        self.abort()
        # An error that names a file comes from opening something to read; a write that failed names none.
        if isinstance(error, OSError) and error.filename is None:
            raise _as_output_error(self.location, error) from error


_RENAME = "rename the image in its annotation to a plain file name"


def is_safe_name(name: str) -> bool:
    """Returns whether a file name stays inside its folder on every system.

    It does not if it is empty or absolute, or has a ``..`` part, a drive letter, a NUL or a backslash.
    """
    if not name or name.startswith("/") or re.search(r"\0|\\|^[A-Za-z]:", name):
        return False
    return ".." not in name or ".." not in PurePosixPath(name).parts


def safe_name(name: str, where: str, remedy: str = _RENAME) -> str:
    """Returns a file name unchanged if :func:`is_safe_name`.

    Args:
        name: The name, with ``/`` between folders.
        where: The file that contains it, for the message.
        remedy: For the message.

    Raises:
        OutputError: The name leads outside the folder.
    """
    if not is_safe_name(name):
        raise OutputError(f"{where}: the file name {name!r} leads outside the folder or is not portable", remedy)
    return name


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a small file completely or not at all, and replaces an existing one.

    Raises:
        OutputError: It cannot be written.
    """
    with AtomicOutput(str(path), overwrite=True) as output, output.open() as file:
        file.write(content)


def _refuse_foreign(folder: str, old: Iterable[str], new: Iterable[str]) -> None:
    # --overwrite means "replace the dataset that is there", never "delete my folder of other things".
    suffixes = IMAGE_SUFFIXES | {os.path.splitext(name)[1].lower() for name in new}
    for name in old:
        if os.path.splitext(name)[1].lower() not in suffixes and not name.endswith(SIDECAR_SUFFIX):
            raise OutputError(
                f"{folder} contains files that are not part of such a dataset: {name}",
                "choose another folder; nothing was changed there",
            )


def _as_output_error(place: str, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "free some space there, or choose another disk" if full else "check the path and its permissions"
    return OutputError(f"{place} cannot be written: {reason}", f"{remedy}; nothing was changed there")


@contextlib.contextmanager
def _plain_os_errors(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _as_output_error(place, error) from error


class _LocalStorage:
    """Local files."""

    def split(self, path: str) -> tuple[str, str]:
        # A link is followed: what it points to is replaced, on its own disk, and the link stays.
        whole = Path(os.path.realpath(path) if os.path.islink(path) else path)
        return str(whole.parent), whole.name

    def join(self, folder: str, name: str) -> str:
        return str(Path(folder) / name)

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(path)

    def list(self, path: str) -> list[str]:
        return os.listdir(path)

    def make_folder(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)

    def open(self, path: str) -> IO[bytes]:
        # A write larger than the buffer goes straight to the file: images do, rows of text are collected.
        return open(path, "xb", buffering=1 << 16)

    def remove_file(self, path: str) -> None:
        os.remove(path)

    def remove_folder(self, path: str) -> None:
        shutil.rmtree(path, ignore_errors=True)

    def replace_file(self, temporary: str, final: str) -> None:
        os.replace(temporary, final)

    def replace_folder(self, temporary: str, final: str) -> None:
        if not os.path.isdir(final):
            os.rename(temporary, final)
            return
        _refuse_foreign(final, _files_below(final), _files_below(temporary))
        old = f"{temporary}{_OLD}"
        os.rename(final, old)
        try:
            os.rename(temporary, final)
        except OSError:
            os.rename(old, final)
            raise
        shutil.rmtree(old, ignore_errors=True)

    def remove_stale(self, parent: str, name: str) -> None:
        """Removes what killed local processes left of outputs whose name begins with ``name``."""
        prefix = re.escape(f".{name}")
        pattern = re.compile(rf"{prefix}.*{re.escape(_MARK)}{_HOST}-(\d+)-\d+(?P<old>{_OLD})?$")
        try:
            with os.scandir(parent) as entries:
                left = [(entry.path, match) for entry in entries if (match := pattern.match(entry.name))]
        except FileNotFoundError:
            return
        for path, match in left:
            if alive(int(match[1])):
                continue
            final = os.path.join(parent, match.string[1 : match.string.index(_MARK)])
            with contextlib.suppress(OSError):  # another process may be clearing it away as well
                if match["old"] and not os.path.lexists(final):
                    os.rename(path, final)
                elif os.path.isdir(path) and not os.path.islink(path):
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    os.remove(path)


def _files_below(folder: str) -> Iterator[str]:
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if _MARK not in name]
        yield from (os.path.join(base, name) for name in names)


class _RemoteStorage:
    """Anything that fsspec opens, which has no rename for folders: files are moved one by one."""

    def __init__(self, location: str) -> None:
        self.fs, _ = filesystem(location)

    def split(self, path: str) -> tuple[str, str]:
        scheme, _, rest = path.rstrip("/").partition("://")
        parent, _, name = rest.rpartition("/")
        return f"{scheme}://{parent}", name

    def join(self, folder: str, name: str) -> str:
        return join(folder, name)

    def exists(self, path: str) -> bool:
        return bool(self.fs.exists(path))

    def is_folder(self, path: str) -> bool:
        return bool(self.fs.isdir(path))

    def list(self, path: str) -> list[str]:
        return list(self.fs.ls(path, detail=False))

    def make_folder(self, path: str) -> None:
        if not path.endswith("://"):
            with contextlib.suppress(FileExistsError):
                self.fs.makedirs(path, exist_ok=True)

    def open(self, path: str) -> IO[bytes]:
        return self.fs.open(path, "wb")  # type: ignore[no-any-return]

    def remove_file(self, path: str) -> None:
        self.fs.rm(path)

    def remove_folder(self, path: str) -> None:
        self.fs.rm(path, recursive=True)

    def replace_file(self, temporary: str, final: str) -> None:
        self.fs.mv(temporary, final)

    def replace_folder(self, temporary: str, final: str) -> None:
        made, old = self._files_below(temporary), self._files_below(final)
        _refuse_foreign(final, old, made)
        for name in made:
            self.fs.mv(join(temporary, name), join(final, name))
        for name in old:
            if name not in made:
                self.fs.rm(join(final, name))
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm(temporary, recursive=True)

    def _files_below(self, folder: str) -> dict[str, None]:
        inside = len(self.fs._strip_protocol(folder).rstrip("/")) + 1
        return {path[inside:]: None for path in self.fs.find(folder)}

    def remove_stale(self, parent: str, name: str) -> None:
        """Left alone: another machine may be writing there."""
