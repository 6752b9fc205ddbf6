"""Edits of many images at once, which a session applies and takes back as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from boxwright.annotation.edits import ANNOTATOR
from boxwright.schemas import Boxes, Sample


def relabeled(samples: Sequence[Sample], images: Iterable[int], old: str, new: str) -> dict[int, Sample]:
    """Returns the images with another class of boxes, by position; only those that change.

    Args:
        samples: All images.
        images: The positions of those to change.
        old: The class of the boxes.
        new: Their new class.
    """
    changed = {}
    for image in images:
        boxes = samples[image].boxes
        if old != new and old in boxes.labels:
            labels = [new if label == old else label for label in boxes.labels]
            attributes = [
                {**own, ANNOTATOR: "person"} if label == old else own
                for label, own in zip(boxes.labels, boxes.attributes, strict=True)
            ]
            changed[image] = samples[image].replace(boxes=Boxes(labels, boxes.coordinates, attributes))
    return changed


def without_boxes(
    samples: Sequence[Sample], images: Iterable[int], *, label: str = "", side: float = 0.0
) -> dict[int, Sample]:
    """Returns the images without some of their boxes, by position; only those that change.

    Args:
        samples: All images.
        images: The positions of those to change.
        label: Only boxes of this class; empty for all.
        side: Only boxes whose width or height is less than this, in pixels; 0 for all sizes.
    """
    changed = {}
    for image in images:
        boxes = samples[image].boxes
        keep = [
            bool(label and own != label) or bool(side and min(x2 - x1, y2 - y1) >= side)
            for own, (x1, y1, x2, y2) in zip(boxes.labels, boxes.coordinates, strict=True)
        ]
        if not all(keep):
            changed[image] = samples[image].replace(boxes=boxes.select(keep))
    return changed
