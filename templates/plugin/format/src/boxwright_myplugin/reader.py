"""Reads a file, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from boxwright import Boxes, DataError, DatasetInfo, ImageRef, Sample
from boxwright.pictures import safe_filename
from boxwright.protocols import OnProblem
from boxwright.uri import join

from boxwright_myplugin.files import folder_of, open_bytes

_LONGEST = 1 << 24  # letters of a line; what is longer is no annotation


class MyPluginReader:
    """One sample a line, in the order of the lines.

    Args:
        location: A path, or a URL that fsspec opens.
        images: The folder of the pictures, where it is not the file's own.

    Raises:
        DataError: There is no such file.
    """

    def __init__(self, location: str, images: str | None = None) -> None:
        open_bytes(location).close()  # so that a wrong path is told before any work
        self._location = location
        self._images = folder_of(location) if images is None else images
        self.info = DatasetInfo(format="myplugin", location=location)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.protocols.Reader`."""
        number = 0
        with open_bytes(self._location) as file:
            while line := file.readline(_LONGEST):
                number += 1
                try:
                    sample = self._sample(line, f"line {number}")
                except DataError as error:
                    on_problem(error)  # raises it, or counts it so that the next line is read
                    continue
                yield sample
        if not number:
            on_problem(DataError(self._location, "the file is empty", "write it again"))

    def _sample(self, line: bytes, place: str) -> Sample:
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or not isinstance(row.get("picture"), str):
                raise ValueError('it is no JSON object with a "picture"')
            name = safe_filename(row["picture"], self._location, place)
            image = ImageRef(
                name=name,
                width=_length(row, "width"),
                height=_length(row, "height"),
                location=join(self._images, name),
            )
            boxes = Boxes(
                [box["label"] for box in row["boxes"]],
                [box["edges"] for box in row["boxes"]],
                [_attributes(box) for box in row["boxes"]],
            )
        except KeyError as error:
            raise self._error(f"{error} is missing", place) from None
        # Whatever a stranger's file may hold: no JSON, lists in place of objects, numbers without end.
        except (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError) as error:
            raise self._error(str(error), place) from None
        return Sample(image=image, boxes=boxes, source=f"{self._location}, {place}")

    def _error(self, problem: str, place: str) -> DataError:
        return DataError(self._location, problem, "correct the line, or leave it out with --on-error skip", place)


def _attributes(box: dict[str, Any]) -> dict[str, Any]:
    return {"difficult": 1} if box.get("difficult") else {}


def _length(row: dict[str, Any], name: str) -> int:
    value = row[name]
    if type(value) is not int or not 0 < value < 1_000_000:
        raise ValueError(f"{name} is {value!r}, which is no number of pixels")
    return value
