"""The index of a COCO file: images, annotations, classes and other keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from boxwright import DataError, UsageError
from boxwright_coco.annotations import Annotations
from boxwright_coco.categories import Categories, have_other_keys
from boxwright_coco.document import Document, Elements, Scanner
from boxwright_coco.images import Images
from boxwright_coco.texts import EMPTY, LISTS, OWN
from boxwright_coco.values import file_name, is_finite, own_attributes

_REMEDY = "is it an instances file? see https://cocodataset.org/#format-data"


class Contents:
    """An instances file, or a detections file with the instances file that defines its images and classes.

    Args:
        document: The file.
        truth: The instances file, if ``document`` is a list of detections.

    Attributes:
        document: The file with the annotations.
        truth: The file with the images and categories: ``document``, except for detections.
        images: The images of ``truth``.
        annotations: The annotations of ``document``.
        categories: The categories of ``truth``.
        attributes: Other keys of an instances file; ``categories`` if they have more than ids and names.
        notes: Notes for the user.

    Raises:
        DataError: A file is not JSON, or of another kind.
    """

    def __init__(self, document: Document, truth: Document | None = None) -> None:
        self.document = document
        self.truth = truth if truth is not None else document
        self.images = Images()
        self.annotations = Annotations()
        self.notes: tuple[str, ...] = ()
        if truth is None:
            others, end = self._walk(self.annotations)
        else:
            others, _ = self._walk(None)
            with document.open() as file:
                scanner = Scanner(file)
                end = _collect(scanner, self.annotations)
                scanner.finish()
        self.annotations.group(self.images, end)
        classes = others.get("categories", [])
        used = frozenset(np.unique(self.annotations.categories).tolist())
        self.categories = Categories(classes, self.truth.location, used)
        self.notes += self.categories.notes
        if not have_other_keys(classes):
            others.pop("categories", None)
        own = own_attributes(others)
        others.pop(OWN, None)
        others.update(own)
        self.attributes = {key: value for key, value in others.items() if key not in EMPTY or EMPTY[key] != value}

    @property
    def are_detections(self) -> bool:
        """Whether the annotations are a list of detections."""
        return self.truth is not self.document

    def source(self, position: int) -> str:
        """Returns the source of an image's annotations, for messages."""
        number = self.images.number(position)
        if self.are_detections:
            return f"{self.document.location}, image_id {number}"
        return f"{self.document.location}, images[{position}] (id {number})"

    def annotation(self, number: int) -> str:
        """Returns the place of an annotation, for messages."""
        return f"{'' if self.are_detections else 'annotations'}[{number}]"

    def names(self) -> Iterator[tuple[int, str]]:
        """Yields the position and file name of each image that has one."""
        images = self.images
        with self.truth.open() as file:
            rows = Elements(file, images.starts)
            for position in range(len(images)):
                try:
                    row = rows[position]
                except ValueError:
                    continue
                name = file_name(row) if isinstance(row, dict) else None
                if isinstance(name, str):
                    yield position, name

    def _walk(self, annotations: Annotations | None) -> tuple[dict[str, Any], int]:
        """Reads the instances file; returns the values of its other keys, and the end of the annotations."""
        others: dict[str, Any] = {}
        ends = dict.fromkeys(LISTS, 0)
        found: list[str] = []
        with self.truth.open() as file:
            scanner = Scanner(file)
            if scanner.peek() != "{":
                scanner.value()
                raise self._error("it is not an object with images and annotations")
            for key in scanner.members():
                found.append(key)
                if key not in LISTS:
                    _, start, end = scanner.value()
                    others[key] = scanner.decoded(start, end)
                elif scanner.peek() != "[":
                    scanner.value()
                    raise self._error(f"{key} is not a list")
                else:
                    ends[key] = _collect(scanner, self.images if key == "images" else annotations)
            scanner.finish()
        self._check(found, others)
        self.images.finish(ends["images"])
        return others, ends["annotations"]

    def _check(self, found: list[str], others: dict[str, Any]) -> None:
        if "images" not in found:
            keys = f"its keys are: {', '.join(found[:10])}" if found else "it has no keys"
            raise self._error(f"images is missing; {keys}")
        if "annotations" not in found:
            self.notes += ("the file contains no annotations: all images are without boxes",)
        for key, value in others.items():
            if not is_finite(value):
                raise self._error(f"{key} contains NaN or infinity, which is not JSON", "correct it")

    def _error(self, problem: str, remedy: str = _REMEDY) -> DataError:
        return DataError(self.truth.location, problem, remedy)


def open_contents(location: str, truth: str | None) -> Contents:
    """Returns the index of an instances file, or of a detections file with its instances file.

    Raises:
        UsageError: A list of detections without ``truth``, or an instances file with it.
        DataError: As :class:`Contents`.
    """
    document = Document(location)
    with document.open() as file:
        scanner = Scanner(file)
        if scanner.peek() != "[":
            if truth is None:
                return Contents(document)
            raise UsageError(f"{location} is not a list of detections", "remove ?truth=")
        rows, _ = next(scanner.elements(), ([], []))
    if rows and not (isinstance(rows[0], dict) and "image_id" in rows[0]):
        problem = "it is a list whose first entry has no image_id, so it does not contain detections"
        raise DataError(location, problem, "pass its format: FORMAT:LOCATION (see `boxwright formats`)")
    if truth is None:
        raise UsageError(
            f"{location} is a list of detections, which does not define images and classes",
            f"pass its instances file: coco:{location}?truth=instances.json",
        )
    return Contents(document, Document(truth))


def _collect(scanner: Scanner, into: Images | Annotations | None) -> int:
    """Adds the list at the cursor to columns; returns the offset of its end."""
    for rows, starts in scanner.elements(into.take if into is not None else None):
        if into is not None:
            into.extend(rows, starts)
    return scanner.offset
