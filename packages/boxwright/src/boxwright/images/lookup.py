"""The search for the image of an annotation, in the folder of the images."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Literal

from boxwright.errors import DataError
from boxwright.images.header import parse_header
from boxwright.schemas import ImageRef, Sample
from boxwright.storage.folder import Folder
from boxwright.storage.uri import IMAGE_SUFFIXES

_PLAIN = re.compile(r"[^./\\:\0][^/\\:\0]*")
_DRIVE = re.compile(r"[A-Za-z]:")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class ImageLookup:
    """Finds the images of annotations by the file name in the annotation, or by the name of the annotation file.

    Args:
        folder: The folder of the images.
        field: The annotation format's name for the file name of an image, for messages: ``<filename>``.
        besides: Files of the folder that are not images, but annotations.

    Attributes:
        names: The files to search.
    """

    def __init__(self, folder: Folder, field: str = "file name", besides: Iterable[str] = ()) -> None:
        self.folder = folder
        self.names = frozenset(folder.names).difference(besides)
        self._field = field

    def find(self, filename: str, annotation: str, file: str) -> tuple[str, str | None]:
        """Finds the image of an annotation.

        The search is in this order: the file name in the folder of the annotation (or in the sub-folder of the same
        name), then in the folder of the images (of an absolute path, as some tools write it, only the last part); the
        file name with the suffix of an image; the annotation's own name with the suffix of an image. Each step also
        accepts differences in case and in the Unicode normal form (macOS decomposes accented letters, other systems do
        not). At last, ``%`` in the file name is decoded as in a URL.

        Args:
            filename: The file name in the annotation; may be empty.
            annotation: The annotation file's path in its folder, with ``/``.
            file: The path of the annotation, for messages.

        Returns:
            The image's name in the dataset, with ``/`` between folders, and its path or URL. If the image does not
            exist, the name from the annotation and ``None``.

        Raises:
            DataError: The file name leads out of the folder; or it is empty, and no image has the annotation's name;
                or two images match equally well.
        """
        folder = annotation[: annotation.rfind("/") + 1]
        name = folder + filename
        if name in self.names:
            # The names are those of files in the folder, so that the name is safe.
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
                f"it has no {self._field}, and no image has the annotation's name",
                f"put the image next to it, or add {self._field}",
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
                f"write the image's full {self._field}, or remove one of them",
            )
        return candidates[0] if candidates else None

    def without(self, annotations: Iterable[str]) -> list[str]:
        """Returns the images whose names without suffix none of these files has, sorted."""
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
    """Yields other spellings of a file name: in another Unicode normal form, or with decoded ``%``."""
    for other in (name, unquoted(name)) if "%" in name else (name,):
        if other != name:
            yield other
        if not other.isascii():
            yield from {_normal(other, "NFC"), _normal(other, "NFD")} - {name, other}


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
    is_there: Callable[[str], bool] | None = None,
) -> str:
    r"""Returns a relative file name with ``/`` between folders, from one with ``/`` or ``\``.

    A path that leads elsewhere on the computer that wrote the annotation, or has more folders than the dataset, is
    replaced with its last parts if an image with that name exists: as many as match.

    Args:
        filename: The file name in the annotation; may be empty.
        file: The annotation file, for messages.
        place: The place in the file, for messages.
        field: The format's name for the file name, for messages.
        is_there: Returns whether an image with a name exists in the folder of the images.

    Raises:
        DataError: It is absolute, or has a drive letter or a ``..`` part, and no image with its last part exists; or it
            is a URL.
    """
    if _ADDRESS.match(filename):
        problem = f"the {field} is {filename!r}, an address on the network"
        raise DataError(file, problem, "download the image, and write its plain file name there", place)
    if is_there is not None and "\0" not in filename:
        found = next(filter(is_there, trailing_parts(filename)), None)
        if found is not None:
            return found
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


def measured_size(name: str, location: str | None, file: str, place: str = "", *, remedy: str = "") -> tuple[int, int]:
    """Reads the upright width and height of an image from its header, for annotations without a size.

    Args:
        name: The image's name in the dataset.
        location: Its path or URL; ``None`` if it was not found.
        file: The annotation file, for messages.
        place: The place in the file, for messages.
        remedy: Another remedy than adding the image, for messages: ``"correct <size>"``.

    Raises:
        DataError: The image does not exist, or cannot be read.
    """
    if location is None:
        raise DataError(
            file,
            f"it does not contain the image's size, and the image {name} is missing",
            "add the image, set its folder with ?images=FOLDER" + (f", or {remedy}" if remedy else ""),
            place,
        )
    header = parse_header(location)
    if header is None:
        from boxwright.images.decode import read_header  # imports Pillow, which most images do not need

        header = read_header(ImageRef(name=name, width=1, height=1, location=location).read(), location)
    return header.upright_size


def check_size(sample: Sample) -> None:
    """Checks that the size in an annotation is that of the image, if the image exists and has a readable header.

    Raises:
        DataError: It is another size, or only that of the stored pixels, which EXIF orientation rotates.
    """
    image = sample.image
    source = image.data if image.data is not None else image.location
    if source is None:
        return
    header = parse_header(source)
    if header is None:
        try:
            from boxwright.images.decode import read_header  # imports Pillow, which most images do not need

            header = read_header(image.read(), image.name)
        except DataError:  # missing or damaged: there is nothing to compare with
            return
    annotated = (image.width, image.height)
    if annotated == header.upright_size:
        return
    if annotated != (header.width, header.height):
        from boxwright.images.decode import size_mismatch

        raise size_mismatch(sample, header)
    raise DataError(
        sample.source or image.name,
        f"its boxes refer to the stored pixels of {image.name}, which EXIF orientation {header.orientation} rotates",
        "rotate the image and its boxes: --with upright",
    )


def _folded(name: str) -> str:
    """Returns the same text for names that differ only in case or in the Unicode normal form."""
    return name.casefold() if name.isascii() else _normal(name, "NFC").casefold()


def _normal(name: str, form: Literal["NFC", "NFD"]) -> str:
    from unicodedata import normalize  # a large library, which ASCII names do not need

    return normalize(form, name)


def _without_suffix(name: str) -> str:
    return os.path.splitext(name)[0]
