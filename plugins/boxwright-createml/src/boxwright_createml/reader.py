"""Reads CreateML JSON."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from boxwright import DataError, DatasetInfo, ImageRef, Sample
from boxwright.datasets import OnProblem
from boxwright.images import ImageLookup, measured_size
from boxwright.plugins import parse_size
from boxwright.storage import Folder, base_name, check_unicode, parent
from boxwright_createml.annotation import Coordinates, Entry, EntryError
from boxwright_createml.elements import elements

ROBOFLOW: str = "_annotations.createml.json"
_SKIP = "or leave the image out with --on-error skip"


class CreateMLReader:
    """Yields one sample per entry, in the order of the file; several files in the plain string order of their paths.

    An image's name is that of the image that was found next to the JSON file (see
    :class:`boxwright.images.ImageLookup`). The format contains no sizes: they are read from
    the images, after EXIF
    orientation is applied. In Roboflow's exports each split is a folder with an ``_annotations.createml.json``, whose
    name becomes the samples' split.

    Args:
        location: A JSON file, or a folder with JSON files in it or in its sub-folders; a path, or a URL.
        images: The folder of the images, if it is not that of the JSON file.
        size: ``WIDTHxHEIGHT`` of all images in pixels, which then need not exist.
        unannotated: ``"ignore"``, or ``"include"`` to yield images that no JSON file names as samples without boxes,
            after the others.
        units: ``"pixel"``, or ``"normalized"`` for coordinates relative to the image size.
        anchor: The point of a box that ``x`` and ``y`` describe: ``"center"``, ``"topLeft"`` or ``"bottomLeft"``.
        origin: The corner of the image that they are measured from: ``"topLeft"`` or ``"bottomLeft"``.

    Raises:
        DataError: There is no such file or folder, or it contains images and no JSON file.
        UsageError: ``size`` is not a size.
    """

    def __init__(
        self,
        location: str,
        images: str | None = None,
        size: str | None = None,
        unannotated: str = "ignore",
        units: str = "pixel",
        anchor: str = "center",
        origin: str = "topLeft",
    ) -> None:
        self._size = parse_size(size) if size is not None else None
        self._folder, self._files = _found(location)
        pictures = self._folder if images is None else Folder.at(images)
        self._pictures = ImageLookup(pictures, '"image"', besides=self._folder.ending(".json"))
        self._include = unannotated == "include"
        if not self._files and not self._include and (left := self._pictures.without(())):
            raise DataError(
                location,
                f"it contains images ({len(left)}) and no JSON file",
                "annotate them, or name the JSON: createml:FILE.json?images=IMAGE_FOLDER",
            )
        self._coordinates = Coordinates(units, anchor, origin)
        splits = tuple(dict.fromkeys(split for file in self._files if (split := self._split(file))))
        self.info = DatasetInfo(format="createml", location=location, splits=splits)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        first_of: dict[str, tuple[str, int, int]] = {}
        for file in self._files:
            try:
                for number, (line, content) in enumerate(elements(self._folder.place(file)), start=1):
                    try:
                        sample = self._sample(file, number, line, content)
                        self._check_new(sample.image.name, first_of, file, number, line)
                    except DataError as error:
                        on_problem(error)
                        continue
                    first_of[sample.image.name] = (file, number, line)
                    yield sample
            except DataError as error:  # the rest of the file cannot be read
                on_problem(error)
        if self._include:
            yield from self._unannotated(first_of, on_problem)

    def labels(self) -> Iterator[Sequence[str]]:
        """Yields the labels of each entry, without reading the images.

        Raises:
            DataError: A file cannot be read, or an entry is incomplete.
        """
        for file in self._files:
            for number, (line, content) in enumerate(elements(self._folder.place(file)), start=1):
                yield self._entry(file, number, line, content).labels

    def _entry(self, file: str, number: int, line: int, content: Any) -> Entry:
        try:
            return Entry(content)
        except EntryError as error:
            raise self._error(file, error.problem, error.remedy, number, line, error.place) from None

    def _sample(self, file: str, number: int, line: int, content: Any) -> Sample:
        entry = self._entry(file, number, line, content)
        place = self._folder.place(file)
        where = _place(number, line)
        # Without the annotation's own name, which is not that of any of its images.
        name, location = self._pictures.find(entry.image, file[: file.rfind("/") + 1], f"{place}, {where}")
        width, height = self._size or measured_size(name, location, place, where, remedy="set the size: ?size=WxH")
        try:
            image = ImageRef(name=name, width=width, height=height, location=location)
            boxes = entry.boxes(self._coordinates, width, height)
            return Sample(
                image=image,
                boxes=boxes,
                split=self._split(file),
                attributes=entry.attributes,
                source=f"{place}, {where}",
            )
        except ValueError as error:
            raise self._error(file, str(error).partition("\n")[0], "correct it", number, line) from None

    def _check_new(
        self, name: str, first_of: Mapping[str, tuple[str, int, int]], file: str, number: int, line: int
    ) -> None:
        if name in first_of:
            other, *where = first_of[name]
            problem = f"it names the image {name}, as {self._folder.place(other)}, {_place(*where)} does"
            raise self._error(file, problem, "remove one of them", number, line)

    def _split(self, file: str) -> str | None:
        folder, _, name = file.rpartition("/")
        return folder if name == ROBOFLOW and folder and "/" not in folder else None

    def _unannotated(self, named: Container[str], on_problem: OnProblem) -> Iterator[Sample]:
        for name in self._pictures.without(()):
            if name in named:
                continue
            location = self._pictures.folder.place(name)
            try:
                check_unicode(location)
                width, height = self._size or measured_size(name, location, location)
                image = ImageRef(name=name, width=width, height=height, location=location)
                yield Sample(image=image, source=location)
            except DataError as error:
                on_problem(error)

    def _error(self, file: str, problem: str, remedy: str, number: int, line: int, place: str = "") -> DataError:
        where = ", ".join(part for part in (_place(number, line), place) if part)
        return DataError(self._folder.place(file), problem, f"{remedy}, {_SKIP}", where)


def _found(location: str) -> tuple[Folder, list[str]]:
    """Returns a folder and the JSON files to read: the location itself, or the folder that contains it."""
    name = base_name(location)
    if not name.lower().endswith(".json") or os.path.isdir(location):
        folder = Folder.at(location)
        return folder, folder.ending(".json")
    folder = Folder.at(parent(location))
    if name in folder.names:
        return folder, [name]
    if any(other.startswith(f"{name}/") for other in folder.names):  # a remote folder with the name of a file
        folder = Folder.at(location)
        return folder, folder.ending(".json")
    raise DataError(location, "file not found", "check the path")


def _place(number: int, line: int) -> str:
    return f"image {number} (line {line})"
