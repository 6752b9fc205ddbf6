"""The step ``filter``: only some of the pictures, and only some of their boxes."""

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
    box_tests,
    check_names,
    picture_tests,
)
from boxwright_transforms.notes import amount, offer
from boxwright_transforms.values import Patterns, Range, check_choice

_OF_CLASSES: Final = ("classes", "not_classes", "pictures_with", "pictures_without")


@dataclass
class _Counts:
    """What one reading found."""

    pictures: int = 0
    boxes: int = 0
    pictures_out: Counter[str] = field(default_factory=Counter)
    boxes_with_them: int = 0
    boxes_out: Counter[str] = field(default_factory=Counter)
    emptied: int = 0
    labels: set[str] = field(default_factory=set)
    splits: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)

    def see(self, sample: Sample) -> None:
        self.pictures += 1
        self.boxes += len(sample.boxes)
        self.labels.update(sample.boxes.labels)
        if sample.split is not None:
            self.splits.add(sample.split)
        self.attributes.update(IMAGE + name for name in sample.attributes)
        if sample.boxes.has_attributes:
            self.attributes.update(BOX + name for row in sample.boxes.attributes for name in row)

    def drop(self, why: str, boxes: int) -> None:
        self.pictures_out[why] += 1
        self.boxes_with_them += boxes


class Filter:
    """The step ``filter:classes=apple+fig,side=8..``.

    What is given must all hold. First pictures are looked at as they come, then the boxes of those that stay, then
    how many boxes are left. What goes is counted under the first option that it fails.

    The classes keep their numbers, unless classes are chosen by ``classes`` or ``not_classes``.

    Args:
        conditions: Values of attributes: ``{"box.difficult": "0", "image.camera": "left+right"}``; the ``difficult``,
            ``truncated``, ``occluded``, ``iscrowd``, ``pose`` and ``score`` of boxes need no ``box.``. An attribute
            that is missing counts as 0.
        emptied: ``"keep"`` or ``"drop"`` pictures that had boxes and lost all of them.
        options: Those of :data:`boxwright_transforms.conditions.OPTIONS`, as texts or numbers.

    Raises:
        UsageError: Nothing is asked for, an unknown option, or a value that an option does not take.
    """

    per_sample = False

    def __init__(
        self, conditions: Mapping[str, object] | str | None = None, emptied: str = "keep", **options: object
    ) -> None:
        if isinstance(conditions, str):
            raise UsageError(f"filter: {conditions!r} has no name", "write name=value, such as filter:classes=apple")
        asked = {name: str(value) for name, value in {**options, **(conditions or {})}.items()}
        check_names(asked)
        if not asked and emptied == "keep":
            raise UsageError("filter: nothing is asked for", "say what stays, such as filter:classes=apple+fig")
        self._asked = asked
        self._drop_emptied = check_choice(emptied, ("keep", "drop"), "filter: emptied") == "drop"
        self._pictures = picture_tests(asked)
        self._boxes = box_tests(asked)
        self._left = Range.parse(asked["boxes"], "filter: boxes") if "boxes" in asked else None
        self.keeps_labels = not ("classes" in asked or "not_classes" in asked)
        self._counts = _Counts()

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the samples that stay, with the boxes that stay."""
        counts = self._counts = _Counts()
        for sample in samples:
            counts.see(sample)
            if failed := next((what for what, test in self._pictures.items() if not test(sample)), None):
                counts.drop(failed, len(sample.boxes))
                continue
            boxes = self._kept_boxes(sample, counts)
            emptied = bool(sample.boxes) and not boxes
            if emptied and self._drop_emptied:
                counts.drop("emptied=drop", 0)
            elif self._left and not self._left.match(len(boxes)):
                counts.drop(f"boxes={self._asked['boxes']}", len(boxes))
            else:
                counts.emptied += emptied
                yield sample if boxes is sample.boxes else sample.replace(boxes=boxes)

    def notes(self) -> list[str]:
        """What went, by which option; and what was asked for that nothing has."""
        counts = self._counts
        said = []
        if counts.boxes_out:
            out = amount(counts.boxes_out.total(), "box")
            said.append(f"{out} of {counts.boxes:,} left out: {_listed(counts.boxes_out)}")
        if counts.pictures_out:
            out = amount(counts.pictures_out.total(), "picture")
            with_them = f", with {amount(counts.boxes_with_them, 'box')}" if counts.boxes_with_them else ""
            said.append(f"{out} of {counts.pictures:,} left out{with_them}: {_listed(counts.pictures_out)}")
        if counts.emptied:
            said.append(f"{amount(counts.emptied, 'picture')} lost all boxes and stayed; emptied=drop leaves them out")
        if counts.pictures and not said:
            said.append("nothing was left out")
        return said + (self._never_seen(counts) if counts.pictures else [])

    def _kept_boxes(self, sample: Sample, counts: _Counts) -> Boxes:
        boxes = sample.boxes
        keep = []
        for label, edges, attributes in zip(boxes.labels, boxes.edges, boxes.attributes, strict=True):
            failed = next(
                (what for what, test in self._boxes.items() if not test(label, edges, attributes, sample.image)), None
            )
            if failed:
                counts.boxes_out[failed] += 1
            keep.append(failed is None)
        return boxes if all(keep) else boxes.select(keep)

    def _never_seen(self, counts: _Counts) -> list[str]:
        """What was mistyped, most likely."""
        said = []
        for name, value in self._asked.items():
            if name in _OF_CLASSES:
                for item in Patterns.parse(value, name).without_match(frozenset(counts.labels)):
                    said.append(f"{name}: no box has the class {item!r}; {offer(item, counts.labels)}")
            elif name == "splits":
                for item in Patterns.parse(value, name).without_match(frozenset(counts.splits)):
                    said.append(f"splits: no picture is of the split {item!r}; {offer(item, counts.splits)}")
            elif name.startswith((BOX, IMAGE)) or name in BOX_ATTRIBUTES:
                full = name if name.startswith((BOX, IMAGE)) else BOX + name
                if full not in counts.attributes:
                    kind, _, attribute = full.partition(".")
                    what = "picture" if kind == "image" else "box"
                    said.append(f"{name}: no {what} has the attribute {attribute!r}, so that it counted as 0")
        return said


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} by {what}" for what, count in counts.most_common())
