"""Reads COCO's instances and detections JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice, repeat
from typing import Any, Final, NamedTuple

import msgspec

from boxwright import (
    Boxes,
    Coordinates,
    DataError,
    DatasetInfo,
    ImageRef,
    JsonAttributes,
    Sample,
    SwappedCoordinates,
    check_coordinates,
)
from boxwright.datasets import Columns, Names, OnProblem, ShapeRule, columns_of
from boxwright.images import ImageLookup, lookup_of_file, measured_size, safe_filename, trailing_parts
from boxwright.storage import is_remote, join
from boxwright_coco.annotations import AGAIN, CROWD, NO_ID, OUTLINED, WHOLE
from boxwright_coco.contents import Contents, open_contents
from boxwright_coco.document import Elements
from boxwright_coco.images import image_folder, is_plain
from boxwright_coco.values import ImageRow, RowError, annotation_row, image_row, is_finite, rotated_box

_NO_BOXES = Boxes()
_OUTLINE: Final = ("segmentation",)
_SOME: Final = 5
_LONG: Final = 150  # half of the characters of a number that is surely finite without an exponent
_IMAGES: Final = 1 << 11
_DEEP: Final = "the image or one of its annotations is nested too deeply"


class _Outline(msgspec.Struct, gc=False):
    segmentation: msgspec.Raw


_OUTLINES: Final = msgspec.json.Decoder(_Outline)


class _Image(NamedTuple):
    name: str
    width: int
    height: int
    location: str | None
    attributes: dict[str, Any]


class CocoReader:
    """Reads one sample per image, in the order of ``images``.

    An image is skipped as a whole if one of its annotations is invalid, so that no image has only some of its boxes.
    Annotations of a missing image can be read: its sample has no ``location``.

    Args:
        location: An instances file, or a detections file (a list of results); a path, or a URL that fsspec opens.
        images: The folder of the images; by default, the usual ones are searched, see
            :func:`boxwright_coco.images.usual_folders`.
        shapes: What happens to rotated rectangles: ``"box"``, ``"skip"`` or ``"fail"``.
        truth: The instances file that defines the images and classes of a detections file.
        inverted: ``"error"``, or ``"swap"`` for boxes with a negative width or height, which then extend to the left or
            upwards.
        ids: Whether the ids of images and annotations are read as the attributes ``source_id`` and ``id``.

    Raises:
        UsageError: A detections file without ``truth``, or an instances file with it.
        DataError: The file does not exist, is not such JSON, has invalid classes, or ``images`` does not exist.
    """

    def __init__(
        self,
        location: str,
        images: str | None = None,
        shapes: str = "box",
        truth: str | None = None,
        inverted: str = "error",
        ids: bool = True,
    ) -> None:
        self.shapes = ShapeRule(shapes)
        contents = self._contents = open_contents(location, truth)
        self.parts = len(contents.images)
        self._swap = inverted == "swap"
        self.swapped = SwappedCoordinates()
        self._ids = ids
        named = (each for _, name in islice(contents.names(), _SOME) for each in trailing_parts(name))
        some = [name for name in named if is_plain(name)]
        place = contents.truth.location
        self._folder = image_folder(images, place, some)
        self._lookup = ImageLookup(self._folder, "file_name") if self._folder is not None else None
        if self._lookup is None:
            found = lookup_of_file(place, None, some, uri=f"coco:{location}", field="file_name")
            self._lookup = found if any(map(found.contains, some)) else None
            notes = found.notes
        else:
            notes = ()
        self.info = DatasetInfo(
            format="coco",
            location=location,
            label_map=contents.categories.label_map,
            num_samples=self.parts,
            notes=(*contents.notes, *notes),
            attributes={} if contents.are_detections else contents.attributes,
        )

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        return self.read_part(0, self.parts, on_problem)

    def read_part(self, start: int, stop: int, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples of some of the images; see :class:`boxwright.datasets.Reader`."""
        reading = self._reading()
        yield from reading.samples(range(start, stop), on_problem)
        if stop == self.parts:  # last, because an invalid image may be the cause
            self._report_strays(reading, on_problem)

    def columns(self, on_problem: OnProblem) -> Iterator[Columns]:
        """Yields the annotations of some thousand images at a time; see :class:`boxwright.datasets.ColumnReader`."""
        reading = self._reading()
        for start in range(0, self.parts, _IMAGES):
            positions = range(start, min(start + _IMAGES, self.parts))
            yield from reading.columns(positions, on_problem)
        self._report_strays(reading, on_problem)

    def _reading(self) -> _Reading:
        return _Reading(
            self._contents,
            self._lookup,
            swapped=self.swapped if self._swap else None,
            shapes=self.shapes,
            ids=self._ids,
        )

    def _report_strays(self, reading: _Reading, on_problem: OnProblem) -> None:
        for number in self._contents.annotations.strays:
            on_problem(reading.stray(number))


class _Reading:
    """One pass over the dataset: the open files, and the names so far.

    The samples of the pass read outlines from these files when they are used, so the files are open as long as one of
    the samples exists.
    """

    def __init__(
        self,
        contents: Contents,
        images: ImageLookup | None,
        *,
        swapped: SwappedCoordinates | None,
        shapes: ShapeRule,
        ids: bool,
    ) -> None:
        self._contents = contents
        self._images = contents.images
        self._annotations = contents.annotations
        self._labels = contents.categories.labels
        self._truth = contents.truth.open()
        self._document = contents.document.open()
        self._image_rows = Elements(self._truth, contents.images.starts)
        self._annotation_rows = Elements(self._document, contents.annotations.starts)
        self._lookup = images
        self._remote = images is not None and is_remote(images.location)
        self._swapped = swapped
        self._shapes = shapes
        self._ids = ids
        self._seen = Names()
        self._firsts: dict[str, int] = {}
        self._collected = 0
        self._name_of: dict[str, str] = {}

    def samples(self, positions: range, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the images at some positions with their boxes."""
        for position in positions:
            try:
                sample = self._sample(position)
            except DataError as error:
                on_problem(error)
                continue
            yield sample

    def columns(self, positions: range, on_problem: OnProblem) -> Iterator[Columns]:
        """Yields the annotations of the images at some positions."""
        annotations = self._annotations
        own = slice(annotations.of(positions[0]).start, annotations.of(positions[-1]).stop)
        labels = [self._labels.get(category, "") for category in annotations.categories[own].tolist()]
        states = annotations.states[own]
        if annotations.first_with or AGAIN in states or "" in labels:
            yield from columns_of(self.samples(positions, on_problem))
            return
        images: list[_Image] = []
        keep = []
        for position in positions:
            try:
                images.append(self._image(position))
            except DataError as error:
                on_problem(error)
                images.append(_Image("", 1, 1, None, {}))
                keep.append(False)
            else:
                keep.append(True)
        columns = Columns(
            names=[image.name for image in images],
            sizes=[(image.width, image.height) for image in images],
            counts=[len(annotations.of(position)) for position in positions],
            labels=labels,
            xyxy=annotations.coordinates[own],
            crowds=[bool(state & CROWD) for state in states],
            locations=[image.location for image in images],
            databases=[image.attributes["database"] for image in images if "database" in image.attributes],
        )
        yield columns if all(keep) else columns.select(keep)

    def _image(self, position: int) -> _Image:
        """Returns the image at a position without its boxes.

        Raises:
            DataError: The image is invalid.
        """
        try:
            name, width, height, attributes = self._image_row(position)
        except RecursionError:
            raise self._image_error(position, _DEEP, "correct it") from None
        name, location = self._located(name, position)
        if not self._seen.add(name) and (first := self._first_with(name, position)) is not None:
            problem = f"duplicate file_name {name}, the same as images[{first}]"
            raise self._image_error(position, problem, "correct the file_name of one of them, or remove one")
        if not width or not height:
            place = self._image_place(position)
            remedy = "write width and height"
            width, height = measured_size(name, location, self._truth.document.location, place, remedy=remedy)
        return _Image(name, width, height, location, attributes)

    def _sample(self, position: int) -> Sample:
        name, width, height, location, attributes = self._image(position)
        if self._ids:
            attributes.setdefault("source_id", str(self._images.number(position)))
        try:
            boxes = self._boxes(self._annotations.of(position))
        except RecursionError:
            raise self._image_error(position, _DEEP, "correct it") from None
        image = ImageRef(name=name, width=width, height=height, location=location)
        return Sample(image=image, boxes=boxes, attributes=attributes, source=self._contents.source(position))

    def stray(self, number: int) -> DataError:
        """Returns the error for an annotation that belongs to no image."""
        remedy = f"correct it, or add the image to {self._truth.document.location}"
        try:
            row = self._annotation_row(number)
        except RowError as error:
            return self._annotation_error(number, error.problem, error.remedy)
        image = row.get("image_id") if isinstance(row, dict) else None
        problem = "image_id is missing" if image is None else f"image_id is {image!r:.60}, but no image has this id"
        return self._annotation_error(number, problem, remedy)

    def _first_with(self, name: str, position: int) -> int | None:
        """Returns the first image with a name before a position; the names are collected when one is needed."""
        for each in range(self._collected, position):
            with suppress(DataError):
                self._firsts.setdefault(self._located(self._image_row(each).file_name, each)[0], each)
        self._collected = max(self._collected, position)
        return self._firsts.get(name)

    def _image_row(self, position: int) -> ImageRow:
        try:
            row = _decoded(self._image_rows, position)
            name, width, height, attributes = image_row(row)
        except RowError as error:
            raise self._image_error(position, error.problem, error.remedy) from None
        if self._images.repeated and (same := self._images.repeated.get(row["id"])):
            other = next(each for each in same if each != position)
            problem = f"duplicate id, the same as images[{other}]: their annotations cannot be distinguished"
            raise self._image_error(position, problem, "give each image its own id")
        if not is_plain(name) and not any(trailing_parts(name)):
            raise self._image_error(position, f"file_name is {name!r:.60}", "write the name of the image")
        return ImageRow(name, width, height, attributes)

    def _located(self, written: str, position: int) -> tuple[str, str | None]:
        """Returns the name and the location of an image.

        Those at URLs are not checked, which would take a request for each.
        """
        try:
            return self._found(written, "")
        except DataError:  # the line is determined only for the error, because this takes long
            return self._found(written, self._image_place(position))

    def _found(self, written: str, place: str) -> tuple[str, str | None]:
        file = self._truth.document.location
        if self._lookup is None or self._remote:
            name = written if is_plain(written) else safe_filename(written, file, place, field="file_name")
            return name, None if self._lookup is None else join(self._lookup.location, name)
        name, location = self._lookup.find_written(written, file, place)
        # Two images are never the same file, whatever folders their names have.
        return name, location if location is not None and self._name_of.setdefault(location, name) == name else None

    def _boxes(self, numbers: range) -> Boxes:
        if not numbers:
            return _NO_BOXES
        columns = self._annotations
        own = slice(numbers.start, numbers.stop)
        if columns.first_with or AGAIN in columns.states[own]:
            return self._boxes_one_by_one(numbers)
        labels = [self._labels.get(category, "") for category in columns.categories[own].tolist()]
        if "" in labels:
            return self._boxes_one_by_one(numbers)
        coordinates = [*map(tuple, columns.coordinates[own].tolist())]
        try:
            return Boxes(labels, coordinates, self._attributes(numbers))
        except ValueError:  # the other way names the annotation
            return self._boxes_one_by_one(numbers)

    def _attributes(self, numbers: range) -> list[Mapping[str, Any]]:
        """Returns the attributes of annotations that need not be read again."""
        columns = self._annotations
        own = slice(numbers.start, numbers.stop)
        given = columns.ids[own].tolist() if self._ids else repeat(NO_ID)
        found: list[Mapping[str, Any]] = []
        areas = columns.areas[own].tolist()
        for number, state, own_id, area in zip(numbers, columns.states[own], given, areas, strict=False):
            attributes = {"id": own_id} if own_id != NO_ID else {}
            if area == area:  # not NaN
                attributes["area"] = int(area) if state & WHOLE else area
            if state & CROWD:
                attributes["iscrowd"] = 1
            outlined = state & OUTLINED
            found.append(JsonAttributes(attributes, _OUTLINE, partial(self._text, number)) if outlined else attributes)
        return found

    def _text(self, number: int, key: str) -> bytes:
        """Returns the JSON text of a value of an annotation."""
        text = self._annotation_rows.text(self._annotations.in_file(number))
        value = bytes(_OUTLINES.decode(memoryview(text)[: text.rfind(b"}") + 1]).segmentation)
        if not value.isascii():
            try:
                value.decode()
            except UnicodeDecodeError:
                raise self._annotation_error(number, f"{key} is not UTF-8", "correct it") from None
        if _may_be_infinite(value) and not is_finite(json.loads(value)):
            raise self._annotation_error(number, f"{key} contains NaN or infinity, which is not JSON", "correct it")
        return value

    def _boxes_one_by_one(self, numbers: range) -> Boxes:
        labels: list[str] = []
        coordinates: list[Coordinates] = []
        attributes: list[Mapping[str, Any]] = []
        for number in numbers:
            try:
                found = self._box(number)
            except RowError as error:
                raise self._annotation_error(number, error.problem, error.remedy) from None
            if found is not None:
                labels.append(found[0])
                coordinates.append(found[1])
                attributes.append(found[2])
        return Boxes(labels, coordinates, attributes)

    def _box(self, number: int) -> tuple[str, Coordinates, Mapping[str, Any]] | None:
        columns = self._annotations
        own, place = int(columns.ids[number]), columns.in_file(number)
        first = columns.first_with.get(own, place) if self._ids else place
        if first != place:
            problem = f"duplicate id, the same as {self._contents.annotation(first)}"
            raise RowError(problem, "give each annotation its own id, or ignore the ids: ?ids=false")
        attributes: Mapping[str, Any]
        if columns.states[number] == AGAIN:
            row = rotated_box(annotation_row(self._annotation_row(number), self._swapped), self._shapes)
            if row is None:
                return None
            category, coordinates, attributes = row
            if not self._ids:
                attributes.pop("id", None)
        else:
            left, top, right, bottom = columns.coordinates[number].tolist()
            category, coordinates = int(columns.categories[number]), (left, top, right, bottom)
            (attributes,) = self._attributes(range(number, number + 1))
        if invalid := check_coordinates(coordinates):
            raise RowError(invalid)
        label = self._labels.get(category)
        if label is None:
            known = self._contents.categories.describe() or "none"
            raise RowError(f"category_id is {category}, but the classes are: {known}", "add the class, or correct it")
        return label, coordinates, attributes

    def _annotation_row(self, number: int) -> Any:
        return _decoded(self._annotation_rows, self._annotations.in_file(number))

    def _image_place(self, position: int) -> str:
        number = self._images.number(position)
        return _place(
            f"images[{position}]" + (f" (id {number})" if number is not None else ""),
            self._truth.document.place(self._images.starts[position]),
        )

    def _image_error(self, position: int, problem: str, remedy: str) -> DataError:
        return DataError(self._truth.document.location, problem, remedy, self._image_place(position))

    def _annotation_error(self, number: int, problem: str, remedy: str) -> DataError:
        own, number = int(self._annotations.ids[number]), self._annotations.in_file(number)
        document = self._document.document
        place = self._contents.annotation(number) + (f" (id {own})" if own != NO_ID else "")
        return DataError(
            document.location, problem, remedy, _place(place, document.place(self._annotations.starts[number]))
        )


def _may_be_infinite(text: bytes) -> bool:
    """Returns whether a number in a text may be too large for a float."""
    if b"e" in text or b"E" in text:
        return True
    for at in range(0, len(text) - _LONG, _LONG):  # noqa: SIM110  # any() takes twice as long
        if text.find(b",", at, at + _LONG) < 0:  # a longer number contains such a block
            return True
    return False


def _decoded(rows: Elements, number: int) -> Any:
    try:
        return rows[number]
    except ValueError as error:
        raise RowError(str(error)) from None


def _place(what: str, line: str) -> str:
    return f"{what}, {line}" if line else what
