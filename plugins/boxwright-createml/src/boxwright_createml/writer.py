"""Writes CreateML JSON with its pictures."""

from __future__ import annotations

import json
import re
from typing import Any

from boxwright.errors import DataError
from boxwright.folder_files import FolderFiles
from boxwright.output import safe_name
from boxwright.protocols import Output
from boxwright.schemas import Edges, LabelMap, Sample
from boxwright_createml.annotation import ANNOTATION_KEYS, IMAGE_KEYS, VERIFIED

FILE = "annotations.json"
_HIDDEN = re.compile(r"(?:^|/)\.|//")
_SKIP = "or leave it out with --on-error skip"


class CreateMLWriter:
    """Writes the pictures, byte for byte, and one ``annotations.json`` beside them: what the CreateML app takes.

    Apple's ``directoryWithImagesAndJsonAnnotation`` wants a folder with the pictures and exactly one JSON file
    (https://developer.apple.com/documentation/createml/mlobjectdetector/datasource). The JSON does not hold the
    pictures' sizes, so that most other formats could not be made of it alone.

    Whole numbers are written as whole numbers, others by the shortest text that reads back the same. Each entry is
    written as it comes, on a line of its own.

    Args:
        output: The folder.
        label_map: Not used; the JSON holds names.
        pictures: Whether the pictures are copied; without them the samples need none.
        keys: ``"image"`` for ``image`` and ``annotations``; ``"imagefilename"`` for ``imagefilename`` and
            ``annotation``.
    """

    def __init__(
        self, output: Output, label_map: LabelMap | None = None, pictures: bool = True, keys: str = "image"
    ) -> None:
        self._files = FolderFiles(output)
        self._pictures = pictures
        self._image, self._annotations = next(
            pair for pair in zip(IMAGE_KEYS, ANNOTATION_KEYS, strict=True) if pair[0] == keys
        )
        self._names: set[str] = set()
        self._file = output.open(FILE)
        self._file.write(b"[")

    def write(self, sample: Sample) -> None:
        """Adds one picture and its entry.

        Raises:
            DataError: Its picture cannot be read, or its name is none by which it would be found.
            OutputError: Its name leads out of the folder.
        """
        name = sample.image.name
        place = sample.source or name
        safe_name(name, place)
        if _HIDDEN.search(name) or name.lower().endswith(".json"):
            problem = f"the picture's name is {name!r}, by which it would not be found"
            raise DataError(place, problem, f"give it another ending than .json, and no dot in front; {_SKIP}")
        if name in self._names:
            raise DataError(place, f"there are two pictures {name}", f"rename one of them, {_SKIP}")
        try:
            entry = json.dumps(self._entry(sample), ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise DataError(place, f"it cannot be written as JSON: {error}", f"correct it, {_SKIP}") from None
        if self._pictures:
            self._files.copy(name, sample.image)
        self._file.write((b",\n" if self._names else b"\n") + entry)
        self._names.add(name)

    def close(self) -> None:
        """Finishes the list."""
        self._file.write(b"\n]\n")
        self._file.close()

    def _entry(self, sample: Sample) -> dict[str, Any]:
        boxes = sample.boxes
        entry: dict[str, Any] = {self._image: sample.image.name}
        if VERIFIED in sample.attributes:
            verified = sample.attributes[VERIFIED]
            entry[VERIFIED] = True if verified == "yes" else verified
        entry[self._annotations] = [
            {"label": label, "coordinates": _coordinates(edges)}
            for label, edges in zip(boxes.labels, boxes.edges, strict=True)
        ]
        return entry


def _coordinates(edges: Edges) -> dict[str, int | float]:
    """The centre and the extent of a box, in pixels from the top left."""
    xmin, ymin, xmax, ymax = edges
    values = {"x": (xmin + xmax) / 2, "y": (ymin + ymax) / 2, "width": xmax - xmin, "height": ymax - ymin}
    return {name: int(value) if value == int(value) else value for name, value in values.items()}
