"""Writes many small files at the cost of the system's own calls.

A dataset may have a file or two per image, so that the work of ``output.open`` for each, with its buffers, takes longer
than everything else together. If the output is a local folder, the files are
put straight into the folder in the making, from where they get into place together with it; elsewhere they go through
``output.open``.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import Final

from boxwright.datasets.protocols import Output
from boxwright.errors import OutputError
from boxwright.schemas import ImageRef
from boxwright.storage.filesystem import open_regular
from boxwright.storage.output import safe_name
from boxwright.storage.uri import is_remote

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_PLAIN = re.compile(r"[^/\\:\0][^\\:\0]*")
_MOST = 1 << 30


class FolderFiles:
    """The files of a folder in the making.

    Args:
        output: The folder.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        place = output.workplace
        self._place = "" if not place or is_remote(place) else f"{place}{os.sep}"
        self._folders: set[str] = set()

    def put(self, name: str, content: bytes) -> None:
        """Writes a file.

        Raises:
            OutputError: The name leads out of the folder, is a duplicate, or cannot be written.
        """
        if not self._place:
            with self._output.open(name) as file:
                file.write(content)
            return
        handle = self._create(name)
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(handle, left) :]
        finally:
            os.close(handle)

    def copy(self, name: str, image: ImageRef) -> None:
        """Writes the unchanged bytes of an image.

        Raises:
            DataError: They cannot be read; nothing has been written then.
            OutputError: As :meth:`put`.
        """
        source = self._opened(image)
        if source is None:
            self.put(name, image.read())
            return
        try:
            target = self._create(name)
            try:
                _send(source, target)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _opened(self, image: ImageRef) -> int | None:
        """The file of the image if the system can copy it, else ``None``: reading it then raises the right error."""
        if not self._place or image.data is not None or not image.location or is_remote(image.location):
            return None
        try:
            return open_regular(image.location)
        except OSError:
            return None

    def _create(self, name: str) -> int:
        if ".." in name or not _PLAIN.fullmatch(name):
            safe_name(name, self._output.location)
        folder = name.rpartition("/")[0]
        try:
            if folder not in self._folders:
                os.makedirs(self._place + folder, exist_ok=True)
                self._folders.add(folder)
            return os.open(self._place + name, _CREATE, 0o666)
        except FileExistsError:
            raise OutputError(
                f"{name} would be written twice",
                "two images have the same name: rename one, or keep them in different folders",
            ) from None
        except OSError as error:
            raise OutputError(
                f"{self._output.location}: {name} cannot be written: {error.strerror or error}",
                "check the name, the path and its permissions; nothing was changed there",
            ) from None


def _send(source: int, target: int) -> None:
    """Copies an open file into another, inside the kernel where it can be."""
    sent = 0
    try:
        while count := os.sendfile(target, source, None, _MOST):
            sent += count
    except (AttributeError, OSError):  # another system, or a file system that cannot
        if sent:
            raise
        with open(source, "rb", closefd=False) as reading, open(target, "wb", closefd=False) as writing:
            shutil.copyfileobj(reading, writing, 1 << 20)
