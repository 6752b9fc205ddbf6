"""KITTI object labels, read and written without panlabel, which fails on the benchmark's own DontCare regions.

One text file per image in ``label_2``, with one line of 15 fields per object, 16 in results (readme of the object
development kit, https://s3.eu-central-1.amazonaws.com/avg-kitti/devkit_object.zip)::

    type truncated occluded alpha left top right bottom height width length x y z rotation_y [score]

``truncated`` is 0 to 1, ``occluded`` 0 to 3, both -1 if not applicable; the coordinates are pixels from 0. Sizes and
the location in space are in meters, angles in radians; -1, -1000 and -10 mean unknown.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from boxwright import (
    Boxes,
    Coordinates,
    DataError,
    DatasetInfo,
    ImageRef,
    LabelMap,
    Sample,
    SwappedCoordinates,
    check_coordinates,
)
from boxwright.datasets import OnProblem, Output
from boxwright.images import ImageLookup, measured_size
from boxwright.plugins import Detection
from boxwright.storage import IMAGE_SUFFIXES, Folder, is_remote, join, safe_name

_LABELS, _IMAGES = "label_2", "image_2"
_FIELDS = (15, 16)
_DONT_CARE, _SOME = b"DontCare ", 50
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_UNKNOWN: dict[str, Any] = {
    "truncated": 0,
    "occluded": 0,
    "alpha": -10,
    "dimensions": [-1, -1, -1],
    "location": [-1000, -1000, -1000],
    "rotation_y": -10,
}
_REMEDY = "correct the line, or skip the image with --on-error skip"


class KittiReader:
    """Reads one sample per label file, sorted by name as plain strings.

    Args:
        location: A folder that contains ``label_2`` or ``training/label_2``, or ``label_2`` itself; a path, or a URL
            that fsspec opens.
        images: The folder of the images, if it is not ``image_2`` next to ``label_2``.
        inverted: ``"error"``, or ``"swap"`` to swap coordinates that are in the wrong order.
        inclusive: Whether right and bottom are the last pixel of an object: 1 is added to them.

    Raises:
        DataError: The folder does not exist, or contains no label files.
    """

    def __init__(
        self, location: str, images: str | None = None, inverted: str = "error", inclusive: bool = False
    ) -> None:
        root = _root(location)
        if root is None:
            _ = Folder.at(location)  # raises an error if the folder does not exist
            raise DataError(location, f"it contains no folder {_LABELS}", "pass the folder that contains it")
        self._labels = Folder.at(join(root, _LABELS))
        self._files = [name for name in self._labels.ending(".txt") if "/" not in name]
        if not self._files:
            raise DataError(location, f"its folder {_LABELS} contains no .txt file", "check the location")
        folder = _image_folder(images if images is not None else join(root, _IMAGES), images is not None)
        self._images = None if folder is None else ImageLookup(folder)
        self._swap = inverted == "swap"
        self.swapped = SwappedCoordinates()
        self._last = 1 if inclusive else 0
        self.info = DatasetInfo(format="kitti", location=location, num_samples=len(self._files), notes=self._notes())

    def _notes(self) -> tuple[str, ...]:
        """Returns a note about the class of regions that are not annotated, by the first files."""
        with suppress(DataError):  # reading reports it
            if any(_DONT_CARE in self._labels.read(file) for file in self._files[:_SOME]):
                return (
                    "DontCare marks regions whose objects are not annotated: boxwright does not train on them and"
                    " ignores detections in them; for other programs, --with remap:DontCare= leaves them out",
                )
        return ()

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        for file in self._files:
            try:
                yield self._sample(file)
            except DataError as error:
                on_problem(error)

    def _sample(self, file: str) -> Sample:
        place = self._labels.place(file)
        try:
            text = self._labels.read(file).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise DataError(place, "it is not UTF-8", "save it as UTF-8") from None
        labels: list[str] = []
        edges: list[Coordinates] = []
        attributes: list[dict[str, Any]] = []
        for number, line in enumerate(text.split("\n"), start=1):
            fields = line.split()
            if not fields:
                continue
            numbers = _numbers(fields, place, number)
            labels.append(fields[0])
            edges.append(self._edges(numbers, place, f"line {number} ({fields[0]})"))
            attributes.append(_attributes(numbers))
        name, location = self._image(file, place)
        width, height = measured_size(name, location, place)
        return Sample(
            image=ImageRef(name=name, width=width, height=height, location=location),
            boxes=Boxes(labels, edges, attributes),
            source=place,
        )

    def _edges(self, numbers: Sequence[float], place: str, line: str) -> Coordinates:
        xmin, ymin, xmax, ymax = numbers[3:7]
        edges = (xmin, ymin, xmax + self._last, ymax + self._last)
        problem = check_coordinates(edges)
        if not problem:
            return edges
        if self._swap and not check_coordinates(ordered := self.swapped.sort(edges)):
            return ordered
        raise DataError(place, problem, f"swap the coordinates (?inverted=swap), or {_REMEDY}", line)

    def _image(self, file: str, place: str) -> tuple[str, str | None]:
        usual = f"{os.path.splitext(file)[0]}.png"
        if self._images is None:
            return usual, None
        return self._images.find(usual, file, place, below=False)


def _root(location: str) -> str | None:
    """Returns the folder that contains ``label_2``."""
    if location.rstrip("/\\").endswith(_LABELS) and "::" not in location:
        return location.rstrip("/\\")[: -len(_LABELS)].rstrip("/\\") or "."
    for folder in (location, join(location, "training")):
        if _is_folder(join(folder, _LABELS)):
            return folder
    return None


def _is_folder(path: str) -> bool:
    if not is_remote(path):
        return os.path.isdir(path)
    import fsspec

    files, inside = fsspec.core.url_to_fs(path)
    return bool(files.isdir(inside))


def _image_folder(folder: str, named: bool) -> Folder | None:
    return Folder.at(folder) if named or _is_folder(folder) else None


def _numbers(fields: list[str], place: str, line: int) -> list[float]:
    where = f"line {line}"
    if len(fields) not in _FIELDS:
        problem = f"it has {len(fields)} fields, but an object has 15, or 16 with a score"
        raise DataError(place, problem, f"class names cannot contain white space in this format; {_REMEDY}", where)
    numbers = []
    for text in fields[1:]:
        number = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(number):
            raise DataError(place, f"{text!r} is not a finite number", _REMEDY, f"{where} ({fields[0]})")
        numbers.append(number)
    if numbers[1] % 1:
        raise DataError(place, f"occluded is {fields[2]!r}, not an integer", _REMEDY, f"{where} ({fields[0]})")
    return numbers


def _attributes(numbers: Sequence[float]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "truncated": numbers[0],
        "occluded": int(numbers[1]),
        "alpha": numbers[2],
        "dimensions": list(numbers[7:10]),
        "location": list(numbers[10:13]),
        "rotation_y": numbers[13],
    }
    found = {name: value for name, value in found.items() if value != _UNKNOWN[name]}
    return found | ({"score": numbers[14]} if len(numbers) > 14 else {})


class KittiWriter:
    """Writes ``label_2`` with one text file per image, and copies the images to ``image_2``.

    Numbers are written with two decimals, as in the benchmark's own files, or as many as are needed to restore the
    float. A field without an attribute gets the value for "unknown", or 0.

    Args:
        output: The folder.
        label_map: Not used; the files contain names.
        pictures: Whether the images are copied; without them, their sizes are unknown.
        inclusive: Subtracts 1 from right and bottom.
    """

    def __init__(
        self, output: Output, label_map: LabelMap | None = None, pictures: bool = True, inclusive: bool = False
    ) -> None:
        self._output = output
        self._copies = pictures
        self._last = 1 if inclusive else 0
        self._stems: set[str] = set()

    def write(self, sample: Sample) -> None:
        """Adds one sample.

        Raises:
            DataError: The name has a folder or no image suffix, a class contains white space, an attribute is not a
                number, or the image does not exist.
        """
        name, boxes = sample.image.name, sample.boxes
        safe_name(name, sample.source or name)
        try:
            stem = self._stem(name)
            lines = [
                self._line(label, edges, attributes)
                for label, edges, attributes in zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True)
            ]
            content = "".join(lines).encode()
        except ValueError as error:
            remedy = "correct it in the source, or skip the image with --on-error skip"
            raise DataError(sample.source or name, str(error), remedy) from None
        if self._copies:
            pixels = sample.image.read()
            with self._output.open(f"{_IMAGES}/{name}") as file:
                file.write(pixels)
        with self._output.open(f"{_LABELS}/{stem}.txt") as file:
            file.write(content)
        self._stems.add(stem)

    def close(self) -> None:
        """Does nothing: every file is closed already."""

    def _stem(self, name: str) -> str:
        stem, ending = os.path.splitext(name)
        if "/" in name or name.startswith(".") or ending.lower() not in IMAGE_SUFFIXES:
            problem = "KITTI has no subfolders and no hidden files, and requires an image suffix"
            raise ValueError(f"the image is called {name!r}: {problem}")
        if stem in self._stems:
            raise ValueError(f"duplicate image {stem!r}: KITTI does not distinguish suffixes")
        return stem

    def _line(self, label: str, edges: Coordinates, attributes: Mapping[str, Any]) -> str:
        if not label.split() or label.split()[0] != label:
            raise ValueError(f"the class {label!r} contains white space, which ends a field in KITTI")
        values = _UNKNOWN | {name: value for name, value in attributes.items() if name in _UNKNOWN}
        truncated, occluded, alpha, dimensions, location, angle = values.values()
        if not isinstance(occluded, int):
            raise ValueError(f"occluded is {occluded!r}, not an integer")
        for name in ("dimensions", "location"):
            if not isinstance(values[name], list | tuple) or len(values[name]) != 3:
                raise ValueError(f"{name} is {values[name]!r}, not three numbers")
        xmin, ymin, xmax, ymax = edges
        columns = [alpha, xmin, ymin, xmax - self._last, ymax - self._last, *dimensions, *location, angle]
        columns += [attributes["score"]] if "score" in attributes else []
        texts = [label, _text(truncated), str(int(occluded)), *map(_text, columns)]
        return " ".join(texts) + "\n"


def _text(value: object) -> str:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    short = f"{value:.2f}"
    return short if float(short) == value else repr(float(value))


def detect(location: str) -> Detection:
    """Detects text files in the folder ``label_2``."""
    try:
        root = _root(location)
        if root is None or not _is_folder(join(root, _LABELS)):
            return Detection(False, f"it contains no folder {_LABELS}")
        count = len(Folder.at(join(root, _LABELS)).ending(".txt"))
    except (OSError, DataError) as error:
        return Detection(False, str(error))
    if not count:
        return Detection(False, f"its folder {_LABELS} contains no .txt file")
    return Detection(True, f"{count} .txt files in its folder {_LABELS}")
