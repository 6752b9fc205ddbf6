"""Where the images of a written file are: remembered in a file next to it, or copied.

A format in one file often has no place for the folder of its images. ``train.json.images`` is a JSON object with that
folder, relative to the file. A dataset from the internet could name any folder of this computer, so a folder outside
that of the file counts only with a signature, for which a key is kept in :func:`boxwright.environments.home`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Collection
from contextlib import suppress

from boxwright.datasets.folder_output import FolderFiles
from boxwright.environments.environment import home
from boxwright.errors import BoxwrightError, OutputError
from boxwright.plugins.options import IMAGES
from boxwright.plugins.specs import FormatSpec
from boxwright.schemas import ImageRef, Sample
from boxwright.storage.filesystem import is_folder, read_file
from boxwright.storage.links import leads_inside
from boxwright.storage.output import AtomicOutput, is_safe_name
from boxwright.storage.uri import base_name, is_remote, join, parent, with_suffix

_SUFFIX = ".images"
_KEY = "images.key"
_LARGEST = 1 << 16


def places_path(location: str) -> str:
    """Returns the path of the file that remembers the folder of the images of a written file."""
    return with_suffix(location, _SUFFIX)


def remembers(spec: FormatSpec) -> bool:
    """Returns whether a format in one file, without images, is read with the option ``images``."""
    return any(option.name == IMAGES.name for option in spec.write_options)


def folder_of(image: ImageRef) -> str | None:
    """Returns the folder that the name of an image is relative to.

    ``None`` if the image is not in a file, or in one that is not below a folder under this name.
    """
    folder = image.location
    if folder is None or image.data is not None:
        return None
    plain = folder.partition("::")[0].replace("\\", "/")  # of a file in an archive: zip://a/1.jpg::x.zip
    if not f"/{plain}".endswith(f"/{image.name}"):
        return None
    for _ in range(image.name.count("/") + 1):
        folder = parent(folder)
    return folder


def note_of(location: str, folders: Collection[str]) -> bytes | None:
    """Returns the content of the file that remembers the folder of the images.

    Args:
        location: The written file.
        folders: The folders that the names of its images are relative to.

    Returns:
        ``None`` if there is not exactly one folder, or it is that of the file.
    """
    if len(folders) != 1:
        return None
    (folder,) = folders
    own = parent(location)
    if not is_remote(folder):
        if is_remote(location):
            return None
        with suppress(ValueError):  # another drive on Windows
            folder = os.path.relpath(os.path.realpath(folder), os.path.realpath(own)).replace(os.sep, "/")
    if folder in (".", own):
        return None
    signature = "" if _is_below(folder) else _signature(folder, create=True)
    return json.dumps({"images": folder, "signature": signature}).encode() + b"\n"


def remembered(location: str) -> str | None:
    """Returns the folder of the images of a file that boxwright wrote; ``None`` if it is unknown or not there."""
    note = _note(places_path(location))
    if note is None:
        return None
    folder, signature = note
    place = folder if is_remote(folder) or os.path.isabs(folder) else join(parent(location), folder)
    if _is_below(folder):
        allowed = is_remote(place) or leads_inside(place, parent(location))
    else:
        allowed = bool(signature) and hmac.compare_digest(signature, _signature(folder))
    try:
        return place if allowed and is_folder(place) else None
    except (BoxwrightError, OSError, ValueError):
        return None  # it is only a hint


def is_note(path: str) -> bool:
    """Returns whether a file was written to remember a folder of images."""
    return _note(path) is not None


def _note(path: str) -> tuple[str, str] | None:
    try:
        note = json.loads(read_file(path, limit=_LARGEST) or b"null")
        return str(note["images"]), str(note["signature"])
    except (BoxwrightError, OSError, RecursionError, TypeError, ValueError, KeyError):
        return None


def _is_below(folder: str) -> bool:
    return is_safe_name(folder) and not is_remote(folder)


def _signature(folder: str, *, create: bool = False) -> str:
    path = home() / _KEY
    with suppress(OSError):
        if create and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with (
                suppress(FileExistsError),
                open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as f,
            ):
                f.write(secrets.token_bytes(32))
        return hmac.new(path.read_bytes(), folder.encode(errors="replace"), hashlib.sha256).hexdigest()
    return ""


def copies_path(location: str) -> str:
    """Returns the folder for copies of the images of a written file."""
    stem = os.path.splitext(base_name(location))[0] or "dataset"
    return join(parent(location), f"{stem}_images")


class ImageCopies:
    """The images of a file, copied into a folder next to it.

    Args:
        location: The file.
        overwrite: Whether an existing folder may be replaced.

    Attributes:
        output: The folder ``STEM_images``.

    Raises:
        OutputError: As :class:`boxwright.storage.AtomicOutput`.
    """

    def __init__(self, location: str, *, overwrite: bool) -> None:
        self.output = AtomicOutput(copies_path(location), "folder", overwrite=overwrite)
        self._files = FolderFiles(self.output)

    def add(self, sample: Sample) -> None:
        """Copies the image of a sample.

        Raises:
            DataError: It cannot be read.
            OutputError: Its name leads out of the folder, or is a duplicate.
        """
        if not is_safe_name(sample.image.name):
            raise OutputError(f"{sample.image.name!r} leads out of the folder of the images", "rename the image")
        self._files.copy(sample.image.name, sample.image)
