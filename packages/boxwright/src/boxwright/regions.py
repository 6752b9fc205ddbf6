"""Boxes that are not single objects: crowds, and KITTI's regions without annotations.

The rule is the same for every format: training leaves them out, and in an evaluation they need not be detected, while
detections in them are not wrong. ``docs/regions.md`` lists how each format marks them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from boxwright.label_map import LabelMap
from boxwright.schemas import Boxes, Sample

CROWD = "iscrowd"
"""The attribute of a crowd, whatever its format calls it."""

UNANNOTATED = "dontcare"
"""KITTI's class of regions in which objects were not annotated, in lower case."""


def is_set(value: object) -> bool:
    """Returns whether a flag of an annotation is set, in the notation of any format."""
    return str(value).strip().lower() in ("1", "1.0", "true", "yes")


def are_crowds(boxes: Boxes) -> list[bool]:
    """Returns for each box whether it has the attribute of a crowd."""
    if not boxes.has_attributes:
        return [False] * len(boxes.labels)
    return [CROWD in attributes and is_set(attributes[CROWD]) for attributes in boxes.attributes]


def are_regions(boxes: Boxes) -> list[bool]:
    """Returns for each box whether it is a region and not a single object."""
    crowds = are_crowds(boxes)
    return [crowd or label.lower() == UNANNOTATED for crowd, label in zip(crowds, boxes.labels, strict=True)]


def unknown_classes(boxes: Boxes, label_map: LabelMap) -> list[str]:
    """Returns the sorted classes of single objects that a label map does not contain."""
    if all(label in label_map for label in boxes.labels):
        return []
    pairs = zip(boxes.labels, are_regions(boxes), strict=True)
    return sorted({label for label, region in pairs if not region and label not in label_map})


class WithoutRegions:
    """A transform that leaves regions out.

    Args:
        known: Classes whose crowds are kept; empty for none.
    """

    per_sample = True

    def __init__(self, known: frozenset[str] = frozenset()) -> None:
        self._known = known

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the samples with the other boxes."""
        for sample in samples:
            flags = are_regions(sample.boxes)
            keep = [not flag or label in self._known for flag, label in zip(flags, sample.boxes.labels, strict=True)]
            yield sample if all(keep) else sample.replace(boxes=sample.boxes.select(keep))
