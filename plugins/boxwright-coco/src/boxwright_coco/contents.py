"""What a COCO file holds, indexed: images, annotations, classes and the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from boxwright import DataError, UsageError
from boxwright_coco.annotations import Annotations
from boxwright_coco.categories import Categories, says_more
from boxwright_coco.document import Document, Scanner
from boxwright_coco.images import Images
from boxwright_coco.texts import OWN
from boxwright_coco.values import is_finite, own_attributes

EMPTY: Final[dict[str, Any]] = {"info": {}, "licenses": []}
"""Keys that every written file has, as they are where there is nothing to say."""

_REMEDY = "is it an instances file? see https://cocodataset.org/#format-data"
LISTS: Final = ("images", "annotations")


class Contents:
    """An instances file; or a detections file with the instances file that names its pictures and classes.

    Args:
        document: The file.
        truth: The instances file, where ``document`` is a list of detections.

    Attributes:
        document: Where the annotations are.
        truth: Where the images and categories are: ``document`` itself, but for detections.
        images: Those of ``truth``.
        annotations: Those of ``document``.
        categories: Those of ``truth``.
        attributes: What else an instances file says, by key; ``categories`` if it says more than numbers and names.
        notes: What a user should know of it.

    Raises:
        DataError: A file is no JSON, or none of its kind.
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
        self.annotations.group(self.images.positions, end)
        classes = others.get("categories", [])
        self.categories = Categories(classes, self.truth.location, frozenset(self.annotations.categories))
        self.notes += self.categories.notes
        if not says_more(classes):
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
        """Where an image's annotations come from, for messages."""
        number = self.images.numbers[position]
        if self.are_detections:
            return f"{self.document.location}, image_id {number}"
        return f"{self.document.location}, images[{position}] (id {number})"

    def annotation(self, number: int) -> str:
        """The place of an annotation, for messages."""
        return f"{'' if self.are_detections else 'annotations'}[{number}]"

    def names(self) -> Iterator[tuple[int, str]]:
        """The position and file name of each image that has one."""
        images = self.images
        with self.truth.open() as file:
            for position, name in enumerate(images.names):
                if name is None:
                    try:
                        row = file.decode(images.starts[position], images.starts[position + 1])
                    except ValueError:
                        continue
                    name = row.get("file_name") if isinstance(row, dict) else None
                if isinstance(name, str):
                    yield position, name

    def _walk(self, annotations: Annotations | None) -> tuple[dict[str, Any], int]:
        """Goes through the instances file; the values of its other keys, and where the annotations end."""
        others: dict[str, Any] = {}
        ends = dict.fromkeys(LISTS, 0)
        found: list[str] = []
        with self.truth.open() as file:
            scanner = Scanner(file)
            if scanner.peek() != "{":
                scanner.value()
                raise self._error("it holds no object with images and annotations")
            for key in scanner.members():
                found.append(key)
                if key not in LISTS:
                    _, start, end = scanner.value()
                    others[key] = scanner.decoded(start, end)
                elif scanner.peek() != "[":
                    scanner.value()
                    raise self._error(f"{key} is no list")
                else:
                    ends[key] = _collect(scanner, self.images if key == "images" else annotations)
            scanner.finish()
        self._check(found, others)
        self.images.finish(ends["images"])
        return others, ends["annotations"]

    def _check(self, found: list[str], others: dict[str, Any]) -> None:
        if "images" not in found:
            keys = f"its keys are: {', '.join(found[:10])}" if found else "it has no keys"
            raise self._error(f"it has no images; {keys}")
        if "annotations" not in found:
            self.notes += ("there are no annotations in it: every picture comes without boxes",)
        for key, value in others.items():
            if not is_finite(value):
                raise self._error(f"{key} holds NaN or infinity, which is no JSON", "correct it")

    def _error(self, problem: str, remedy: str = _REMEDY) -> DataError:
        return DataError(self.truth.location, problem, remedy)


def open_contents(location: str, truth: str | None) -> Contents:
    """Indexes an instances file, or a detections file with its truth.

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
            raise UsageError(f"{location} is no list of detections, and needs no truth", "leave out ?truth=")
        rows, _ = next(scanner.elements(), ([], []))
    if rows and not (isinstance(rows[0], dict) and "image_id" in rows[0]):
        problem = "it is a list, and its first entry has no image_id: these are no detections"
        raise DataError(location, problem, "name the format that it is: FORMAT:PLACE (see `boxwright formats`)")
    if truth is None:
        raise UsageError(
            f"{location} is a list of detections, which does not name its pictures and classes",
            f"name the instances file that they belong to: coco:{location}?truth=instances.json",
        )
    return Contents(document, Document(truth))


def _collect(scanner: Scanner, into: Images | Annotations | None) -> int:
    """Brings the list at the cursor into columns; where it ends."""
    for rows, starts in scanner.elements(into.quick if isinstance(into, Annotations) else None):
        if into is not None:
            into.extend(rows, starts)
    return scanner.offset
