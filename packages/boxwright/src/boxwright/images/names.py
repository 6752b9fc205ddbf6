"""The file names of images in annotations: which are safe, and what they mean elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Literal

from boxwright.errors import DataError

PLAIN = re.compile(r"[^./\\:\0][^/\\:\0]*")
"""A name in a folder, on every system, and not hidden."""
PLAIN_PATH = re.compile(rf"(?:{PLAIN.pattern}/)*{PLAIN.pattern}")
"""A path inside a folder, the same."""

_DRIVE = re.compile(r"[A-Za-z]:")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def unquoted(name: str) -> str:
    """Returns a name with ``%20`` and the like decoded as in a URL, unless the result leads to another folder."""
    if "%" not in name:
        return name
    from urllib.parse import unquote

    decoded = unquote(name)
    return name if {"", ".", ".."} & {*decoded.split("/")} or "\\" in decoded or "\0" in decoded else decoded


def safe_filename(
    filename: str,
    file: str,
    place: str = "",
    *,
    field: str = "file name",
) -> str:
    r"""Returns a relative file name with ``/`` between folders, from one with ``/`` or ``\``.

    Args:
        filename: The file name in the annotation; may be empty.
        file: The annotation file, for messages.
        place: The place in the file, for messages.
        field: The format's name for the file name, for messages.

    Raises:
        DataError: It is absolute, a URL, or has a drive letter or a ``..`` part.
    """
    if _ADDRESS.match(filename):
        problem = f"the {field} is {filename!r}, an address on the network"
        raise DataError(file, problem, "download the image, and write its plain file name there", place)
    parts = filename.replace("\\", "/").split("/")
    unsafe = ".." in parts or "\0" in filename
    last = last_if_absolute(filename)
    if unsafe or last != filename:
        raise DataError(
            file,
            f"the {field} is {filename!r}, which leads out of the folder",
            "write the image's plain file name there"
            + (", or put an image with that name into the folder" if "\0" not in filename else ""),
            place,
        )
    return "/".join(part for part in parts if part not in ("", "."))


def trailing_parts(filename: str) -> Iterator[str]:
    r"""Yields the last parts of a path with ``/`` or ``\``, the longest first.

    They have no drive, and no part that leads out of a folder: of ``..\x\1.jpg``, these are ``x/1.jpg`` and ``1.jpg``.
    """
    parts = [part for part in re.split(r"[/\\]", _DRIVE.sub("", filename, count=1)) if part not in ("", ".", "..")]
    for start in range(len(parts)):
        yield "/".join(parts[start:])


def last_if_absolute(filename: str) -> str:
    """Returns the last part of a path that is absolute on any system, and any other path unchanged."""
    path = filename.replace("\\", "/")
    return re.split("[/:]", path)[-1] if path.startswith("/") or _DRIVE.match(path) else filename


def path_of(filename: str) -> str:
    """Returns the path of a URL, and any other file name unchanged."""
    from urllib.parse import unquote, urlsplit

    if filename.lower().startswith("file:"):
        return unquote(filename[5:])
    try:
        return unquote(urlsplit(filename).path) if _ADDRESS.match(filename) else filename
    except ValueError:
        return filename


def folded(name: str) -> str:
    """Returns the same text for names that differ only in case or in the Unicode normal form."""
    return name.casefold() if name.isascii() else _normal(name, "NFC").casefold()


def _normal(name: str, form: Literal["NFC", "NFD"]) -> str:
    from unicodedata import normalize  # a large library, which ASCII names do not need

    return normalize(form, name)


def without_suffix(name: str) -> str:
    """Returns a name without its suffix."""
    return os.path.splitext(name)[0]
