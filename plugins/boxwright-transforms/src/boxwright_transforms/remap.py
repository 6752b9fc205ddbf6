"""The step ``remap``: classes renamed, merged or dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from boxwright import Boxes, Sample, UsageError
from boxwright_transforms.class_map import read_class_map
from boxwright_transforms.notes import amount, suggestion

_SYNTAX = "write OLD=NEW,...; to drop a class: OLD="


class Remap:
    """The step ``remap:apple=fruit,pear=fruit,leaf=``.

    All classes are mapped at once, so that two can be swapped: ``remap:left=right,right=left``.

    Args:
        classes: The new class of each old class; an empty one drops its boxes.
        file: A CSV file with two columns, old and new, or a JSON object, by its suffix; for long maps, and for names
            that contain a comma or ``=``.
        others: ``"keep"`` or ``"drop"`` boxes of classes that are not in the map.
        into: Instead, the class to which all of these are renamed.

    Raises:
        UsageError: There is no map, a class is in it and in the file, or ``others`` is combined with ``into``.
        DataError: The file is missing or is not a class map.
    """

    per_sample = False

    def __init__(
        self, classes: Mapping[str, str] | str | None = None, file: str = "", others: str = "keep", into: str = ""
    ) -> None:
        if isinstance(classes, str):
            raise UsageError(f"remap: {classes!r} has no =", _SYNTAX)
        if into and others == "drop":
            raise UsageError("remap: others=drop excludes into", "remove others, or into")
        self.others = others
        self.into = into
        self.map = dict(classes or {})
        for old, new in (read_class_map(file) if file else {}).items():
            if self.map.setdefault(old, new) != new:
                raise UsageError(f"remap: {old!r} is in {file} and in the step", "remove one of the two")
        if not self.map and not into and others == "keep":
            raise UsageError("remap: there is no class", _SYNTAX)
        if "" in self.map:
            raise UsageError("remap: the name of a class is empty", _SYNTAX)
        if others == "drop" and not any(self.map.values()):
            raise UsageError("remap: no class would remain", "name those to keep: remap:apple=apple,others=drop")
        self._seen: Counter[str] = Counter()
        self._images = self._emptied = 0

    def target(self, label: str) -> str:
        """Returns the new class of an old one; empty if its boxes are dropped."""
        return self.map.get(label, self.into or ("" if self.others == "drop" else label))

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields each sample with the classes of its boxes mapped; every image is kept."""
        seen = self._seen = Counter()
        self._images = self._emptied = 0
        new_of: dict[str, str] = {}
        for sample in samples:
            boxes = sample.boxes
            self._images += 1
            seen.update(boxes.labels)
            for label in boxes.labels:
                if label not in new_of:
                    new_of[label] = self.target(label)
            labels = tuple([new_of[label] for label in boxes.labels])
            if labels == boxes.labels:
                yield sample
                continue
            kept = boxes if all(labels) else boxes.select(map(bool, labels))
            self._emptied += not kept
            attributes = kept.attributes if kept.has_attributes else None
            yield sample.replace(boxes=Boxes(filter(None, labels), kept.coordinates, attributes))

    def notes(self) -> list[str]:
        """Returns the changes of each class, and the classes of the map that did not occur."""
        if not self._images:
            return []
        notes = []
        for label, count in sorted(self._seen.items()):
            new = self.target(label)
            if new != label:
                notes.append(
                    f"{label} -> {new}: {amount(count, 'box')}" if new else f"{label} dropped: {amount(count, 'box')}"
                )
        if self._emptied:
            notes.append(f"{amount(self._emptied, 'image')} kept without boxes")
        for label in self.map:
            if label not in self._seen:
                notes.append(f"no box has the class {label!r} of the map; {suggestion(label, self._seen)}")
        return notes or ["no class changed"]
