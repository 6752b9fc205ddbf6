"""What an edit makes of the boxes of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from boxwright.errors import UsageError
from boxwright.schemas import Boxes, Coordinates, Sample, check_coordinates
from boxwright.text import is_text

ANNOTATOR: Final = "annotator"
"""The attribute of a box that was drawn, changed or accepted in a session: ``"person"`` or ``"model"``."""
VERIFIED: Final = "verified"
"""The attribute of an image that a person has checked, ``"yes"`` as labelImg writes it."""
MAX_BOXES: Final = 10_000
"""The largest number of boxes of an image that an edit may set."""
_LONGEST_LABEL: Final = 200
_OF_SHAPES: Final = ("segmentation", "rotation", "shape", "keypoints", "keypoint_names", "num_keypoints", "area")
"""The attributes that describe the outline of an object, which no longer match a box that was moved."""


class Drawn(NamedTuple):
    """A box of an edit.

    Attributes:
        label: Its label.
        coordinates: ``(xmin, ymin, xmax, ymax)`` in pixels of the sample.
        origin: The position of the box in the revision that the edit changes, whose attributes it keeps; ``None`` for a
            new one.
        by_model: Whether a new box is a proposal of a model that a person has accepted.
    """

    label: str
    coordinates: Coordinates
    origin: int | None = None
    by_model: bool = False


def edited_boxes(sample: Sample, drawn: Sequence[Drawn]) -> Boxes:
    """Returns the boxes of an edit, with the attributes of those that are kept."""
    if len(drawn) > MAX_BOXES:
        raise UsageError(f"{len(drawn):,} boxes are more than {MAX_BOXES:,}", "remove some of them")
    old = sample.boxes
    used: set[int] = set()
    coordinates: list[Coordinates] = []
    attributes: list[Mapping[str, Any]] = []
    labels: list[str] = []
    for number, each in enumerate(drawn, start=1):
        box = tuple(map(float, each.coordinates))
        kept = each.origin if each.origin is not None and 0 <= each.origin < len(old) else None
        if kept is None or kept in used:
            own: Mapping[str, Any] = {ANNOTATOR: "model" if each.by_model else "person"}
        else:
            used.add(kept)
            own = old.attributes[kept]
            moved = box != old.coordinates[kept]
            if moved:
                own = {name: value for name, value in own.items() if name not in _OF_SHAPES}
            if moved or each.label != old.labels[kept]:
                own = {**own, ANNOTATOR: "person"}
        if kept is None or box != old.coordinates[kept]:
            box = _inside(box, sample, number)
        labels.append(each.label if kept is not None and each.label == old.labels[kept] else checked_label(each.label))
        coordinates.append(box)
        attributes.append(own)
    return Boxes(labels, coordinates, attributes)


def _inside(box: tuple[float, ...], sample: Sample, number: int) -> Coordinates:
    """Returns a box without what is outside the image."""
    width, height = float(sample.image.width), float(sample.image.height)
    if len(box) != 4 or (problem := check_coordinates(box)):
        raise UsageError(
            f"box {number}: {problem if len(box) == 4 else 'it has not four coordinates'}", "draw it again"
        )
    xmin, ymin, xmax, ymax = box
    inside = max(xmin, 0.0), max(ymin, 0.0), min(xmax, width), min(ymax, height)
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise UsageError(f"box {number} has zero area, or is outside the image", "draw it again")
    return inside


def checked_label(name: str) -> str:
    """Returns the name of a class without surrounding spaces, or raises ``UsageError``."""
    name = name.strip() if isinstance(name, str) else ""
    if not name or len(name) > _LONGEST_LABEL or not is_text(name) or any(ord(each) < 32 for each in name):
        raise UsageError(
            f"{name!r:.80} cannot be the name of a class", f"use 1 to {_LONGEST_LABEL} letters in one line"
        )
    return name


def is_verified(sample: Sample) -> bool:
    """Whether a person has checked an image, which labelImg writes as ``"yes"``."""
    return sample.attributes.get(VERIFIED) == "yes"
