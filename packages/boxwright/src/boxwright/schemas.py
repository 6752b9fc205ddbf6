"""The vocabulary of boxwright as validated, immutable objects: boxes, samples, detections.

Coordinates are continuous, in pixels, 0-based, ``xmax`` and ``ymax`` exclusive: a box that covers the whole of an
800x600 image is ``(0, 0, 800, 600)``. Objects name classes by *label*; numbers exist only in files and tensors and
come from a :class:`LabelMap`.

:class:`Boxes` keeps the boxes of an image as columns, because building a pydantic object for each of millions of boxes
costs more than reading them; it checks every value all the same and hands out :class:`Box` objects on demand.
"""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from boxwright.errors import DataError
from boxwright.label_map import LabelMap
from boxwright.storage.filesystem import MAX_IMAGE_BYTES, read_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Coordinates = tuple[float, float, float, float]
"""``(xmin, ymin, xmax, ymax)`` in pixels."""

MAX_SIDE = 1_000_000_000
"""The largest width or height of an image, in pixels: larger values are mistakes."""

MAX_COORDINATE = 1e300
"""The largest coordinate, in pixels: sums and differences of coordinates are finite."""

NO_ATTRIBUTES: Mapping[str, Any] = MappingProxyType({})
"""The attributes of a box without attributes."""

_TEXT = {str}
_CLASSES_SHOWN = 5


def check_coordinates(coordinates: Coordinates) -> str | None:
    """Returns the problem with the coordinates of a box, or ``None``.

    NaN, infinity, coordinates beyond :data:`MAX_COORDINATE`, and those in the wrong order are invalid. A box with zero
    area, or one that is out of bounds, is valid here: real annotations contain both.
    """
    xmin, ymin, xmax, ymax = map(float, coordinates)
    if -MAX_COORDINATE <= xmin <= xmax <= MAX_COORDINATE >= ymax >= ymin >= -MAX_COORDINATE:
        return None
    if any(value - value != 0 for value in coordinates):  # NaN for infinity
        return f"a coordinate is not a finite number: {coordinates}"
    if any(abs(value) > MAX_COORDINATE for value in coordinates):
        return f"a coordinate is too large: {coordinates}"
    if xmin > xmax:
        return f"xmin {xmin:g} is greater than xmax {xmax:g}"
    return f"ymin {ymin:g} is greater than ymax {ymax:g}"


class SwappedCoordinates:
    """Sorts coordinates that are in the wrong order, for a reader with the option ``inverted=swap``, and counts them.

    Attributes:
        count: How many boxes were sorted.
    """

    def __init__(self) -> None:
        self.count = 0

    def sort(self, coordinates: Coordinates) -> Coordinates:
        """The coordinates of one box with ``xmin <= xmax`` and ``ymin <= ymax``."""
        self.count += 1
        xmin, ymin, xmax, ymax = coordinates
        return (min(xmin, xmax), min(ymin, ymax), max(xmin, xmax), max(ymin, ymax))


class Box(BaseModel):
    """One object in an image: its label, its coordinates in pixels, and the other fields of the annotation.

    ``attributes`` contains the fields of the annotation formats under their usual names: ``difficult``, ``truncated``,
    ``occluded``, ``iscrowd`` (int), ``pose`` (str), ``score`` (float), and anything else a format brings. A field
    that has its format's default value is left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    label: str = Field(min_length=1)
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    attributes: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ordered(self) -> Box:
        if problem := check_coordinates(self.coordinates):
            raise ValueError(problem)
        return self

    @property
    def coordinates(self) -> Coordinates:
        """``(xmin, ymin, xmax, ymax)`` in pixels."""
        return (self.xmin, self.ymin, self.xmax, self.ymax)

    @property
    def width(self) -> float:
        """``xmax - xmin`` in pixels."""
        return self.xmax - self.xmin

    @property
    def height(self) -> float:
        """``ymax - ymin`` in pixels."""
        return self.ymax - self.ymin

    @property
    def area(self) -> float:
        """Width times height, in square pixels."""
        return self.width * self.height

    def __hash__(self) -> int:
        return hash((self.label, self.coordinates))  # the attributes are a dict


def _as_coordinates(row: Iterable[Any]) -> Coordinates:
    xmin, ymin, xmax, ymax = map(float, row)
    return (xmin, ymin, xmax, ymax)


class JsonAttributes(Mapping[str, Any]):
    """Read-only attributes of a box, of which some are JSON text that is parsed only if it is used.

    A reader passes them to :class:`Boxes` for values that are large and rarely needed, such as outlines.

    Args:
        parsed: The attributes that are known.
        others: The names of the others.
        read: Returns the JSON text of one of the others, UTF-8; it may raise a :class:`DataError`.

    Attributes:
        parsed: The attributes that are values, and not text.
        others: The names of those that are text.
    """

    __slots__ = ("_read", "others", "parsed")

    def __init__(self, parsed: Mapping[str, Any], others: tuple[str, ...], read: Callable[[str], bytes]) -> None:
        self.parsed = parsed
        self.others = others
        self._read = read

    def __getitem__(self, name: str) -> Any:
        return json.loads(self._read(name)) if name in self.others else self.parsed[name]

    def __contains__(self, name: object) -> bool:
        return name in self.others or name in self.parsed

    def __iter__(self) -> Iterator[str]:
        return chain(self.parsed, self.others)

    def __len__(self) -> int:
        return len(self.parsed) + len(self.others)

    def __repr__(self) -> str:
        return repr(dict(self))

    def text(self, name: str) -> bytes | None:
        """Returns the JSON text of an attribute as it was read, or ``None`` for one that is a value."""
        return self._read(name) if name in self.others else None


_READ_ONLY = frozenset({MappingProxyType, JsonAttributes})


class Boxes(Sequence[Box]):
    """The boxes of one image, as columns; a sequence of :class:`Box`.

    Args:
        labels: One label a box.
        coordinates: One ``(xmin, ymin, xmax, ymax)`` per box, in pixels; tuples are kept, other rows become tuples of
            floats.
        attributes: One mapping per box, or ``None`` if no box has any; copied, except for read-only ones
            (``MappingProxyType`` and :class:`JsonAttributes`), which boxes may share.

    Raises:
        ValueError: The columns differ in length, a label is empty or not a string, or coordinates are invalid.
    """

    __slots__ = ("_array", "_attributes", "coordinates", "labels")

    labels: tuple[str, ...]
    coordinates: tuple[Coordinates, ...]
    _attributes: tuple[Mapping[str, Any], ...] | None

    def __init__(
        self,
        labels: Iterable[str] = (),
        coordinates: Iterable[Coordinates] = (),
        attributes: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        self._array: NDArray[np.float64] | None = None
        self.labels = tuple(labels)
        self.coordinates = tuple([box if type(box) is tuple else _as_coordinates(box) for box in coordinates])
        self._attributes = None
        if attributes is not None and any(attributes):
            self._attributes = tuple(
                [each if type(each) in _READ_ONLY else MappingProxyType(dict(each)) for each in attributes]
            )
        count = len(self.labels)
        if len(self.coordinates) != count or (self._attributes is not None and len(self._attributes) != count):
            raise ValueError(f"{count} labels, {len(self.coordinates)} boxes: every box needs its label and attributes")
        for position, box in enumerate(self.coordinates):
            xmin, ymin, xmax, ymax = box
            if not (type(xmin) is type(ymin) is type(xmax) is type(ymax) is float):
                xmin, ymin, xmax, ymax = map(float, box)  # the limit is beyond NumPy's smaller types
            if not (-MAX_COORDINATE <= xmin <= xmax <= MAX_COORDINATE >= ymax >= ymin >= -MAX_COORDINATE):
                raise ValueError(f"box {position + 1} ({self.labels[position]}): {check_coordinates(box)}")
        if set(map(type, self.labels)) <= _TEXT and "" not in self.labels:
            return
        for position, label in enumerate(self.labels):
            if not isinstance(label, str):
                raise ValueError(f"box {position + 1} has the label {label!r}, which is not a name")
            if not label:
                raise ValueError(f"box {position + 1} has an empty label")

    @classmethod
    def from_array(
        cls,
        labels: Iterable[str],
        xyxy: NDArray[Any],
        attributes: Sequence[Mapping[str, Any]] | None = None,
    ) -> Boxes:
        """Boxes from an array of shape (N, 4), ``xyxy`` in pixels."""
        return cls(labels, map(tuple, xyxy.tolist()), attributes)

    @property
    def attributes(self) -> Sequence[Mapping[str, Any]]:
        """One (possibly empty) read-only mapping a box."""
        return self._attributes if self._attributes is not None else (NO_ATTRIBUTES,) * len(self.labels)

    @property
    def has_attributes(self) -> bool:
        """Whether any box has an attribute; false is the quick answer for most datasets."""
        return self._attributes is not None

    @property
    def xyxy(self) -> NDArray[np.float64]:
        """The coordinates as a read-only array of shape (N, 4), float64, pixels."""
        if self._array is None:
            import numpy as np

            self._array = np.array(self.coordinates, dtype=np.float64).reshape(-1, 4)
            self._array.flags.writeable = False
        return self._array

    def with_xyxy(self, xyxy: NDArray[Any]) -> Boxes:
        """The same labels and attributes with other coordinates, shape (N, 4)."""
        return Boxes.from_array(self.labels, xyxy, self._attributes)

    def select(self, keep: Iterable[bool]) -> Boxes:
        """The boxes where ``keep`` (one bool a box) is true, in their order."""
        kept = [position for position, wanted in enumerate(keep) if wanted]
        attributes = None if self._attributes is None else [self._attributes[i] for i in kept]
        return Boxes((self.labels[i] for i in kept), (self.coordinates[i] for i in kept), attributes)

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int) -> Box: ...
    @overload
    def __getitem__(self, index: slice) -> Boxes: ...
    def __getitem__(self, index: int | slice) -> Box | Boxes:
        if isinstance(index, slice):
            attributes = None if self._attributes is None else self._attributes[index]
            return Boxes(self.labels[index], self.coordinates[index], attributes)
        xmin, ymin, xmax, ymax = self.coordinates[index]
        return Box(
            label=self.labels[index],
            xmin=xmin,
            ymin=ymin,
            xmax=xmax,
            ymax=ymax,
            attributes=dict(self.attributes[index]),
        )

    def __iter__(self) -> Iterator[Box]:
        return (self[i] for i in range(len(self.labels)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Boxes):
            return NotImplemented
        return (
            self.labels == other.labels
            and self.coordinates == other.coordinates
            and [dict(a) for a in self.attributes] == [dict(a) for a in other.attributes]
        )

    def __hash__(self) -> int:
        return hash((self.labels, self.coordinates))

    def __repr__(self) -> str:
        return f"Boxes({list(self)!r})"

    def __reduce__(self) -> tuple[object, ...]:
        attributes = None if self._attributes is None else [dict(a) for a in self._attributes]
        return (Boxes, (self.labels, self.coordinates, attributes))

    @classmethod
    def _coerce(cls, value: object) -> Boxes:
        if isinstance(value, Boxes):
            return value
        if not isinstance(value, Iterable) or isinstance(value, str | bytes):
            raise ValueError(f"boxes must be a sequence of Box, not {type(value).__name__}")
        boxes = [box if isinstance(box, Box) else Box.model_validate(box) for box in value]
        return cls([b.label for b in boxes], [b.coordinates for b in boxes], [b.attributes for b in boxes])

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._coerce,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda boxes: [box.model_dump() for box in boxes]
            ),
        )


_NAME_SHOWN = 80


def _described(kind: str, image: ImageRef, boxes: Boxes) -> str:
    """Returns an image and its boxes in one line."""
    name = image.name if len(image.name) <= _NAME_SHOWN else f"{image.name[: _NAME_SHOWN - 3]}..."
    frequent = Counter(boxes.labels).most_common(_CLASSES_SHOWN + 1)
    classes = [f"{label[:_NAME_SHOWN]} {count}" for label, count in frequent[:_CLASSES_SHOWN]]
    listed = ", ".join([*classes, *["..."][: len(frequent) - len(classes)]])
    return f"<{kind} {name!r} {image.width}x{image.height}, {len(boxes)} boxes{f': {listed}' if listed else ''}>"


def _html(kind: str, sample: Sample) -> str:
    """Returns an image with its boxes as HTML, for notebooks."""
    # By name, as plugins are loaded, because drawing is a layer above this one.
    html: str = importlib.import_module("boxwright.datasets.notebook").html_of_samples(
        _described(kind, sample.image, sample.boxes), [sample]
    )
    return html


_FOLDER_REMEDY = "put the image there, or name the folder of the images: FORMAT:LOCATION?images=FOLDER"


class ImageRef(BaseModel):
    """An image by reference: where its bytes are, and its size.

    ``name`` is the name of the image in its dataset, with ``/`` between folders (``001.jpg``, ``cam1/001.jpg``). The
    bytes are either in ``data`` (an image embedded in a record file) or at ``location``, a local path or a
    URL that fsspec opens. ``width`` and ``height`` are pixels, of the frame in which the boxes are given.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", defer_build=True, ser_json_bytes="base64", val_json_bytes="base64"
    )

    name: str = Field(min_length=1)
    width: int = Field(gt=0, le=MAX_SIDE)
    height: int = Field(gt=0, le=MAX_SIDE)
    location: str | None = None
    data: bytes | None = Field(default=None, repr=False)
    format: str | None = None

    def read(self) -> bytes:
        """Returns the encoded image.

        Raises:
            DataError: The image cannot be found or read.
        """
        if self.data is not None:
            return self.data
        if not self.location:
            raise DataError(self.name, "the dataset does not contain the location of this image", _FOLDER_REMEDY)
        content = read_file(self.location, _FOLDER_REMEDY, limit=MAX_IMAGE_BYTES)
        if content is None:
            raise DataError(self.location, "file not found", _FOLDER_REMEDY)
        return content


class Sample(BaseModel):
    """One image with its boxes: what readers yield, transforms change and writers write.

    ``source`` says where the annotation came from (a file, or a file and record), for messages. ``attributes``
    contains the fields of the format for the whole image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    image: ImageRef
    boxes: Boxes = Field(default_factory=Boxes)
    split: str | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)
    source: str = ""

    def __repr__(self) -> str:
        return _described("Sample", self.image, self.boxes)

    def _repr_html_(self) -> str:
        """The image with its boxes, for notebooks."""
        return _html("Sample", self)

    def replace(self, **changes: Any) -> Sample:
        """A copy with some fields changed; the new values are checked."""
        fields = {name: getattr(self, name) for name in Sample.model_fields}
        return Sample(**(fields | changes))

    def __hash__(self) -> int:
        return hash((self.image, self.boxes, self.split, self.source))  # the attributes are a dict


class DatasetInfo(BaseModel):
    """What a reader knows of its dataset before reading it through.

    ``label_map`` and ``num_samples`` are ``None`` if only reading the whole dataset could tell. ``attributes`` are
    the fields of the format for the dataset as a whole, such as COCO's ``info`` and ``licenses``; a writer finds them
    as ``output.dataset_attributes``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    format: str
    location: str
    label_map: LabelMap | None = None
    num_samples: int | None = None
    splits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    attributes: dict[str, Any] = Field(default_factory=dict)


class Detections(BaseModel):
    """The detections of a model in one image, best first.

    ``boxes`` are in the pixels of the image, and each has its ``score`` (0..1) among its attributes; :meth:`to_sample`
    makes it a sample that any writer takes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    image: ImageRef
    boxes: Boxes = Field(default_factory=Boxes)

    @model_validator(mode="after")
    def _scored(self) -> Detections:
        for position, attributes in enumerate(self.boxes.attributes):
            score = attributes.get("score")
            if not isinstance(score, int | float) or not 0.0 <= score <= 1.0:
                raise ValueError(f"detection {position + 1} has no score between 0 and 1")
        return self

    def __repr__(self) -> str:
        return _described("Detections", self.image, self.boxes)

    def _repr_html_(self) -> str:
        """The image with its detections, for notebooks."""
        return _html("Detections", self.to_sample())

    @classmethod
    def from_arrays(
        cls, image: ImageRef, labels: Iterable[str], xyxy: NDArray[Any], scores: Iterable[float]
    ) -> Detections:
        """Detections from parallel columns: ``xyxy`` of shape (N, 4) in pixels, scores 0..1; sorted best first."""
        scored = [{"score": float(score)} for score in scores]
        boxes = Boxes.from_array(labels, xyxy, scored)
        order = sorted(range(len(scored)), key=lambda i: -scored[i]["score"])
        if order != list(range(len(scored))):
            boxes = Boxes(
                (boxes.labels[i] for i in order),
                (boxes.coordinates[i] for i in order),
                [boxes.attributes[i] for i in order],
            )
        return cls(image=image, boxes=boxes)

    @property
    def scores(self) -> tuple[float, ...]:
        """One score a box, 0..1, best first."""
        return tuple(attributes["score"] for attributes in self.boxes.attributes)

    def above(self, score: float) -> Detections:
        """Only the detections with at least this score."""
        return Detections(image=self.image, boxes=self.boxes.select(s >= score for s in self.scores))

    def to_sample(self) -> Sample:
        """The detections as an annotated image."""
        return Sample(image=self.image, boxes=self.boxes)
