"""Finds the picture that an XML belongs to."""

from __future__ import annotations

import os
import re
from functools import cached_property

from boxwright.errors import DataError
from boxwright_labelimg.folder import Folder

_DRIVE = re.compile(r"[A-Za-z]:")


class Pictures:
    """The pictures of a dataset, found by what an XML says and by what it is called.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.names = folder.others

    def find(self, filename: str, xml: str, file: str) -> tuple[str, str | None]:
        """The picture's name in the dataset, and its place.

        Tried in turn: ``<filename>`` beside the XML (or in the same sub-folder of the pictures' folder), then from the
        top of the pictures' folder; the same with the file ending that it lacks; the XML's own name with a picture's
        ending; at each step also with other upper and lower case. The first that is there gives the name.

        Args:
            filename: ``<filename>``; may be empty.
            xml: The XML's path inside its folder, with ``/``.
            file: The XML's place, for messages.

        Returns:
            The name with ``/`` between folders, and the path or URL; ``None`` where there is no such picture, and then
            the name is what the XML says.

        Raises:
            DataError: ``<filename>`` leads out of the folder, or is missing and cannot be told from the XML's name;
                or two pictures fit equally well.
        """
        folder = xml[: xml.rfind("/") + 1]
        name = folder + filename
        if name in self.names:
            # In the set are only files below the folder, so there is nothing more to check.
            return name, self.folder.place(name)
        filename = safe_filename(filename, file)
        name = folder + filename
        stem = xml[: xml.rfind(".")]
        found = self._search((name, filename) if filename else (), stem, file) if self.names else None
        if found is not None:
            return found, self.folder.place(found)
        if not filename:
            raise DataError(
                file,
                "it has no <filename>, and no picture has the XML's name",
                "put the picture beside it, or give the XML the picture's <filename>",
            )
        return name, None

    def _search(self, names: tuple[str, ...], stem: str, file: str) -> str | None:
        for name in names:
            if name in self.names:
                return name
        for name in names:
            if found := self._one(self._by_folded_name.get(name.casefold(), ()), file):
                return found
        for name in (*names, stem, stem.rpartition("/")[2]):
            candidates = self._by_folded_stem.get(name.casefold(), ())
            if found := self._one([found for found in candidates if _without_suffix(found) == name], file):
                return found
            if found := self._one(candidates, file):
                return found
        return None

    def _one(self, candidates: list[str] | tuple[str, ...], file: str) -> str | None:
        if len(candidates) > 1:
            raise DataError(
                file,
                f"it could belong to {' or '.join(sorted(candidates))}",
                "write the picture's full name into <filename>, or remove one of them",
            )
        return candidates[0] if candidates else None

    def unannotated(self, xmls: list[str]) -> list[str]:
        """The pictures whose name, but for the ending, no XML has; sorted."""
        stems = {_without_suffix(xml) for xml in xmls}
        return sorted(
            name for names in self._by_folded_stem.values() for name in names if _without_suffix(name) not in stems
        )

    @cached_property
    def _by_folded_name(self) -> dict[str, list[str]]:
        table: dict[str, list[str]] = {}
        for name in self.names:
            table.setdefault(name.casefold(), []).append(name)
        return table

    @cached_property
    def _by_folded_stem(self) -> dict[str, list[str]]:
        from boxwright.uri import PICTURE_SUFFIXES

        table: dict[str, list[str]] = {}
        for name in self.names:
            if os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES:
                table.setdefault(_without_suffix(name).casefold(), []).append(name)
        return table


def safe_filename(filename: str, file: str) -> str:
    r"""A relative file name with ``/`` between folders, whether it was written with ``/`` or ``\``.

    Raises:
        DataError: It is absolute, has a drive letter or a ``..`` part.
    """
    parts = filename.replace("\\", "/").split("/")
    if ".." in parts or "\0" in filename or (filename and not parts[0]) or _DRIVE.match(filename):
        raise DataError(
            file,
            f"<filename> is {filename!r}, which leads out of the folder",
            "write the picture's plain file name there",
        )
    return "/".join(part for part in parts if part not in ("", "."))


def _without_suffix(name: str) -> str:
    return os.path.splitext(name)[0]
