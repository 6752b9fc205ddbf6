"""Reads DOTA: oriented boxes in aerial images, one text file per image.

``labelTxt/P0001.txt`` next to ``images/P0001.png`` (https://captain-whu.github.io/DOTA/dataset.html)::

    imagesource:GoogleEarth
    gsd:0.146343590398
    2753 2408 2861 2385 2888 2468 2805 2502 plane 0

The eight numbers are the corners in pixels, clockwise from the first; the last one is ``difficult``. A class may be
several words if ``difficult`` follows it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from boxwright import DataError, DatasetInfo, ImageRef, Sample
from boxwright.datasets import DrawnShape, ItemError, OnProblem, Polygon, Rectangle, Shape, ShapeError, ShapeRule
from boxwright.images import lookup_for, measured_size
from boxwright.plugins import Detection
from boxwright.storage import Folder, base_name, check_unicode, is_folder, join
from boxwright_yolo.labels import NUMBER

LABELS: Final = ("labelTxt", "labelTxt-v1.0", "labelTxt-v1.5")
_HEAD = re.compile(r"(?:imagesource|gsd)\s*:\s*(?P<value>.*)", re.IGNORECASE)
_FLAG = re.compile("[01]")
_BETWEEN = re.compile(r"[\s,]+")
ENDS: Final = "," + "".join(filter(str.isspace, map(chr, range(0x3001))))
"""Characters between fields: commas and what ``\\s`` matches."""
_SKIP = "or leave the image out with --on-error skip"


class DotaReader:
    """Yields one sample per label file, in the plain string order of their names.

    Args:
        location: A folder that contains ``labelTxt``, or that folder itself; a path, or a URL that fsspec opens.
        shapes: What happens to oriented boxes: ``"box"``, ``"skip"`` or ``"fail"``.
        images: The folder of the images, if it is not ``images`` next to ``labelTxt``.

    Attributes:
        shapes: The rule for shapes.

    Raises:
        DataError: The folder does not exist, or contains no label files.
    """

    def __init__(self, location: str, shapes: str = "box", images: str | None = None) -> None:
        self.shapes = ShapeRule(shapes)
        place = _labels(location)
        if place is None:
            Folder.at(location)  # raises an error if the folder does not exist
            raise DataError(location, f"it contains no folder {LABELS[0]}", "pass the folder that contains it")
        self._folder = Folder.at(place)
        self._files = self._folder.ending(".txt")
        if not self._files:
            raise DataError(place, "it contains no .txt file", "check the location")
        self._images = lookup_for(self._folder, images, self._files, uri=f"dota:{location}", field="file name")
        self.info = DatasetInfo(
            format="dota", location=location, num_samples=len(self._files), notes=self._images.notes
        )

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        for file in self._files:
            try:
                sample = self._sample(file)
            except DataError as error:
                on_problem(error)
                continue
            yield sample

    def _sample(self, file: str) -> Sample:
        place = self._folder.place(file)
        check_unicode(place)
        try:
            lines = self._folder.read(file).decode("utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise DataError(place, "it is not UTF-8", "save it as UTF-8") from None
        attributes: dict[str, Any] = {}
        drawn = []
        for number, line in enumerate(lines, start=1):
            if head := _HEAD.match(line):
                if head["value"].strip() not in ("", "null", "None"):
                    attributes[line.partition(":")[0].strip()] = head["value"].strip()
            elif line.strip():
                drawn.append(_drawn(line, f"line {number}"))
        try:
            boxes = self.shapes.boxes(drawn)
        except ItemError as error:
            raise DataError(place, error.problem, f"{error.remedy}, {_SKIP}", error.place) from None
        name, location = self._images.find(f"{file[:-4]}.png", file, place)
        width, height = measured_size(name, location, place)
        image = ImageRef(name=name, width=width, height=height, location=location)
        return Sample(image=image, boxes=boxes, attributes=attributes, source=place)


def _drawn(line: str, place: str) -> DrawnShape:
    *numbers, rest = [*_BETWEEN.split(line.strip(ENDS), 8), ""][:9]
    label, difficult = rest, None
    if len(words := _BETWEEN.split(rest)) > 1:
        difficult = words[-1]
        label = rest[: -len(difficult)].rstrip(ENDS)
    attributes = {"difficult": 1} if difficult == "1" else {}
    return DrawnShape(place, label, partial(_shape, numbers, label, difficult), attributes)


def _shape(fields: list[str], label: str, difficult: str | None) -> Shape:
    if not label:
        raise ShapeError(f"it has {len([*filter(None, fields)])} fields, not eight numbers, a class and difficult")
    numbers = []
    for text in fields:
        value = float(text) if NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(value):
            raise ShapeError(f"{text!r:.40} is not a finite number")
        numbers.append(value)
    if difficult is not None and not _FLAG.fullmatch(difficult):
        raise ShapeError(f"difficult is {difficult!r:.40}, not 0 or 1")
    corners = list(zip(numbers[::2], numbers[1::2], strict=True))
    return Rectangle.from_corners(corners) or Polygon.of(corners)


def _labels(location: str) -> str | None:
    if base_name(location.rstrip("/")) in LABELS:
        return location if is_folder(location) else None
    return next((place for name in LABELS if is_folder(place := join(location, name))), None)


def detect(location: str) -> Detection:
    """Detects text files in the folder ``labelTxt``."""
    try:
        place = _labels(location)
        count = len(Folder.at(place).ending(".txt")) if place is not None else 0
    except DataError as error:
        return Detection(False, error.problem)
    except OSError as error:
        return Detection(False, str(error))
    if place is None:
        return Detection(False, f"it contains no folder {LABELS[0]}")
    return Detection(count > 0, f"{count} .txt files in its folder {base_name(place)}")
