"""Reads the text files of keras-yolo3 and its successors: ``PATH XMIN,YMIN,XMAX,YMAX,CLASS ...``, one line per image.

The format is defined in the README of https://github.com/qqwweee/keras-yolo3, section "Training". Roboflow exports it
as "YOLO Keras TXT" and "YOLOv4 PyTorch": ``_annotations.txt`` and ``_classes.txt`` next to the images of each split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from boxwright import Boxes, DataError, DatasetInfo, ImageRef, LabelMap, Sample, SwappedCoordinates, check_coordinates
from boxwright.datasets import OnProblem
from boxwright.images import lookup_of_file, measured_size
from boxwright.plugins import Detection
from boxwright.storage import base_name, join, open_binary, parent, read_file
from boxwright_csv.rows import SKIP

CLASS_FILES: Final = ("_classes.txt", "classes.txt")
_BEFORE_BOXES = re.compile(r"\s+(?=-?[0-9.]+(?:,[^\s,]+){4}(?:\s|$))")  # a path may have spaces
_NUMBER = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,20})?")
_LONGEST: Final = 1 << 20
_SOME: Final = 20


class KerasYoloReader:
    """Reads one sample per line, in the order of the file; coordinates are pixels, counted from 0.

    Args:
        location: A path, or a URL that fsspec opens.
        images: The folder of the images, if it is not that of the file; a path or a URL.
        classes: The file of the classes, one name per line; by default one of :data:`CLASS_FILES` next to the file.
        inverted: ``"error"``, or ``"swap"`` to swap coordinates that are in the wrong order.

    Attributes:
        swapped: Counts the boxes whose coordinates were swapped.

    Raises:
        DataError: A file does not exist, or the file of the classes is invalid.
    """

    def __init__(
        self, location: str, images: str | None = None, classes: str | None = None, inverted: str = "error"
    ) -> None:
        self._location = location
        self._classes = _read_classes(location, classes)
        self._swap = inverted == "swap"
        self.swapped = SwappedCoordinates()
        names = [line[0] for _, line in islice(_lines(location), _SOME) if not isinstance(line, DataError)]
        self._images = lookup_of_file(location, images, names, uri=f"keras-yolo3:{location}")
        label_map = LabelMap.from_names(self._classes, sort=False)
        self.info = DatasetInfo(format="keras-yolo3", location=location, label_map=label_map, notes=self._images.notes)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        first_with: dict[str, str] = {}
        for place, line in _lines(self._location):
            try:
                if isinstance(line, DataError):
                    raise line
                sample = self._sample(*line, place)
                if other := first_with.get(sample.image.name):
                    raise self._error(f"it has the image {sample.image.name}, as {other} does", "remove one", place)
            except DataError as error:
                on_problem(error)
                continue
            first_with[sample.image.name] = place
            yield sample

    def _sample(self, written: str, given: list[str], place: str) -> Sample:
        name, location = self._images.find_written(written, self._location, place)
        width, height = measured_size(name, location, self._location, place)
        labels, boxes = [], []
        for number, text in enumerate(given, start=1):
            *edges, label = text.split(",")
            where = f"{place}, box {number}"
            if len(edges) != 4 or not all(map(_NUMBER.fullmatch, edges)):
                raise self._error(f"{text[:60]!r} is not XMIN,YMIN,XMAX,YMAX,CLASS", "correct it", where)
            if not (label.isdecimal() and len(label) < 10 and int(label) < len(self._classes)):
                problem = f"the class is {label[:20]!r}, but the classes are 0 to {len(self._classes) - 1}"
                raise self._error(problem, "correct it, or pass the file of the classes: ?classes=FILE", where)
            xmin, ymin, xmax, ymax = map(float, edges)
            coordinates = (xmin, ymin, xmax, ymax)
            if wrong := check_coordinates(coordinates):
                if not self._swap:
                    raise self._error(wrong, "correct it, swap the coordinates (?inverted=swap)", where)
                coordinates = self.swapped.sort(coordinates)
            labels.append(self._classes[int(label)])
            boxes.append(coordinates)
        return Sample(
            image=ImageRef(name=name, width=width, height=height, location=location),
            boxes=Boxes(labels, boxes),
            source=f"{self._location}, {place}",
        )

    def _error(self, problem: str, remedy: str, place: str) -> DataError:
        return DataError(self._location, problem, f"{remedy}, {SKIP}", place)


def detect(location: str) -> Detection:
    """Detects lines of an image and boxes."""
    if not base_name(location).lower().endswith(".txt"):
        return Detection(False, "its name does not end in .txt")
    try:
        found = [line for _, line in islice(_lines(location), _SOME)]
    except DataError as error:
        return Detection(False, error.problem)
    boxes = [box for line in found if not isinstance(line, DataError) for box in line[1]]
    if boxes and all(map(_NUMBER.fullmatch, ",".join(boxes).split(","))):
        return Detection(True, "its lines have an image and XMIN,YMIN,XMAX,YMAX,CLASS")
    return Detection(False, "its lines do not have an image and XMIN,YMIN,XMAX,YMAX,CLASS")


def _lines(location: str) -> Iterator[tuple[str, tuple[str, list[str]] | DataError]]:
    """Yields the place, the image and the boxes of each line that is not blank, or an error."""
    with open_binary(location) as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST), b""), start=1):
            place = f"line {number}"
            if len(line) == _LONGEST:
                raise DataError(location, f"it has more than {_LONGEST:,} characters", "correct it", place)
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                yield place, DataError(location, "it is not UTF-8", f"save it as UTF-8, {SKIP}", place)
                continue
            if text := text.strip():
                image, *rest = _BEFORE_BOXES.split(text, maxsplit=1)
                yield place, (image, rest[0].split() if rest else [])


def _read_classes(location: str, given: str | None) -> list[str]:
    """Returns the names of the classes, in the order of their numbers from 0.

    Raises:
        DataError: The file is missing, is not UTF-8, or a name is empty or a duplicate.
    """
    folder = parent(location)
    for path in (given,) if given is not None else [join(folder, name) for name in CLASS_FILES]:
        if (content := read_file(path, "check ?classes=FILE")) is not None:
            break
    else:
        problem = f"the file of the classes is missing: {given or ' or '.join(CLASS_FILES)}"
        raise DataError(given or location, problem, "pass it: ?classes=FILE, with one name per line")
    try:
        names = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise DataError(path, "it is not UTF-8", "save it as UTF-8") from None
    while names and not names[-1]:
        names.pop()
    for number, name in enumerate(names):
        if not name or name in names[:number]:
            problem = f"duplicate class {name!r}" if name else "the name is empty"
            raise DataError(path, problem, "write one name per line", f"line {number + 1}")
    return names
