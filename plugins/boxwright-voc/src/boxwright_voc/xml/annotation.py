"""What one Pascal VOC XML says, whichever parser read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from boxwright.schemas import Edges

SPACE: Final = " \t\r\n"
"""What XML 1.0 calls white space; a no-break space is part of a name."""

DEFAULT_POSE: Final = "Unspecified"
DEFAULT_DATABASE: Final = "Unknown"
DEFAULT_DEPTH: Final = 3


class Annotation(NamedTuple):
    """One XML: texts without surrounding white space, edges in pixels as they stand in the file.

    Attributes:
        filename: ``<filename>``; empty where it is missing.
        width: ``<width>`` in pixels; 0 where it is missing.
        height: ``<height>`` in pixels; 0 where it is missing.
        attributes: The picture's other fields, without those that have labelImg's default value.
        labels: One ``<name>`` an object; never empty.
        edges: ``(xmin, ymin, xmax, ymax)`` an object, finite, possibly in the wrong order.
        box_attributes: The other fields of each object, or ``None`` where none has any.
    """

    filename: str
    width: int
    height: int
    attributes: dict[str, Any]
    labels: list[str]
    edges: list[Edges]
    box_attributes: Sequence[Mapping[str, Any]] | None
