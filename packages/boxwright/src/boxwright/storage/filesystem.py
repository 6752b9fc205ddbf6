"""Reads and removes files, local or wherever fsspec reaches, with errors that a user understands."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from typing import IO, Any, Final, cast

from boxwright.errors import BoxwrightError, DataError, MissingLibraryError, UsageError
from boxwright.storage.objects import first_names, is_object_storage, is_prefix
from boxwright.storage.uri import is_remote, join

MAX_FILE_BYTES: Final = 64 << 20
"""A larger file is not an annotation. Counted after decompression, so that a zip bomb does not fill the memory."""
MAX_IMAGE_BYTES: Final = 256 << 20
"""A larger file is not read as an image."""
MAX_DATASET_BYTES: Final = 1 << 30
"""A larger file is not read from a URL if it must be in memory as a whole, such as a dataset in one JSON file."""
_READ_ONLY = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def open_regular(path: str, flags: int = 0) -> int:
    """Opens a local file for reading, and refuses FIFOs, devices and sockets, which may block for ever.

    Args:
        path: The file.
        flags: Not used; with it, this is an ``opener`` for :func:`open`.

    Returns:
        The file descriptor.

    Raises:
        OSError: The file does not exist, cannot be opened, or is not a regular file.
    """
    handle = os.open(path, _READ_ONLY)  # without O_NONBLOCK, opening a FIFO waits for another program
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return handle
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, _SPECIAL, path)


_SPECIAL = "it is not a regular file, but a pipe, a device or a socket"


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path inside it.

    Raises:
        UsageError: fsspec does not know the scheme.
        DataError: It is a local pipe, device or socket.
        MissingLibraryError: The library for the scheme is not installed.
    """
    import fsspec

    scheme = url.partition("://")[0]
    try:
        files, path = cast(tuple[Any, str], fsspec.core.url_to_fs(url))
    except ImportError as error:
        remedy = f"run: python -m pip install fsspec[{scheme}]"
        raise MissingLibraryError(f"{url} cannot be opened: {error}", remedy) from None
    except ValueError as error:
        raise UsageError(f"{url} cannot be opened: {error}", "write a path, or a URL that fsspec opens") from None
    if "file" in files.protocol and _is_special(path):
        raise DataError(url, _SPECIAL, "name a file or folder")
    return files, path


def _is_special(path: str) -> bool:
    return os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def is_folder(location: str) -> bool:
    """Returns whether there is a folder at a path or URL.

    Raises:
        UsageError, MissingLibraryError: As :func:`filesystem`.
    """
    if not is_remote(location):
        return os.path.isdir(location)
    files, path = filesystem(location)
    known = path.rstrip("/") in getattr(files, "dircache", ())
    return bool(files.isdir(path)) if known or not is_object_storage(files) else is_prefix(files, path)


def is_file(location: str) -> bool:
    """Returns whether there is a file at a path or URL.

    Raises:
        UsageError, MissingLibraryError: As :func:`filesystem`.
    """
    if not is_remote(location):
        return os.path.isfile(location)
    files, path = filesystem(location)
    try:
        return bool(files.isfile(path))
    except OSError:  # no permission
        return False


def unpacked(location: str) -> str:
    """Returns the URL of the content of a local zip file, and any other location unchanged.

    If everything in the file is in one folder, it is that of the folder.

    Raises:
        DataError: The file is damaged.
    """
    if is_remote(location) or not location.lower().endswith(".zip") or not os.path.isfile(location):
        return location
    content = f"zip://::{location}"
    try:
        names = [name for name in list_folder(content) if not name.startswith((".", "__MACOSX"))]
    except Exception as error:  # zipfile raises many kinds of errors
        raise DataError(location, f"it cannot be read as a zip file: {error}", "download it again") from None
    return join(content, names[0][:-1]) if len(names) == 1 and names[0].endswith("/") else content


def list_folder(location: str) -> list[str]:
    """Returns the names of the files and folders in a folder, by path or URL; those of folders end in ``/``.

    Raises:
        FileNotFoundError: The folder does not exist.
        NotADirectoryError: It is a file.
        UsageError, MissingLibraryError: As :func:`filesystem`.
    """
    if not is_remote(location):
        with os.scandir(location) as entries:
            return [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries]
    files, path = filesystem(location)
    if not files.isdir(path):
        raise NotADirectoryError(location) if files.isfile(path) else FileNotFoundError(location)
    listed: list[dict[str, Any]] = files.ls(path, detail=True)
    names = [(entry["name"].rstrip("/").rpartition("/")[2], entry["type"]) for entry in listed]
    return [f"{name}/" if kind == "directory" else name for name, kind in names]


def list_folders(location: str) -> list[str]:
    """Returns the names of the folders in a folder, by path or URL; faster than :func:`list_folder`.

    Raises:
        FileNotFoundError, NotADirectoryError, UsageError, MissingLibraryError: As :func:`list_folder`.
    """
    if is_remote(location):
        return [name[:-1] for name in list_folder(location) if name.endswith("/")]
    with os.scandir(location) as entries:
        return [entry.name for entry in entries if entry.is_dir()]


def check_unicode(path: str) -> None:
    """Checks that a path is UTF-8, because formats cannot represent other paths.

    Raises:
        DataError: It is not: Python represents its other bytes as unpaired surrogates.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode(errors="backslashreplace").decode()
        raise DataError(shown, "its path is not UTF-8, which no format can represent", "rename the file") from None


def first_files(location: str) -> list[str]:
    """Returns the names of some of the files in a folder, by path or URL: in object storage, those of one request.

    Raises:
        OSError: The folder does not exist, or cannot be listed.
        UsageError, MissingLibraryError: As :func:`filesystem`.
    """
    if is_remote(location):
        files, path = filesystem(location)
        if is_object_storage(files):
            return first_names(files, path)
    return [name for name in list_folder(location) if not name.endswith("/")]


@contextlib.contextmanager
def open_binary(location: str) -> Iterator[IO[bytes]]:
    """Opens a file to read it in parts, by path or URL; one that cannot be sought is read into memory.

    Raises:
        DataError: It does not exist, or cannot be read.
        UsageError, MissingLibraryError: As :func:`filesystem`.
    """
    try:
        if is_remote(location):
            files, path = filesystem(location)  # closes an archive's file when it is released
            file: Any = files.open(path, "rb")
            file = file if file.seekable() else io.BytesIO(file.read())
        else:
            file = open(location, "rb", opener=open_regular)  # noqa: SIM115 (closed below)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        problem = "file not found" if missing else f"it cannot be read: {error.strerror or error}"
        raise DataError(location, problem, "check the path") from None
    with file:
        yield file


def read_file(location: str, remedy: str = "", *, limit: int = MAX_FILE_BYTES) -> bytes | None:
    """Returns the content of a file, by path or URL; ``None`` if it does not exist.

    Args:
        location: The file.
        remedy: For the error.
        limit: The largest number of bytes to accept, after decompression.

    Raises:
        DataError: It exists, but is larger, is not a regular file, or cannot be read.
        UsageError, MissingLibraryError: As :func:`filesystem`.
    """
    try:
        if is_remote(location):
            files, path = filesystem(location)
            return read_within(files, path, location, limit)
        with open(location, "rb", opener=open_regular) as file:
            return check_length(file.read(limit + 1), location, limit)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except BoxwrightError:
        raise
    except Exception as error:  # each of fsspec's file systems raises the errors of its own library
        raise DataError(location, getattr(error, "strerror", None) or str(error) or repr(error), remedy) from None


def read_within(files: Any, path: str, location: str, limit: int) -> bytes:
    """Returns the content of a file of an fsspec file system, without reading more than a limit.

    Args:
        files: The file system.
        path: The path inside it.
        location: The URL, for messages.
        limit: The largest number of bytes to accept, after decompression.

    Raises:
        DataError: The file is larger.
        Exception: It does not exist or cannot be read; each file system raises the errors of its own library.
    """
    from fsspec.archive import AbstractArchiveFileSystem

    if not isinstance(files, AbstractArchiveFileSystem):  # others send the bytes that they store
        # Without the option, S3 is asked for the size of each object first.
        options = {"max_concurrency": 1} if is_object_storage(files) else {}
        return check_length(cast(bytes, files.cat_file(path, **options)), location, limit)
    with files.open(path, "rb") as file:
        return check_length(cast(bytes, file.read(limit + 1)), location, limit)


def check_length(content: bytes, location: str, limit: int) -> bytes:
    """Returns the content of a file unchanged.

    Raises:
        DataError: It has more bytes than the limit.
    """
    if len(content) > limit:
        raise DataError(location, f"it is larger than {limit >> 20} MiB", "check that it belongs to the dataset")
    return content


def remove_file(location: str) -> None:
    """Removes a file, by path or URL, if it is there.

    Raises:
        DataError: It is there and cannot be removed.
        UsageError, MissingLibraryError: As :func:`filesystem`.
    """
    try:
        if is_remote(location):
            files, path = filesystem(location)
            if files.exists(path):
                files.rm_file(path)
        elif os.path.lexists(location):
            os.remove(location)
    except BoxwrightError:
        raise
    except Exception as error:
        raise DataError(location, f"it cannot be removed: {error}", "remove it by hand") from None


def alive(pid: int) -> bool:
    """Whether a local process is running; true if that cannot be determined."""
    if os.name == "nt":  # there, signal 0 is Ctrl-C and not a question
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
