"""The step ``filter``: some of the images and some of their boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from boxwright import Boxes, Sample, UsageError
from boxwright_transforms.conditions import (
    BOX,
    BOX_ATTRIBUTES,
    IMAGE,
    Patterns,
    Range,
    box_tests,
    check_names,
    image_tests,
)
from boxwright_transforms.notes import amount, suggestion

_CLASS_OPTIONS: Final = ("classes", "not_classes", "pictures_with", "pictures_without")


@dataclass
class _Counts:
    """What one iteration found."""

    images: int = 0
    boxes: int = 0
    images_out: Counter[str] = field(default_factory=Counter)
    boxes_of_images_out: int = 0
    boxes_out: Counter[str] = field(default_factory=Counter)
    emptied: int = 0
    labels: set[str] = field(default_factory=set)
    splits: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)

    def add(self, sample: Sample) -> None:
        self.images += 1
        self.boxes += len(sample.boxes)
        self.labels.update(sample.boxes.labels)
        if sample.split is not None:
            self.splits.add(sample.split)
        self.attributes.update(IMAGE + name for name in sample.attributes)
        if sample.boxes.has_attributes:
            self.attributes.update(BOX + name for row in sample.boxes.attributes for name in row)

    def drop(self, condition: str, boxes: int) -> None:
        self.images_out[condition] += 1
        self.boxes_of_images_out += boxes


class Filter:
    """The step ``filter:classes=apple+fig,side=8..``.

    All conditions must be met. They are applied to the images first, then to the boxes of those that are kept, then to
    the number of remaining boxes. What is left out is counted by the first condition that it does not meet.

    The classes keep their ids, unless they are selected by ``classes`` or ``not_classes``.

    Args:
        conditions: Values of attributes: ``{"box.difficult": "0", "image.camera": "left+right"}``; ``difficult``,
            ``truncated``, ``occluded``, ``iscrowd``, ``pose`` and ``score`` of boxes need no ``box.``. A missing
            attribute counts as 0.
        emptied: ``"keep"`` or ``"drop"`` images that lost all their boxes.
        options: Those of :data:`boxwright_transforms.conditions.OPTIONS`, as texts or numbers.

    Raises:
        UsageError: There is no condition, an option is unknown, or its value is invalid.
    """

    per_sample = False

    def __init__(
        self, conditions: Mapping[str, object] | str | None = None, emptied: str = "keep", **options: object
    ) -> None:
        if isinstance(conditions, str):
            raise UsageError(f"filter: {conditions!r} has no name", "write name=value, such as filter:classes=apple")
        values = {name: str(value) for name, value in {**options, **(conditions or {})}.items()}
        check_names(values)
        if not values and emptied == "keep":
            raise UsageError("filter: there is no condition", "write one, such as filter:classes=apple+fig")
        self._values = values
        self._drop_emptied = emptied == "drop"
        self._image_tests = image_tests(values)
        self._box_tests = box_tests(values)
        self._remaining = Range.parse(values["boxes"], "filter: boxes") if "boxes" in values else None
        self.keeps_labels = not ("classes" in values or "not_classes" in values)
        self._counts = _Counts()

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the samples that are kept, with the boxes that are kept."""
        counts = self._counts = _Counts()
        for sample in samples:
            counts.add(sample)
            if failed := next((name for name, test in self._image_tests.items() if not test(sample)), None):
                counts.drop(failed, len(sample.boxes))
                continue
            boxes = self._kept_boxes(sample, counts)
            emptied = bool(sample.boxes) and not boxes
            if emptied and self._drop_emptied:
                counts.drop("emptied=drop", 0)
            elif self._remaining and not self._remaining.match(len(boxes)):
                counts.drop(f"boxes={self._values['boxes']}", len(boxes))
            else:
                counts.emptied += emptied
                yield sample if boxes is sample.boxes else sample.replace(boxes=boxes)

    def notes(self) -> list[str]:
        """Returns what was left out, by condition, and the conditions that match nothing."""
        counts = self._counts
        notes = []
        if counts.boxes_out:
            out = amount(counts.boxes_out.total(), "box")
            notes.append(f"{out} of {counts.boxes:,} left out: {_listed(counts.boxes_out)}")
        if counts.images_out:
            out = amount(counts.images_out.total(), "image")
            boxes = f", with {amount(counts.boxes_of_images_out, 'box')}" if counts.boxes_of_images_out else ""
            notes.append(f"{out} of {counts.images:,} left out{boxes}: {_listed(counts.images_out)}")
        if counts.emptied:
            notes.append(f"{amount(counts.emptied, 'image')} kept without boxes; emptied=drop drops them")
        if counts.images and not notes:
            notes.append("nothing was left out")
        return notes + (self._unmatched(counts) if counts.images else [])

    def _kept_boxes(self, sample: Sample, counts: _Counts) -> Boxes:
        boxes = sample.boxes
        keep = []
        for label, box, attributes in zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True):
            failed = next(
                (name for name, test in self._box_tests.items() if not test(label, box, attributes, sample.image)), None
            )
            if failed:
                counts.boxes_out[failed] += 1
            keep.append(failed is None)
        return boxes if all(keep) else boxes.select(keep)

    def _unmatched(self, counts: _Counts) -> list[str]:
        """Returns a note for each name that does not occur, which is probably mistyped."""
        notes = []
        for name, value in self._values.items():
            if name in _CLASS_OPTIONS:
                for item in Patterns.parse(value, name).without_match(frozenset(counts.labels)):
                    notes.append(f"{name}: no box has the class {item!r}; {suggestion(item, counts.labels)}")
            elif name == "splits":
                for item in Patterns.parse(value, name).without_match(frozenset(counts.splits)):
                    notes.append(f"splits: no image is in the split {item!r}; {suggestion(item, counts.splits)}")
            elif name.startswith((BOX, IMAGE)) or name in BOX_ATTRIBUTES:
                full = name if name.startswith((BOX, IMAGE)) else BOX + name
                if full not in counts.attributes:
                    kind, _, attribute = full.partition(".")
                    notes.append(f"{name}: no {kind} has the attribute {attribute!r}, which counted as 0")
        return notes


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} by {condition}" for condition, count in counts.most_common())
