"""Finds the picture that an annotation belongs to, in the folder where the pictures are."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Literal

from boxwright.errors import DataError
from boxwright.images.header import parse_header
from boxwright.schemas import ImageRef
from boxwright.storage.folder import Folder
from boxwright.storage.uri import IMAGE_SUFFIXES

_PLAIN = re.compile(r"[^./\\:\0][^/\\:\0]*")
_DRIVE = re.compile(r"[A-Za-z]:")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class ImageLookup:
    """The pictures of a dataset, found by what an annotation file says and by what it is called.

    Args:
        folder: Where they are.
        field: What the annotation format calls a picture's file name, for messages: ``<filename>``.
        besides: Files of the folder that are no pictures: the annotations.

    Attributes:
        names: The files among which pictures are looked for.
    """

    def __init__(self, folder: Folder, field: str = "file name", besides: Iterable[str] = ()) -> None:
        self.folder = folder
        self.names = frozenset(folder.names).difference(besides)
        self._field = field

    def find(self, filename: str, annotation: str, file: str) -> tuple[str, str | None]:
        """The picture's name in the dataset, and its place.

        Tried in turn: the file name beside the annotation (or in the same sub-folder of the pictures' folder), then
        from the top of the pictures' folder (of an absolute path, as some tools write it, only the last part); the same
        with the file ending that it lacks; the annotation's own name
        with a picture's ending; at each step also with other upper and lower case and in the other Unicode normal form
        (macOS takes letters with accents apart, others do not). Last, where it has ``%``, what that stands for in a
        URL. The first that is there gives the name.

        Args:
            filename: What the annotation says; may be empty.
            annotation: The annotation file's path inside its folder, with ``/``.
            file: The annotation's place, for messages.

        Returns:
            The name with ``/`` between folders, and the path or URL; ``None`` where there is no such picture, and then
            the name is what the annotation says.

        Raises:
            DataError: The file name leads out of the folder, or is missing and cannot be told from the annotation's
                name; or two pictures fit equally well.
        """
        folder = annotation[: annotation.rfind("/") + 1]
        name = folder + filename
        if name in self.names:
            # Among the names are only files below the folder, so there is nothing more to check.
            return name, self.folder.place(name)
        if not _PLAIN.fullmatch(filename):
            filename = safe_filename(
                filename,
                file,
                field=self._field,
                is_there=lambda last: not self.names.isdisjoint((folder + last, last)),
            )
        name = folder + filename
        found = None
        if self.names:
            found = self._search((name, filename) if filename else (), _without_suffix(annotation), file)
        if found is not None:
            return found, self.folder.place(found)
        if not filename:
            raise DataError(
                file,
                f"it has no {self._field}, and no picture has the annotation's name",
                f"put the picture beside it, or write {self._field} into it",
            )
        return name, None

    def _search(self, names: tuple[str, ...], stem: str, file: str) -> str | None:
        for name in names:
            if name in self.names:
                return name
        for name in names:
            if found := self._one(self._by_folded_name.get(_folded(name), ()), file):
                return found
        decoded = tuple(map(unquoted, names))
        if decoded != names and (found := self._search(decoded, "", file)):
            return found
        for name in (*names, stem, stem.rpartition("/")[2]):
            candidates = self._by_folded_stem.get(_folded(name), ())
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
                f"write the picture's full {self._field}, or remove one of them",
            )
        return candidates[0] if candidates else None

    def without(self, annotations: Iterable[str]) -> list[str]:
        """The pictures whose name, but for the ending, none of these files has; sorted."""
        stems = {_without_suffix(name) for name in annotations}
        return sorted(
            name for names in self._by_folded_stem.values() for name in names if _without_suffix(name) not in stems
        )

    @cached_property
    def _by_folded_name(self) -> dict[str, list[str]]:
        table: dict[str, list[str]] = {}
        for name in self.names:
            table.setdefault(_folded(name), []).append(name)
        return table

    @cached_property
    def _by_folded_stem(self) -> dict[str, list[str]]:
        table: dict[str, list[str]] = {}
        for name in self.names:
            if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                table.setdefault(_folded(_without_suffix(name)), []).append(name)
        return table


def spellings(name: str) -> Iterator[str]:
    """How else a file may be called that an annotation calls so: in another Unicode normal form, or without the
    escapes of a URL.
    """
    for other in (name, unquoted(name)) if "%" in name else (name,):
        if other != name:
            yield other
        if not other.isascii():
            yield from {_normal(other, "NFC"), _normal(other, "NFD")} - {name, other}


def unquoted(name: str) -> str:
    """A name with what ``%20`` and the like stand for in a URL; as it is where that would lead elsewhere."""
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
    is_there: Callable[[str], bool] | None = None,
) -> str:
    r"""A relative file name with ``/`` between folders, whether it was written with ``/`` or ``\``.

    An absolute path, which says where the picture lay on the computer that wrote it, stands for its last part where a
    picture of that name is there.

    Args:
        filename: As the annotation says it; may be empty.
        file: The annotation file, for the message.
        place: Where in it, for the message.
        field: What the format calls it, for the message.
        is_there: Whether there is a picture of a name in the folder of the pictures.

    Raises:
        DataError: It is absolute or has a drive letter, and ``is_there`` knows nothing of its last part; or it has a
            ``..`` part, or is a URL.
    """
    if _ADDRESS.match(filename):
        problem = f"the {field} is {filename!r}, an address on the network"
        raise DataError(file, problem, "fetch the picture, and write its plain file name there", place)
    parts = filename.replace("\\", "/").split("/")
    unsafe = ".." in parts or "\0" in filename
    last = last_if_absolute(filename)
    if last != filename and not unsafe and is_there is not None and last not in ("", ".") and is_there(last):
        return last
    if unsafe or last != filename:
        raise DataError(
            file,
            f"the {field} is {filename!r}, which leads out of the folder",
            "write the picture's plain file name there"
            + (", or put a picture of that name into the folder" if last != filename and not unsafe else ""),
            place,
        )
    return "/".join(part for part in parts if part not in ("", "."))


def last_if_absolute(filename: str) -> str:
    """The last part of a path that is absolute on any system; any other as it is."""
    path = filename.replace("\\", "/")
    return re.split("[/:]", path)[-1] if path.startswith("/") or _DRIVE.match(path) else filename


def measured_size(name: str, location: str | None, file: str, place: str = "", *, remedy: str = "") -> tuple[int, int]:
    """Width and height of a picture in pixels, upright, from its header; for annotations that do not say them.

    Args:
        name: The picture's name in the dataset.
        location: Where it is; ``None`` where it was not found.
        file: The annotation file, for the message.
        place: Where in it, for the message.
        remedy: What else than putting the picture there would help, for the message: ``"correct <size>"``.

    Raises:
        DataError: The picture is not there, or is none.
    """
    if location is None:
        raise DataError(
            file,
            f"it does not say the picture's size, and the picture {name} is not there to be measured",
            "put the picture there, name its folder by ?images=FOLDER" + (f", or {remedy}" if remedy else ""),
            place,
        )
    header = parse_header(location)
    if header is None:
        from boxwright.images.decode import read_header  # Pillow, which most images do not need

        header = read_header(ImageRef(name=name, width=1, height=1, location=location).read(), location)
    return header.upright_size


def _folded(name: str) -> str:
    """The same for names that differ in upper and lower case or in the Unicode normal form alone."""
    return name.casefold() if name.isascii() else _normal(name, "NFC").casefold()


def _normal(name: str, form: Literal["NFC", "NFD"]) -> str:
    from unicodedata import normalize  # a large library, which names of ASCII letters do not need

    return normalize(form, name)


def _without_suffix(name: str) -> str:
    return os.path.splitext(name)[0]
