"""Local files, and files that fsspec opens."""

from __future__ import annotations

from typing import IO, Any

from boxwright import DataError
from boxwright.storage import is_remote


def open_bytes(location: str) -> IO[bytes]:
    """Opens a file for reading, by path or URL.

    Raises:
        DataError: The file does not exist, or cannot be read.
    """
    try:
        if not is_remote(location):
            return open(location, "rb")
        import fsspec

        file: Any = fsspec.open(location, "rb").open()
        return file  # type: ignore[no-any-return]
    except FileNotFoundError:
        raise DataError(location, "file not found", "check the path") from None
    except OSError as error:
        raise DataError(location, f"cannot be read: {error.strerror or error}", "check the path") from None


def folder_of(location: str) -> str:
    """Returns the folder that contains a file."""
    return location.replace("\\", "/").rpartition("/")[0] or "."
