"""Reads and removes files, local or wherever fsspec reaches, with errors that a user understands."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import IO, Any, cast

from boxwright.errors import BoxwrightError, DataError, MissingLibraryError, UsageError
from boxwright.storage.uri import is_remote


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path inside it.

    Raises:
        UsageError: fsspec does not know the scheme.
        MissingLibraryError: The library for the scheme is not installed.
    """
    import fsspec

    scheme = url.partition("://")[0]
    try:
        return cast(tuple[Any, str], fsspec.core.url_to_fs(url))
    except ImportError as error:
        remedy = f"run: python -m pip install fsspec[{scheme}]"
        raise MissingLibraryError(f"{url} cannot be opened: {error}", remedy) from None
    except ValueError as error:
        raise UsageError(f"{url} cannot be opened: {error}", "write a path, or a URL that fsspec opens") from None


def is_folder(location: str) -> bool:
    """Returns whether there is a folder at a path or URL.

    Raises:
        UsageError, MissingLibraryError: As :func:`filesystem`.
    """
    if not is_remote(location):
        return os.path.isdir(location)
    files, path = filesystem(location)
    return bool(files.isdir(path))


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
            file = open(location, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        problem = "file not found" if missing else f"it cannot be read: {error.strerror or error}"
        raise DataError(location, problem, "check the path") from None
    with file:
        yield file


def read_file(location: str, remedy: str = "") -> bytes | None:
    """Returns the content of a file, by path or URL; ``None`` if it does not exist.

    Raises:
        DataError: It is there and cannot be read; ``remedy`` is the error's.
        UsageError, MissingLibraryError: As :func:`filesystem`.
    """
    try:
        if is_remote(location):
            files, path = filesystem(location)
            return cast(bytes, files.cat_file(path))
        with open(location, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except BoxwrightError:
        raise
    except Exception as error:  # each of fsspec's file systems raises the errors of its own library
        raise DataError(location, getattr(error, "strerror", None) or str(error) or repr(error), remedy) from None


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
