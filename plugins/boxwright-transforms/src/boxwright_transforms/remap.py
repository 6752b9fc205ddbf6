"""The step ``remap``: classes under other names, several as one, or left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from boxwright import Boxes, Sample, UsageError
from boxwright_transforms.classmap import read_class_map
from boxwright_transforms.notes import amount, offer
from boxwright_transforms.values import check_choice


class Remap:
    """The step ``remap:apple=fruit,pear=fruit,leaf=``.

    All classes are mapped at once, so that two may change places: ``remap:left=right,right=left``.

    Args:
        classes: The new class of each, by its old one; an empty one leaves its boxes out.
        file: A CSV file with two columns, old and new, or a JSON object, by its ending; for long maps, and for names
            with a comma or ``=`` in them.
        others: ``"keep"`` or ``"drop"`` boxes of classes that the map does not name.
        into: Instead, the one class that they all become.

    Raises:
        UsageError: No map, a class that stands twice in it, or ``others`` beside ``into``.
        DataError: The file is missing or holds no map.
    """

    per_sample = False
    keeps_labels = False

    def __init__(
        self, classes: Mapping[str, str] | str | None = None, file: str = "", others: str = "keep", into: str = ""
    ) -> None:
        if isinstance(classes, str):
            raise UsageError(f"remap: {classes!r} has no =", "write OLD=NEW,...; to leave a class out: OLD=")
        self.others = check_choice(others, ("keep", "drop"), "remap: others")
        if into and others == "drop":
            raise UsageError("remap: others=drop leaves nothing to go into one class", "leave out others, or into")
        self.into = into
        self.map = dict(classes or {})
        for old, new in (read_class_map(file) if file else {}).items():
            if self.map.setdefault(old, new) != new:
                raise UsageError(f"remap: {old!r} stands in {file} and beside it", "leave one of them out")
        if not self.map and not into and others == "keep":
            raise UsageError("remap: no class is named", "write OLD=NEW,...; to leave a class out: OLD=")
        if "" in self.map:
            raise UsageError("remap: a class without a name", "write OLD=NEW,...; to leave a class out: OLD=")
        if self.others == "drop" and not any(self.map.values()):
            raise UsageError("remap: no class would be left", "say which ones stay: remap:apple=apple,others=drop")
        self._seen: Counter[str] = Counter()
        self._pictures = self._emptied = 0

    def target(self, label: str) -> str:
        """The new class of an old one; empty where its boxes are left out."""
        return self.map.get(label, self.into or ("" if self.others == "drop" else label))

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields each sample with its boxes' classes mapped; every picture stays."""
        seen = self._seen = Counter()
        self._pictures = self._emptied = 0
        new_of: dict[str, str] = {}
        for sample in samples:
            boxes = sample.boxes
            self._pictures += 1
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
            yield sample.replace(boxes=Boxes(filter(None, labels), kept.edges, attributes))

    def notes(self) -> list[str]:
        """What became of each class, and which classes of the map never occurred."""
        if not self._pictures:
            return []
        said = []
        for label, count in sorted(self._seen.items()):
            new = self.target(label)
            if new != label:
                said.append(
                    f"{label} -> {new}: {amount(count, 'box')}" if new else f"{label} left out: {amount(count, 'box')}"
                )
        if self._emptied:
            said.append(f"{amount(self._emptied, 'picture')} lost all boxes and stayed")
        for label in self.map:
            if label not in self._seen:
                said.append(f"no box has the class {label!r}, which the map names; {offer(label, self._seen)}")
        return said or ["no class was changed"]
