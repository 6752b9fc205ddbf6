r"""The images of tasks: by the paths and URLs under which Label Studio serves them.

An uploaded image is ``/data/upload/PROJECT/HASH-NAME``, one of a local storage ``/data/local-files/?d=FOLDER/NAME``,
one of a cloud storage a URL. Exports to COCO and YOLO on Windows have ``..\..\media\upload\4\HASH-NAME``.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import parse_qs, unquote, urlsplit

from boxwright import DataError
from boxwright.images import ImageLookup, trailing_parts

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_UPLOAD = re.compile(r"(?:.*/)?upload/[0-9]+/([^/]+)")
_HASH = re.compile(r"[0-9a-f]{8}-")
_DRIVE = re.compile(r"[A-Za-z]:")


class Paths:
    """Finds the images of tasks in a folder.

    Args:
        images: The images.
    """

    def __init__(self, images: ImageLookup) -> None:
        self._images = images

    def find(self, path: str, source: str) -> tuple[str, str | None]:
        """Returns the name of an image, and its location, ``None`` if it is not in the folder.

        The path is tried as :class:`boxwright.images.ImageLookup` does, then its last part without the hash that Label
        Studio puts before the name of an uploaded file.

        Args:
            path: As the task has it.
            source: The place of the task, for messages.

        Raises:
            DataError: Two images match a path equally well, or the path is empty.
        """
        parts = parts_of(path)
        if not parts:
            raise DataError(source, f"the image is {path[:80]!r}, which has no name", "correct it")
        path = "/".join(parts)
        for written in dict.fromkeys((path, _HASH.sub("", parts[-1], count=1))):
            found, location = self._images.find(written, "", source, moved=True)
            if location is not None:
                ends = (tail for tail in trailing_parts(written) if f"/{found}".endswith(f"/{tail}"))
                return next(ends, found), location
        return path, None


def parts_of(path: str) -> list[str]:
    """Returns the parts of a path or URL, without what leads out of a folder."""
    if _SCHEME.match(path) or path.startswith("/data/"):
        try:
            split = urlsplit(path)
            named = parse_qs(split.query).get("d") if split.path.endswith("/local-files/") else None
            path = named[0] if named else unquote(split.path)
        except ValueError:  # an address that is not valid
            path = path.partition("://")[2]
    path = path.replace("\\", "/")
    upload = _UPLOAD.fullmatch(path)
    parts = [upload[1]] if upload else _DRIVE.sub("", path, count=1).split("/")
    return [part for part in parts if part not in ("", ".", "..") and "\0" not in part]


def bases(path: str) -> list[str]:
    """Returns the last part of a path, and that without a hash."""
    parts = parts_of(path)[-1:]
    return [*parts, *(_HASH.sub("", part, count=1) for part in parts)]


def embedded(path: str) -> bytes | None:
    """Returns the image inside a ``data:`` URL, ``None`` for any other path."""
    if not path.startswith("data:image/"):
        return None
    head, _, content = path.partition(",")
    try:
        return base64.b64decode(content, validate=True) if head.endswith(";base64") else None
    except ValueError:
        return None
