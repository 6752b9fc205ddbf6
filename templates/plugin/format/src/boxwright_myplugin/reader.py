"""Reads a file, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from boxwright import Boxes, DataError, DatasetInfo, ImageRef, Sample
from boxwright.datasets import OnProblem
from boxwright.images import safe_filename
from boxwright.storage import join

from boxwright_myplugin.files import folder_of, open_bytes

_LONGEST = 1 << 24  # bytes of a line; a longer one is not an annotation


class MyPluginReader:
    """Reads one sample per line, in the order of the lines.

    Args:
        location: A path, or a URL that fsspec opens.
        images: The folder of the images, if it is not that of the file.

    Raises:
        DataError: The file does not exist.
    """

    def __init__(self, location: str, images: str | None = None) -> None:
        open_bytes(location).close()  # reports a wrong path before any work
        self._location = location
        self._images = folder_of(location) if images is None else images
        self.info = DatasetInfo(format="myplugin", location=location)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        number = 0
        with open_bytes(self._location) as file:
            while line := file.readline(_LONGEST):
                number += 1
                try:
                    sample = self._sample(line, f"line {number}")
                except DataError as error:
                    on_problem(error)  # raises it, or counts it to continue with the next line
                    continue
                yield sample
        if not number:
            on_problem(DataError(self._location, "the file is empty", "create it again"))

    def _sample(self, line: bytes, place: str) -> Sample:
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or not isinstance(row.get("image"), str):
                raise ValueError('expected a JSON object with "image"')
            name = safe_filename(row["image"], self._location, place)
            image = ImageRef(
                name=name,
                width=_length(row, "width"),
                height=_length(row, "height"),
                location=join(self._images, name),
            )
            boxes = Boxes(
                [box["label"] for box in row["boxes"]],
                [box["box"] for box in row["boxes"]],
                [_attributes(box) for box in row["boxes"]],
            )
        except KeyError as error:
            raise self._error(f"{error} is missing", place) from None
        # Anything that an untrusted file may contain: not JSON, lists instead of objects, huge numbers.
        except (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError) as error:
            raise self._error(str(error), place) from None
        return Sample(image=image, boxes=boxes, source=f"{self._location}, {place}")

    def _error(self, problem: str, place: str) -> DataError:
        return DataError(self._location, problem, "correct the line, or skip it with --on-error skip", place)


def _attributes(box: dict[str, Any]) -> dict[str, Any]:
    return {"difficult": 1} if box.get("difficult") else {}


def _length(row: dict[str, Any], name: str) -> int:
    value = row[name]
    if type(value) is not int or not 0 < value < 1_000_000:
        raise ValueError(f"{name} is {value!r}, not a number of pixels")
    return value
