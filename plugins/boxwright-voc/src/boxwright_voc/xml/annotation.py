"""The content of one Pascal VOC XML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from boxwright import Coordinates

DEFAULT_POSE: Final = "Unspecified"
DEFAULT_DATABASE: Final = "Unknown"
DEFAULT_DEPTH: Final = 3


class Annotation(NamedTuple):
    """The content of one file: texts without surrounding white space, coordinates as written in the file.

    Attributes:
        filename: ``<filename>``; empty if it is missing.
        width: ``<width>`` in pixels; 0 if it is missing.
        height: ``<height>`` in pixels; 0 if it is missing.
        attributes: The image's other fields, without those that have labelImg's default value.
        labels: The ``<name>`` of each object; never empty.
        coordinates: ``(xmin, ymin, xmax, ymax)`` of each object, finite, possibly in the wrong order.
        box_attributes: The other fields of each object, or ``None`` if no object has any.
    """

    filename: str
    width: int
    height: int
    attributes: dict[str, Any]
    labels: list[str]
    coordinates: list[Coordinates]
    box_attributes: Sequence[Mapping[str, Any]] | None
