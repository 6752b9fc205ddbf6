"""Comparison: what differs between two datasets, picture by picture and box by box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from boxwright.analysis.comparison.offsets import Offset, Offsets
from boxwright.analysis.comparison.pairing import Picture, in_frame_of, paired
from boxwright.datasets.dataset import Dataset, open_dataset
from boxwright.datasets.losses import BOOKKEEPING, BOX_BOOKKEEPING
from boxwright.errors import DataError, UsageError
from boxwright.matching import match_boxes
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Edges

if TYPE_CHECKING:
    from boxwright.plugins.registry import Registry
    from boxwright.storage.uri import DatasetURI

_IGNORABLE = ("attributes", "splits", "sizes", "class-numbers")
_NAMED = ("box.", "image.", "dataset.")
_NEAR = 2.0


class Kind(StrEnum):
    """How two datasets can differ."""

    ONLY_FIRST = "only_in_first"
    ONLY_SECOND = "only_in_second"
    SIZE = "size"
    SPLIT = "split"
    REMOVED = "removed"
    ADDED = "added"
    MOVED = "moved"
    RELABELLED = "relabelled"
    BOX_ATTRIBUTE = "box_attribute"
    IMAGE_ATTRIBUTE = "image_attribute"
    DATASET_ATTRIBUTE = "dataset_attribute"
    CLASS_NUMBER = "class_number"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference.

    Attributes:
        kind: What differs.
        picture: The picture's name in the first dataset, or in the second if only that has it; empty where the
            datasets differ as a whole.
        label: The box's class in the first dataset, or in the second if only that has it; the class whose number
            differs.
        edges: The box in the first dataset, or in the second if only that has it, pixels of its own frame.
        name: The attribute that differs.
        first: What the first dataset has; ``None`` for nothing. Edges for a box that moved.
        second: What the second has, likewise.
    """

    kind: Kind
    picture: str = ""
    label: str = ""
    edges: Edges | None = None
    name: str = ""
    first: Any = None
    second: Any = None

    @property
    def attribute(self) -> str:
        """The attribute that differs, as ``box.NAME``; empty for other differences."""
        owner, _, what = self.kind.value.rpartition("_")
        return f"{owner}.{self.name}" if what == "attribute" else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without what is empty."""
        fields = {
            "kind": self.kind.value,
            "picture": self.picture,
            "label": self.label,
            "edges": self.edges,
            "name": self.name,
        }
        said = {name: value for name, value in fields.items() if value}
        if self.first is not None or self.second is not None:
            said |= {"first": self.first, "second": self.second}
        return said


@dataclass
class Comparison:
    """What differs.

    Attributes:
        first: The URI of the first dataset.
        second: The URI of the second.
        both: Pictures that both have.
        alike: Those of them in which nothing differs.
        boxes: Boxes that both have, moved and relabelled ones among them.
        counts: How many differences there are of each kind.
        attributes: How many there are of each attribute: ``box.NAME``, ``image.NAME``, ``dataset.NAME``.
        differences: The differences, picture by picture; of no more pictures than were asked to be kept.
        farthest: By how many pixels the edge moved that moved most.
        unlisted: Boxes that moved by no more than the tolerance.
        offset: The one offset by which nearly all boxes differ, if there is one.
        skipped: Items of either dataset left out under ``on_error="skip"``.
    """

    first: str
    second: str
    both: int = 0
    alike: int = 0
    boxes: int = 0
    counts: Counter[Kind] = field(default_factory=Counter)
    attributes: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    farthest: float = 0.0
    unlisted: int = 0
    offset: Offset | None = None
    skipped: list[DataError] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.counts

    def add(self, found: list[Difference], *, keep: bool = True) -> None:
        """Counts differences, and keeps them if wanted."""
        self.counts.update(difference.kind for difference in found)
        self.attributes.update(difference.attribute for difference in found if difference.attribute)
        if keep:
            self.differences += found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "same": self.same,
            "pictures_in_both": self.both,
            "pictures_alike": self.alike,
            "boxes_in_both": self.boxes,
            "counts": {kind.value: self.counts[kind] for kind in Kind if self.counts[kind]},
            "attributes": dict(sorted(self.attributes.items())),
            "farthest_move": self.farthest,
            "moved_within_tolerance": self.unlisted,
            "offset": self.offset.to_dict() if self.offset else None,
            "differences": [difference.to_dict() for difference in self.differences],
            "skipped": [
                {"file": e.file, "place": e.place, "problem": e.problem, "remedy": e.remedy} for e in self.skipped
            ],
        }


Observer = Callable[[Picture | None, Picture | None, list[Difference]], None]
"""Called with a picture as either dataset has it and what differs."""


def compare(
    first: str | DatasetURI | Dataset,
    second: str | DatasetURI | Dataset,
    *,
    tolerance: float = 0.01,
    iou: float = 0.5,
    ignore: Collection[str] = (),
    by: str = "name",
    bookkeeping: bool = False,
    keep: int | None = None,
    on_error: str = "fail",
    observe: Observer | None = None,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> Comparison:
    """Compares two datasets.

    Both are read in step, once. Pictures in the same order take no memory; one that the other dataset has elsewhere is
    kept, without its bytes, until it comes. The order of pictures and of boxes is no difference, the pictures' pixels
    are not looked at. Where the two say different sizes of a picture, boxes are compared as parts of the picture,
    unless they are equal as they are.

    Args:
        first: A dataset.
        second: Another.
        tolerance: Pixels by which an edge may differ; formats that round leave less than the default.
        iou: Boxes are the same one if they overlap by at least this, or if no edge is farther than 2 pixels or the
            tolerance.
        ignore: What is not compared: ``"attributes"``, ``"splits"``, ``"sizes"``, ``"class-numbers"``, or one
            attribute: ``"box.NAME"``, ``"image.NAME"``, ``"dataset.NAME"``.
        by: What says that two pictures are the same: ``"name"``, or ``"stem"``, the name without folders and ending.
        bookkeeping: Whether to compare attributes that mean nothing elsewhere, too
            (:data:`boxwright.datasets.BOOKKEEPING`).
        keep: Of how many pictures the differences are kept; all are counted.
        on_error: ``"fail"`` or ``"skip"`` items that cannot be read.
        observe: Gets every picture that differs.
        reporter: Where progress goes.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: A wrong URI or option.
        DataError: An item cannot be read (under ``"fail"``), there is nothing at a location, or two pictures have one
            stem.
        PluginError: A format's plugin is not installed, clashes, or lacks a library.
    """
    _check_options(tolerance, iou, ignore, by)
    one, two = (open_dataset(each, on_error=on_error, registry=registry) for each in (first, second))
    result = Comparison(one.uri or one.info.location, two.uri or two.info.location)
    comparer = _Comparer(result, tolerance, iou, frozenset(ignore), bookkeeping=bookkeeping)
    result.add(comparer.datasets(one, two))
    kept = 0
    sizes = (one.info.num_samples, two.info.num_samples)
    total = None if None in sizes else max(filter(None, sizes), default=0)
    with (reporter or LogReporter()).task("Comparing", total) as task:
        for before, after in paired(one, two, by, task):
            found = comparer.pictures(before, after)
            result.both += before is not None and after is not None
            result.alike += not found
            if found:
                result.add(found, keep=keep is None or kept < keep)
                kept += 1
                if observe is not None:
                    observe(before, after, found)
    result.offset = comparer.offsets.systematic(one, two)
    result.skipped = [*one.problems.skipped, *two.problems.skipped]
    return result


class _Comparer:
    """Finds the differences of two datasets, one picture at a time."""

    def __init__(
        self, result: Comparison, tolerance: float, iou: float, ignore: frozenset[str], *, bookkeeping: bool
    ) -> None:
        self.offsets = Offsets()
        self._result = result
        self._tolerance = tolerance
        self._iou = iou
        self._ignore = ignore
        self._bookkeeping = bookkeeping

    def datasets(self, one: Dataset, two: Dataset) -> list[Difference]:
        """What differs between the datasets as a whole."""
        found = self._attributes(Kind.DATASET_ATTRIBUTE, one.info.attributes, two.info.attributes, "dataset.")
        first, second = one.known_label_map, two.known_label_map
        if first is not None and second is not None and "class-numbers" not in self._ignore:
            for name in dict.fromkeys((*first.names, *second.names)):
                numbers = [classes.id(name) if name in classes else None for classes in (first, second)]
                if numbers[0] != numbers[1]:
                    found.append(Difference(Kind.CLASS_NUMBER, label=name, first=numbers[0], second=numbers[1]))
        return found

    def pictures(self, one: Picture | None, two: Picture | None) -> list[Difference]:
        """What differs in a picture that at least one of the datasets has."""
        if one is None or two is None:
            name = one.name if one is not None else two.name if two is not None else ""
            return [Difference(Kind.ONLY_FIRST if two is None else Kind.ONLY_SECOND, name)]
        found = []
        if one.size != two.size and "sizes" not in self._ignore:
            found.append(Difference(Kind.SIZE, one.name, first=one.size, second=two.size))
        if one.split != two.split and "splits" not in self._ignore:
            found.append(Difference(Kind.SPLIT, one.name, first=one.split, second=two.split))
        if one.attributes or two.attributes:
            left_out = frozenset() if self._bookkeeping else BOOKKEEPING
            found += self._attributes(
                Kind.IMAGE_ATTRIBUTE, one.attributes, two.attributes, "image.", left_out, picture=one.name
            )
        return found + self._boxes(one, two)

    def _boxes(self, one: Picture, two: Picture) -> list[Difference]:
        before, after = one.boxes, two.boxes
        if before.labels == after.labels and before.edges == after.edges:
            pairs, removed, added = [(i, i) for i in range(len(before))], [], []
            edges: tuple[Edges, ...] = after.edges
        else:
            edges = in_frame_of(one, two)
            near = max(_NEAR, self._tolerance)
            matching = match_boxes(before.labels, before.edges, after.labels, edges, least_iou=self._iou, near=near)
            pairs, removed, added = matching.pairs, matching.removed, matching.added
        self._result.boxes += len(pairs)
        found = []
        for i, j in pairs:
            found += self._pair(one, i, two, j, edges[j])
        found += [Difference(Kind.REMOVED, one.name, before.labels[i], before.edges[i]) for i in removed]
        found += [Difference(Kind.ADDED, one.name, after.labels[j], after.edges[j]) for j in added]
        return found

    def _pair(self, one: Picture, i: int, two: Picture, j: int, edges: Edges) -> list[Difference]:
        """What differs in one box; ``edges`` are those of the second in the first's frame."""
        found = []
        old, new = one.boxes.edges[i], two.boxes.edges[j]
        label, other = one.boxes.labels[i], two.boxes.labels[j]
        moves = [after - before for before, after in zip(old, edges, strict=True)]
        distance = max(map(abs, moves))
        if one.size == two.size:
            self.offsets.add(moves)
        if distance > self._tolerance:
            self._result.farthest = max(self._result.farthest, distance)
            found.append(Difference(Kind.MOVED, one.name, label, old, first=old, second=new))
        elif distance:
            self._result.unlisted += 1
        if label != other:
            found.append(Difference(Kind.RELABELLED, one.name, label, old, first=label, second=other))
        if one.boxes.has_attributes or two.boxes.has_attributes:
            found += self._attributes(
                Kind.BOX_ATTRIBUTE,
                one.boxes.attributes[i],
                two.boxes.attributes[j],
                "box.",
                frozenset() if self._bookkeeping else BOX_BOOKKEEPING,
                picture=one.name,
                label=label,
                edges=old,
            )
        return found

    def _attributes(
        self,
        kind: Kind,
        first: Mapping[str, Any],
        second: Mapping[str, Any],
        prefix: str,
        left_out: frozenset[str] = frozenset(),
        **where: Any,
    ) -> list[Difference]:
        if "attributes" in self._ignore or first == second:
            return []
        return [
            Difference(kind, name=name, first=first.get(name), second=second.get(name), **where)
            for name in dict.fromkeys((*first, *second))
            if name not in left_out and prefix + name not in self._ignore and not _equal(first, second, name)
        ]


def _equal(first: Mapping[str, Any], second: Mapping[str, Any], name: str) -> bool:
    if name not in first or name not in second:
        return False
    one, two = first[name], second[name]
    return bool(one == two) or repr(one) == repr(two)  # NaN is what it was


def _check_options(tolerance: float, iou: float, ignore: Collection[str], by: str) -> None:
    if not 0 <= tolerance < float("inf"):
        raise UsageError(f"the tolerance is {tolerance!r}", "give pixels, 0 or more")
    if not 0 < iou <= 1:
        raise UsageError(f"the least IoU is {iou!r}", "give a number above 0, at most 1")
    if by not in ("name", "stem"):
        raise UsageError(f"pictures cannot be matched by {by!r}", "give name or stem")
    for what in ignore:
        if what not in _IGNORABLE and not what.startswith(_NAMED):
            raise UsageError(
                f"{what!r} is nothing that can be ignored",
                f"give one of: {', '.join(_IGNORABLE)}, box.NAME, image.NAME, dataset.NAME",
            )
