"""Reads CreateML JSON."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final, NamedTuple

from boxwright import DataError, DatasetInfo, ImageRef, NotAnnotatedError, Sample
from boxwright.datasets import ItemError, OnProblem
from boxwright.images import lookup_for, measured_size
from boxwright.plugins import parse_size
from boxwright.storage import Folder, base_name, check_unicode, json_elements, parent
from boxwright_createml.annotation import CoordinateSystem, Entry

_SPLITS: Final = {"valid": "val"}
ROBOFLOW: Final = "_annotations.createml.json"
LIST: Final = "name a CreateML JSON file, a list with an object for each image"
_SOME: Final = 20
_SKIP = "or leave the image out with --on-error skip"


class _Place(NamedTuple):
    """The place of an entry.

    Attributes:
        file: Its file's path inside the folder.
        number: Its number in the file, from 1.
        line: The line where it begins.
    """

    file: str
    number: int
    line: int

    def __str__(self) -> str:
        return f"image {self.number} (line {self.line})"


class CreateMLReader:
    """Yields one sample per entry, in the order of the file; several files in the plain string order of their paths.

    An image's name is that of the image that was found next to the JSON file (see
    :class:`boxwright.images.ImageLookup`). The format contains no sizes: they are read from the images, after EXIF
    orientation is applied. In Roboflow's exports each split is a folder with an ``_annotations.createml.json``, whose
    name becomes the samples' split; ``valid`` is ``val``, as in other formats.

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
        DataError: The location does not exist, or contains images and no JSON file.
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
        uri, others = f"createml:{location}", self._folder.ending(".json")
        named = (name for file in self._files for name in self._named(file))
        self._images = lookup_for(self._folder, images, others, uri=uri, field='"image"', named=named)
        self._include = unannotated == "include"
        if not self._files and not self._include and (found := self._images.without(())):
            raise NotAnnotatedError(
                location,
                f"it contains images ({len(found)}) and no JSON file",
                f"draw boxes: boxwright annotate createml:{location}; "
                "or name the JSON: createml:FILE.json?images=IMAGE_FOLDER",
            )
        self._coordinates = CoordinateSystem(units, anchor, origin)
        splits = tuple(dict.fromkeys(split for file in self._files if (split := self._split(file))))
        self.info = DatasetInfo(format="createml", location=location, splits=splits, notes=self._images.notes)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        place_of: dict[str, _Place] = {}
        for file in self._files:
            try:
                for place, content in self._entries(file):
                    try:
                        sample = self._sample(place, content)
                        if other := place_of.get(sample.image.name):
                            problem = f"it names the image {sample.image.name}, as {self._location(other)} does"
                            raise self._error(place, problem, "remove one of them")
                    except DataError as error:
                        on_problem(error)
                        continue
                    place_of[sample.image.name] = place
                    yield sample
            except DataError as error:  # the rest of the file cannot be read
                on_problem(error)
        if self._include:
            yield from self._unannotated(place_of, on_problem)

    def labels(self) -> Iterator[Sequence[str]]:
        """Yields the labels of each entry, without reading the images.

        Raises:
            DataError: A file cannot be read, or an entry is incomplete.
        """
        for file in self._files:
            for place, content in self._entries(file):
                yield self._entry(place, content).labels

    def _entries(self, file: str) -> Iterator[tuple[_Place, Any]]:
        for number, (line, content) in enumerate(json_elements(self._folder.place(file), LIST), start=1):
            yield _Place(file, number, line), content

    def _named(self, file: str) -> Iterator[str]:
        """Yields the names of some images."""
        with suppress(DataError):
            for place, content in islice(self._entries(file), _SOME):
                yield self._entry(place, content).image

    def _entry(self, place: _Place, content: Any) -> Entry:
        try:
            return Entry(content)
        except ItemError as error:
            raise self._error(place, error.problem, error.remedy, error.place) from None

    def _sample(self, place: _Place, content: Any) -> Sample:
        entry = self._entry(place, content)
        file, source = self._folder.place(place.file), self._location(place)
        # Without the annotation's own name, which is not that of any of its images.
        name, location = self._images.find(entry.image, place.file[: place.file.rfind("/") + 1], source)
        width, height = self._size or measured_size(name, location, file, str(place), remedy="set the size: ?size=WxH")
        try:
            image = ImageRef(name=name, width=width, height=height, location=location)
            boxes = entry.boxes(self._coordinates, width, height)
            split = self._split(place.file)
            return Sample(image=image, boxes=boxes, split=split, attributes=entry.attributes, source=source)
        except ValueError as error:
            raise self._error(place, str(error).partition("\n")[0], "correct it") from None

    def _split(self, file: str) -> str | None:
        folder, _, name = file.rpartition("/")
        return _SPLITS.get(folder, folder) if name == ROBOFLOW and folder and "/" not in folder else None

    def _unannotated(self, named: Container[str], on_problem: OnProblem) -> Iterator[Sample]:
        for name in self._images.without(()):
            if name in named:
                continue
            location = self._images.folder.place(name)
            try:
                check_unicode(location)
                width, height = self._size or measured_size(name, location, location)
                image = ImageRef(name=name, width=width, height=height, location=location)
                yield Sample(image=image, source=location)
            except DataError as error:
                on_problem(error)

    def _location(self, place: _Place) -> str:
        return f"{self._folder.place(place.file)}, {place}"

    def _error(self, place: _Place, problem: str, remedy: str, inside: str = "") -> DataError:
        where = f"{place}, {inside}" if inside else str(place)
        return DataError(self._folder.place(place.file), problem, f"{remedy}, {_SKIP}", where)


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
