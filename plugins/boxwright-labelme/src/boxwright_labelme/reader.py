"""Reads LabelMe's JSON."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence

from boxwright import DataError, DatasetInfo, ImageRef, NotAnnotatedError, Sample
from boxwright.datasets import OnProblem, ShapeRule
from boxwright.images import ImageLookup, last_if_absolute, lookup_for, measured_size, read_header
from boxwright.storage import IMAGE_SUFFIXES, Folder, base_name, check_unicode, is_folder, is_remote, join, parent
from boxwright_labelme.annotation import Annotation

_FIELD = '"imagePath"'


class LabelMeReader:
    """Yields one sample per JSON file, in the plain string order of their paths.

    The image is the one that ``imagePath`` names: relative to the JSON file, also in another folder of the dataset or
    in a folder next to it (``../images/a.jpg``); then any that :class:`boxwright.images.ImageLookup` finds; then the
    one that the file itself contains (``imageData``). A size that is missing is read from the image, after EXIF
    orientation.

    Args:
        location: A folder with JSON files in it or in its sub-folders, or one JSON file; a path, or a URL.
        shapes: What happens to shapes that are not upright boxes: ``"box"``, ``"skip"`` or ``"fail"``.
        images: The folder of the images, if it is not that of the JSON files.
        unannotated: ``"ignore"``, or ``"include"`` to yield images without JSON as samples without boxes, after the
            others.

    Attributes:
        parts: The number of files, which processes may share.
        shapes: The rule for shapes.

    Raises:
        DataError: The location does not exist, or contains images and no JSON file.
    """

    def __init__(
        self, location: str, shapes: str = "box", images: str | None = None, unannotated: str = "ignore"
    ) -> None:
        self.shapes = ShapeRule(shapes)
        self._folder, self._files = _found(location)
        self._own_images = images is None
        self._next_to: dict[str, ImageLookup | None] = {}
        self._images = lookup_for(self._folder, images, self._files, uri=f"labelme:{location}", field=_FIELD)
        include = unannotated == "include"
        matching = include or len(self._images.names) > len(self._files)
        others = self._images.without(self._files) if matching else []
        if others and not self._files and not include:
            raise NotAnnotatedError(
                location,
                f"it contains images ({len(others)}) and no JSON file",
                f"draw boxes: boxwright annotate labelme:{location}; "
                "or name the folder of the JSON: labelme:JSON_FOLDER?images=IMAGE_FOLDER",
            )
        self._items = [*self._files, *(others if include else ())]
        self.parts = len(self._items)
        self.info = DatasetInfo(format="labelme", location=location, num_samples=self.parts, notes=self._images.notes)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples, each image once; see :class:`boxwright.datasets.Reader`."""
        item_of: dict[str, int] = {}
        for item in range(self.parts):
            for sample in self.read_part(item, item + 1, on_problem):
                name = sample.image.name
                if name not in item_of:
                    item_of[name] = item
                    yield sample
                elif item < len(self._files):  # an image without JSON of its name may belong to another one
                    other = self._folder.place(self._items[item_of[name]])
                    problem = f"it names the image {name}, as {other} does"
                    on_problem(DataError(sample.source, problem, f"correct {_FIELD} in one of them, or remove one"))

    def read_part(self, start: int, stop: int, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples of the files from ``start`` to ``stop``."""
        for item in range(start, min(stop, self.parts)):
            file = self._items[item]
            try:
                sample = self._annotated(file) if item < len(self._files) else self._plain(file)
            except DataError as error:
                on_problem(error)
                continue
            yield sample

    def labels(self) -> Iterator[Sequence[str]]:
        """Yields the labels of each file, without looking for its image.

        Raises:
            DataError: A file cannot be read.
        """
        return self.labels_part(0, self.parts)

    def labels_part(self, start: int, stop: int) -> Iterator[Sequence[str]]:
        """Yields the labels of the files from ``start`` to ``stop``.

        Raises:
            DataError: A file cannot be read.
        """
        for file in self._files[start:stop]:
            yield Annotation(self._folder.read(file), self._folder.place(file)).boxes(self.shapes).labels

    def _annotated(self, file: str) -> Sample:
        place = self._folder.place(file)
        check_unicode(place)
        annotation = Annotation(self._folder.read(file), place)
        image = self._image(annotation, file, place)
        boxes = annotation.boxes(self.shapes, (image.width, image.height))
        return Sample(image=image, boxes=boxes, attributes=annotation.attributes, source=place)

    def _image(self, annotation: Annotation, file: str, place: str) -> ImageRef:
        data = None
        try:
            name, location = self._located(annotation.image, file, place)
        except DataError:
            data = annotation.image_data()
            if data is None:
                raise
            name, location = last_if_absolute(annotation.image).replace("\\", "/").rpartition("/")[2], None
        if location is None and data is None:
            data = annotation.image_data()
        width, height = annotation.size
        if data is not None:
            header = read_header(data, place)
            if not name:
                name = f"{os.path.splitext(file)[0]}.{header.format.replace('jpeg', 'jpg')}"
            if not width or not height:
                width, height = header.upright_size
        elif not width or not height:
            width, height = measured_size(name, location, place)
        check_unicode(f"{name}{location or ''}")
        return ImageRef(name=name, width=width, height=height, location=location, data=data)

    def _located(self, path: str, file: str, place: str) -> tuple[str, str | None]:
        """Returns the name and the location of the image with a path relative to a JSON file."""
        plain = path.replace("\\", "/")
        if ".." not in plain.split("/") or last_if_absolute(plain) != plain:
            return self._images.find(path, file, place)
        plain = posixpath.normpath(file[: file.rfind("/") + 1] + plain)
        folder, name = posixpath.split(plain)
        if plain.startswith("../"):
            sibling, _, folder = folder.removeprefix("../").partition("/")
            lookup = self._lookup_next_to(sibling) if self._own_images and sibling not in ("", "..") else None
            if lookup is not None:
                return lookup.find(name, posixpath.join(folder, posixpath.basename(file)), place)
            folder = ""
        return self._images.find(name, posixpath.join(folder, posixpath.basename(file)), place)

    def _lookup_next_to(self, name: str) -> ImageLookup | None:
        """Returns the images of a folder next to the dataset's, ``None`` if it does not exist."""
        if name not in self._next_to:
            here = self._folder.location
            place = join(parent(here if is_remote(here) else os.path.abspath(here)), name)
            folder = Folder.at(place) if is_folder(place) else None
            others = (
                [] if folder is None else [n for n in folder.names if not n.lower().endswith(tuple(IMAGE_SUFFIXES))]
            )
            self._next_to[name] = None if folder is None else ImageLookup(folder, _FIELD, besides=others)
        return self._next_to[name]

    def _plain(self, name: str) -> Sample:
        location = self._images.folder.place(name)
        check_unicode(location)
        width, height = measured_size(name, location, location)
        image = ImageRef(name=name, width=width, height=height, location=location)
        return Sample(image=image, source=location)


def _found(location: str) -> tuple[Folder, list[str]]:
    """Returns a folder and the JSON files to read: the location itself, or the folder that contains it."""
    name = base_name(location)
    if not name.lower().endswith(".json") or is_folder(location):
        folder = Folder.at(location)
        return folder, folder.ending(".json")
    folder = Folder.at(parent(location))
    if name not in folder.names:
        raise DataError(location, "file not found", "check the path")
    return folder, [name]
