"""The search for the image of an annotation, in the folder of the images."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from functools import cached_property
from typing import NamedTuple

from boxwright.errors import DataError
from boxwright.images.header import parse_header
from boxwright.images.names import (
    PLAIN,
    PLAIN_PATH,
    folded,
    path_of,
    safe_filename,
    trailing_parts,
    unquoted,
    without_suffix,
)
from boxwright.schemas import ImageRef, Sample
from boxwright.storage.filesystem import is_file
from boxwright.storage.folder import Folder
from boxwright.storage.uri import IMAGE_SUFFIXES, is_remote, join


class ImageLookup:
    """Finds the images of annotations by the file name in the annotation, or by the name of the annotation file.

    Args:
        folder: The folder of the images; a path or a URL is listed only if an image is not found under its own name.
        field: The annotation format's name for the file name of an image, for messages: ``<filename>``.
        besides: Files of the folder that are not images, but annotations.

    Attributes:
        notes: Notes for the user about the folder of the images.
    """

    def __init__(self, folder: Folder | str, field: str = "file name", besides: Collection[str] = ()) -> None:
        self._given = folder
        self._field = field
        self._besides = besides
        self.notes: tuple[str, ...] = ()

    @property
    def location(self) -> str:
        """The path or URL of the folder."""
        return self._given if isinstance(self._given, str) else self._given.location

    @cached_property
    def folder(self) -> Folder:
        """The folder of the images."""
        return Folder.at(self._given) if isinstance(self._given, str) else self._given

    @cached_property
    def names(self) -> frozenset[str]:
        """The files to search; none if a folder that was not listed before cannot be."""
        try:
            besides = frozenset(self._besides)
            return frozenset(name for name in self.folder.names if name not in besides)
        except DataError:
            return frozenset()

    def find(
        self, filename: str, annotation: str, file: str, place: str = "", *, below: bool = True, moved: bool = False
    ) -> tuple[str, str | None]:
        r"""Finds the image of an annotation.

        The search is in this order: the file name in the folder of the annotation (or in the sub-folder of the same
        name), then in the folder of the images; the file name with the suffix of an image; the annotation's own name
        with the suffix of an image; the last parts of the file name, as many as possible, anywhere below the folder of
        the annotation, or below the first folder above it that contains images. Each step also accepts differences in
        case and in the Unicode normal form (macOS decomposes accented letters, other systems do not), backslashes, and
        ``%`` as in a URL. Of a path that leads elsewhere on the computer that wrote it (``C:\x\1.jpg``,
        ``file:///x/1.jpg``, ``../x/1.jpg``), only the last parts count.

        Args:
            filename: The file name in the annotation; may be empty.
            annotation: The annotation file's path in its folder, with ``/``.
            file: The path of the annotation, for messages.
            place: The place in the file, for messages.
            below: Whether to search below the folder as well.
            moved: Whether the images may be in other folders than when the file name was written.

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
        refusal = None
        safe = filename
        if not PLAIN.fullmatch(filename):
            try:
                safe = safe_filename(filename, file, place, field=self._field)
            except DataError as error:
                safe, refusal = "", error
        name, stem = folder + safe, without_suffix(annotation)
        found = None
        if self.names:
            source = _Source(file, place, "it could belong to" if annotation else f"image {filename} could be")
            if refusal is not None:
                found = self._below(path_of(filename), folder, source, moved=True)
            else:
                found = self._search((name, safe) if safe else (), stem, source)
                for path in (safe, stem.rpartition("/")[2]) if below else ():
                    found = found or self._below(path, folder, source, moved=moved)
        if found is not None:
            return found, self.folder.place(found)
        if refusal is not None:
            raise refusal
        if not safe:
            raise DataError(
                file,
                f"it has no {self._field}, and no image has the annotation's name",
                f"put the image next to it, or add {self._field}",
                place,
            )
        return name, None

    def find_written(self, filename: str, file: str, place: str = "") -> tuple[str, str | None]:
        """Finds an image by its file name in a file that contains the annotations of many.

        Args:
            filename: The file name in the annotation.
            file: The path of the annotation, for messages.
            place: The place in the file, for messages.

        Returns:
            The image's name in the dataset and its path or URL, as :meth:`find`. A name that can be the path of an
            image is kept, whatever the spelling of the file is.

        Raises:
            DataError: As :meth:`find`.
        """
        plain = PLAIN_PATH.fullmatch(filename) is not None
        if plain:
            own = join(self.location, filename)
            if filename in self.names if is_remote(self.location) else is_file(own):  # at a URL, one listing
                return filename, own
        name, location = self.find(filename, "", file, place)
        kept = plain and os.path.splitext(filename)[1].lower() in IMAGE_SUFFIXES
        return filename if kept else name, location

    def contains(self, filename: str) -> bool:
        """Returns whether an image is found by a file name."""
        try:
            return self.find_written(filename, filename)[1] is not None
        except DataError:
            return False

    def _search(self, names: tuple[str, ...], stem: str, source: _Source) -> str | None:
        for name in names:
            if name in self.names:
                return name
        for name in names:
            if found := self._one(self._by_folded_name.get(folded(name), ()), source):
                return found
        decoded = tuple(map(unquoted, names))
        if decoded != names and (found := self._search(decoded, "", source)):
            return found
        for name in (*names, stem, stem.rpartition("/")[2]):
            candidates = self._by_folded_stem.get(folded(name), ())
            if found := self._one([found for found in candidates if without_suffix(found) == name], source):
                return found
            if found := self._one(candidates, source):
                return found
        return None

    def _below(self, path: str, folder: str, source: _Source, *, moved: bool = False) -> str | None:
        """Finds an image by the last parts of a path, below the first folder with images from the annotation's up.

        If the folder of the annotation has images next to it, its own is missing, unless the path was moved. An image
        next to an annotation of its name belongs to that one.
        """
        if not moved and "/" not in path and folder in self.folders_of_images:
            return None
        scope = folder
        while scope and not any(each.startswith(scope) for each in self.folders_of_images):
            scope = scope[: scope.rfind("/", 0, -1) + 1]
        for tail in trailing_parts(path):
            decoded = folded(unquoted(tail))
            base = decoded.rpartition("/")[2]
            candidates = {
                name: None
                for key in (base, without_suffix(base))
                for name in self._by_folded_base.get(key, ())
                if name.startswith(scope)
                and any(f"/{each}".endswith(f"/{decoded}") for each in (folded(name), folded(without_suffix(name))))
                and (moved or without_suffix(name) not in self._annotated)
            }
            exact = {name: None for name in candidates if f"/{name}".endswith(f"/{tail}")}
            candidates = exact or candidates
            if tail == path and candidates:  # of a whole path, those in the highest folder
                highest = min(name.count("/") for name in candidates)
                candidates = {name: None for name in candidates if name.count("/") == highest}
            if found := self._one(list(candidates), source):
                return found
            above = tail[: tail.rfind("/") + 1]
            if above and any(f"/{each}".endswith(f"/{above}") for each in self.folders_of_images):
                return None
        return None

    def _one(self, candidates: list[str] | tuple[str, ...], source: _Source) -> str | None:
        if len(candidates) > 1:
            raise DataError(
                source.file,
                f"{source.question} {' or '.join(sorted(candidates))}",
                f"write the image's full {self._field}, or remove one of them",
                source.place,
            )
        return candidates[0] if candidates else None

    def without(self, annotations: Iterable[str]) -> list[str]:
        """Returns the images whose names without suffix none of these files has, sorted."""
        stems = {without_suffix(name) for name in annotations}
        return sorted(
            name for names in self._by_folded_stem.values() for name in names if without_suffix(name) not in stems
        )

    @cached_property
    def _by_folded_name(self) -> dict[str, list[str]]:
        return _grouped(self.names, folded)

    @cached_property
    def _by_folded_stem(self) -> dict[str, list[str]]:
        return _grouped(filter(is_image, self.names), lambda name: folded(without_suffix(name)))

    @cached_property
    def _by_folded_base(self) -> dict[str, list[str]]:
        images = [name for names in self._by_folded_stem.values() for name in names]
        return _grouped(images, lambda name: folded(without_suffix(name)).rpartition("/")[2])

    @cached_property
    def folders_of_images(self) -> frozenset[str]:
        """The folders that contain images, each with ``/`` at the end; the top is empty."""
        return frozenset(name[: name.rfind("/") + 1] for name in filter(is_image, self.names))

    @cached_property
    def _annotated(self) -> frozenset[str]:
        return frozenset(map(without_suffix, self._besides))


class _Source(NamedTuple):
    """An annotation, for messages."""

    file: str
    place: str
    question: str


def _grouped(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for name in names:
        table.setdefault(key(name), []).append(name)
    return table


def is_image(name: str) -> bool:
    """Returns whether a file has the suffix of an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


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
