"""Outputs that appear complete or not at all.

Everything is written under a temporary name next to the target (``.NAME.boxwright-partial-HOST-PID-N``) and renamed at
the end, so that a kill, a full disk or an error leaves the target unchanged. What a killed process left is
removed by the next output to the same target. Several files and folders are put in place together, see
:mod:`boxwright.storage.switch`.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType, TracebackType
from typing import IO, Any

from boxwright.errors import OutputError
from boxwright.storage.filesystem import remove_file
from boxwright.storage.stores import HOST, LocalStorage, RemoteStorage
from boxwright.storage.switch import MARK, OLD, Step, switch, temporary_name
from boxwright.storage.uri import IMAGE_SUFFIXES, is_remote

SIDECAR_SUFFIX = ".sidecar.jsonl"
"""How the names of the files end that keep what a format cannot hold; see :mod:`boxwright.datasets.sidecar`."""
_numbers = itertools.count()


class AtomicOutput:
    """A file, a set of files side by side, or a folder, in the making.

    Use it as a context manager: leaving it normally puts everything in place, leaving it by an exception removes it.

    Args:
        location: The target, a path or a URL that fsspec opens.
        target: ``"file"`` or ``"folder"``.
        overwrite: Whether an existing target may be replaced.
        dataset_attributes: What a writer may know of the dataset as a whole.
        tidy: Whether to remove what killed processes left of this output. For many outputs in one folder, it is faster
            to call :func:`tidy_folder` once.

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
        tidy: bool = True,
    ) -> None:
        self.location = location
        self.dataset_attributes = dataset_attributes
        self.target = target
        self.overwrite = overwrite
        self._open_files: list[IO[bytes]] = []
        self._storage: LocalStorage | RemoteStorage
        self._storage = RemoteStorage(location) if is_remote(location) else LocalStorage()
        self._token = f"{MARK}{HOST}-{os.getpid()}-{next(_numbers)}"
        self._made: list[str] = []  # folders
        self._done = False
        self._parent, self._name = self._storage.split(location)
        if not self._name:
            raise OutputError(f"{location} names no file", "give the output a name")
        self._target = self._storage.join(self._parent, self._name)
        self._written: dict[str, str] = {}  # final path -> temporary path
        self._folder = self._storage.join(self._parent, f".{self._name}{self._token}") if target == "folder" else None
        with _plain_os_errors(location):
            # The files of a sharded output, `name@10`, are named after the part before the mark.
            if tidy:
                self._storage.remove_stale(self._parent, self._name.partition("@")[0])
            self._check_target()
            try:
                self._make_folder(self._parent)
                if self._folder:
                    self._make_folder(self._folder)
            except OSError:
                self.abort()
                raise

    @property
    def workplace(self) -> str | None:
        """The folder in which a ``"folder"`` output is made, else ``None``; other programs may put files there."""
        return self._folder

    @property
    def files(self) -> dict[str, str]:
        """The temporary paths of the files so far, by name in the folder of the target."""
        return {self._storage.split(final)[1]: temporary for final, temporary in self._written.items()}

    def _check_target(self) -> None:
        path = self._target
        if not self._storage.exists(path):
            return
        is_folder = self._storage.is_folder(path)
        if self.target == "folder" and is_folder and not self._storage.names(path):
            return
        if is_folder and self.target == "file":
            raise OutputError(f"{path} is a folder", "give the name of a file")
        if not is_folder and self.target == "folder":
            raise OutputError(f"{path} is a file", "give the name of a folder")
        if not self.overwrite:
            raise OutputError(f"{path} exists already", "choose another name, or say --overwrite (overwrite=True)")

    def _make_folder(self, path: str) -> None:
        self._made += self._storage.make_folder(path)

    def open(self, name: str = "") -> IO[bytes]:
        """Opens a new binary file of this output; see :class:`boxwright.datasets.Output`.

        Raises:
            OutputError: The name is unsafe, a duplicate, exists already, or cannot be written.
        """
        temporary, final = self._paths(name)
        with _plain_os_errors(final):
            if self._folder:
                self._make_folder(self._storage.split(temporary)[0])
            file = self._storage.open(temporary)
        self._open_files = [other for other in self._open_files if not other.closed]
        self._open_files.append(file)
        return file

    def copy(self, source: str | os.PathLike[str], name: str) -> None:
        """Copies a local file into this output, byte for byte.

        Raises:
            OutputError: As :meth:`open`.
        """
        with open(source, "rb") as file, _plain_os_errors(self.location), self.open(name) as target:
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
            temporary = temporary_name(final, self._token)
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
        commit_together([self])

    def _finish(self) -> list[tuple[str, str]]:
        """Closes all files, and returns what is put in place: temporary and final paths."""
        for file in self._open_files:
            if not file.closed:
                file.close()
        if self._folder:
            self._check_target()
            return [(self._folder, self._target)]
        for final in self._written:
            self._check_sibling(final)
        return [(temporary, final) for final, temporary in self._written.items()]

    def abort(self) -> None:
        """Removes everything that was written, and the folders that were created for it, unless it is in place."""
        if self._done:
            return
        for file in self._open_files:
            with contextlib.suppress(Exception):
                file.close()
        with contextlib.suppress(Exception):
            if self._folder:
                self._storage.remove_folder(self._folder)
            for temporary in self._written.values():
                with contextlib.suppress(FileNotFoundError):
                    self._storage.remove_file(temporary)
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):  # it is not empty: another program uses it
                os.rmdir(folder)

    @contextlib.contextmanager
    def readable(self) -> Iterator[str]:
        """Yields a location from which the finished files can be read under their names, before they are in place."""
        for file in self._open_files:
            if not file.closed:
                file.close()
        if self._folder:
            yield self._folder
            return
        place = temporary_name(self._storage.join(self._parent, f"{self._name}-check"), self._token)
        try:
            self._storage.make_folder(place)
            for final, temporary in self._written.items():
                self._storage.link(temporary, self._storage.join(place, self._storage.split(final)[1]))
            yield self._storage.join(place, self._name)
        finally:
            self._storage.remove_folder(place)

    def __enter__(self) -> AtomicOutput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._done:
            return
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


def tidy_folder(folder: str) -> None:
    """Removes what killed processes left of all outputs in a local folder."""
    with _plain_os_errors(folder):
        LocalStorage().remove_stale(folder, "")


def commit_together(outputs: Sequence[AtomicOutput], removed: Sequence[str] = ()) -> None:
    """Puts several outputs in place, all or none; at URLs one after another.

    Args:
        outputs: The outputs.
        removed: Files that are removed at the same time, if they exist.

    Raises:
        OutputError: As :meth:`AtomicOutput.commit`; nothing was changed.
    """
    first = outputs[0]
    with _plain_os_errors(first.location):
        changes = [(output, output._finish()) for output in outputs]
        for output, pairs in changes:
            if output._folder and output._storage.is_folder(output._target):
                _refuse_foreign(output._target, *(output._storage.files_below(path) for path in reversed(pairs[0])))
        token = first._token
        steps = [
            Step(new, final, f"{temporary_name(final, output._token)}{OLD}")
            for output, pairs in changes
            if isinstance(output._storage, LocalStorage)
            for new, final in pairs
        ]
        local = LocalStorage()
        for path in removed:
            if not is_remote(path):
                final = local.join(*local.split(path))
                steps.append(Step("", final, f"{temporary_name(final, token)}{OLD}"))
        try:
            switch(steps, first._token)
        except BaseException as error:
            if any(os.path.lexists(step.old) or (step.new and not os.path.lexists(step.new)) for step in steps):
                for output in outputs:
                    output._done = True  # the next command finishes the changes, for which it needs the files
                if isinstance(error, OSError):
                    problem = f"the files in {os.path.dirname(steps[0].final)} were replaced only in part: {error}"
                    raise OutputError(problem, "make it writable: the next command there finishes it") from error
            raise
        _replace_remote(changes, removed)
        for output in outputs:
            output._done = True


def _replace_remote(changes: Sequence[tuple[AtomicOutput, list[tuple[str, str]]]], removed: Sequence[str]) -> None:
    """Moves files at URLs one by one; if there are several, a file next to each target says so meanwhile."""
    remote = [
        (output._storage, output, pairs) for output, pairs in changes if isinstance(output._storage, RemoteStorage)
    ]
    several = len(remote) > 1 or any(output._folder or len(pairs) > 1 for _, output, pairs in remote)
    marks = [(storage, storage.mark(output.location)) for storage, output, _ in remote] if several else []
    for storage, output, pairs in remote:
        storage.replace(pairs, folder=output._folder is not None)
    for path in filter(is_remote, removed):  # last: what it belongs to was there until now
        remove_file(path)
    for storage, mark in marks:
        storage.remove_file(mark)


def replace_folder(new: str, final: str) -> None:
    """Replaces a local folder by another one next to it, whose name is the same with the ending ``.new``.

    Raises:
        OSError: It cannot be replaced; both are unchanged.
    """
    token = f"{MARK}{HOST}-{os.getpid()}-{next(_numbers)}"
    LocalStorage().remove_stale(*os.path.split(final))
    switch([Step(new, final, f"{temporary_name(final, token)}{OLD}")], token)


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
