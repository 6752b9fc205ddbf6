"""Writes DOTA's label files; see :mod:`boxwright_yolo.dota`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from boxwright import Coordinates, DataError, LabelMap, Sample
from boxwright.datasets import FolderFiles, Output, Polygon, Rectangle, shape_of
from boxwright.storage import IMAGE_SUFFIXES, safe_name
from boxwright_yolo.dota import ENDS

_SKIP: Final = "or leave it out with --on-error skip"
_HEADS: Final = ("imagesource", "gsd")
_HIDDEN = re.compile(r"(?:^|/)\.(?!\.?/)|//|[\r\n]")
_CORNERS: Final = 4


class DotaWriter:
    """Writes ``labelTxt/NAME.txt`` and ``images/NAME.png`` for each image.

    A box whose attributes keep the rotated rectangle, or the polygon of four points, that it was made from, becomes
    these four points; others become the four corners of the box.

    Args:
        output: The folder.
        label_map: Not used; the files contain names.
        pictures: Whether to copy the images; without them the samples need none.
    """

    def __init__(self, output: Output, label_map: LabelMap | None = None, pictures: bool = True) -> None:
        self._files = FolderFiles(output)
        self._copies_images = pictures
        self._written: dict[str, str] = {}  # name without suffix -> image

    def write(self, sample: Sample) -> None:
        """Adds one image and its label file.

        Raises:
            DataError: The image cannot be read, its label file would replace that of another image, or a class is not
                one line.
            OutputError: The image's name leads out of the folder.
        """
        image, place = sample.image.name, sample.source or sample.image.name
        safe_name(image, place)
        name, suffix = os.path.splitext(image)
        if _HIDDEN.search(image) or suffix.lower() not in IMAGE_SUFFIXES:
            raise DataError(place, f"an image with the name {image!r} would not be found", f"rename it, {_SKIP}")
        if name in self._written:
            problem = f"the images {self._written[name]} and {image} would share {name}.txt"
            raise DataError(place, problem, f"rename one of them, {_SKIP}")
        try:
            text = "".join(f"{line}\n" for line in _lines(sample))
        except ValueError as error:
            raise DataError(place, str(error), f"correct it, {_SKIP}") from None
        content = text.encode()
        if self._copies_images:
            self._files.copy(f"images/{image}", sample.image)
        self._files.put(f"labelTxt/{name}.txt", content)
        self._written[name] = image

    def close(self) -> None:
        """Does nothing: all files are complete."""


def _lines(sample: Sample) -> Iterator[str]:
    for name in _HEADS:
        if name in sample.attributes:
            value = str(sample.attributes[name])
            if value != value.strip() or len(value.splitlines()) > 1:
                raise ValueError(f"{name} is {value!r:.60}, which is not one line")
            yield f"{name}:{value}"
    boxes = sample.boxes
    for label, coordinates, attributes in zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True):
        if label.strip(ENDS) != label or len(label.splitlines()) != 1:
            raise ValueError(f"the class {label!r} is not one line of text: rename it with --with remap")
        numbers = " ".join(_text(number) for point in _points(coordinates, attributes) for number in point)
        yield f"{numbers} {label} {1 if attributes.get('difficult') in (1, '1', 'true') else 0}"


def _points(coordinates: Coordinates, attributes: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Returns the four points of a box, clockwise from the top left of an upright one."""
    kept = shape_of(coordinates, attributes)
    if kept is not None and isinstance(kept[0], Rectangle | Polygon):
        (outline, *others) = attributes["segmentation"]
        if len(outline) == 2 * _CORNERS and not others:
            points = [*zip(outline[::2], outline[1::2], strict=True)]
            turns = zip(points, points[1:] + points[:1], strict=True)
            is_clockwise = (
                sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in turns) >= 0
            )  # the shoelace formula; y is down
            return points if is_clockwise else points[:1] + points[:0:-1]
    xmin, ymin, xmax, ymax = coordinates
    return [(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax)]


def _text(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(float(number))
