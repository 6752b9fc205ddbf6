"""Writes CreateML JSON with its images."""

from __future__ import annotations

import json
import re
from typing import Any

from boxwright import Coordinates, DataError, LabelMap, Sample
from boxwright.datasets import FolderFiles, Output
from boxwright.storage import safe_name
from boxwright_createml.annotation import ANNOTATION_KEYS, IMAGE_KEYS, VERIFIED

FILE = "annotations.json"
_HIDDEN = re.compile(r"(?:^|/)\.|//")
_SKIP = "or leave it out with --on-error skip"


class CreateMLWriter:
    """Writes the images, byte for byte, and one ``annotations.json`` next to them, for the CreateML app.

    Apple's ``directoryWithImagesAndJsonAnnotation`` requires a folder with the images and exactly one JSON file
    (https://developer.apple.com/documentation/createml/mlobjectdetector/datasource). The JSON file does not contain the
    images' sizes, so without the images most other formats could not be written from it.

    Whole numbers are written as whole numbers, others as the shortest text that reads back as the same number. Each
    entry is one line, and is written at once.

    Args:
        output: The folder.
        label_map: Not used; the JSON file contains names.
        pictures: Whether to copy the images; without them the samples need none.
        keys: ``"image"`` for ``image`` and ``annotations``; ``"imagefilename"`` for ``imagefilename`` and
            ``annotation``.
    """

    def __init__(
        self, output: Output, label_map: LabelMap | None = None, pictures: bool = True, keys: str = "image"
    ) -> None:
        self._files = FolderFiles(output)
        self._copies_images = pictures
        self._image, self._annotations = next(
            pair for pair in zip(IMAGE_KEYS, ANNOTATION_KEYS, strict=True) if pair[0] == keys
        )
        self._names: set[str] = set()
        self._file = output.open(FILE)
        self._file.write(b"[")

    def write(self, sample: Sample) -> None:
        """Adds one image and its entry.

        Raises:
            DataError: The image cannot be read, or could not be found by its name.
            OutputError: The image's name leads out of the folder.
        """
        name = sample.image.name
        place = sample.source or name
        safe_name(name, place)
        if _HIDDEN.search(name) or name.lower().endswith(".json"):
            problem = f"an image with the name {name!r} would not be found"
            raise DataError(place, problem, f"use another suffix than .json and no leading dot, {_SKIP}")
        if name in self._names:
            raise DataError(place, f"duplicate image {name}", f"rename one of them, {_SKIP}")
        try:
            entry = json.dumps(self._entry(sample), ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise DataError(place, f"it cannot be written as JSON: {error}", f"correct it, {_SKIP}") from None
        if self._copies_images:
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
            {"label": label, "coordinates": _coordinates(box)}
            for label, box in zip(boxes.labels, boxes.coordinates, strict=True)
        ]
        return entry


def _coordinates(box: Coordinates) -> dict[str, int | float]:
    """Returns the center and the size of a box, in pixels from the top left."""
    xmin, ymin, xmax, ymax = box
    values = {"x": (xmin + xmax) / 2, "y": (ymin + ymax) / 2, "width": xmax - xmin, "height": ymax - ymin}
    return {name: int(value) if value == int(value) else value for name, value in values.items()}
