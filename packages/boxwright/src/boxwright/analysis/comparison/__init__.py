"""Comparison: the differences between two datasets, image by image and box by box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from boxwright.analysis.comparison.offsets import Offset, Offsets
from boxwright.analysis.comparison.pairing import ComparedImage, paired, scaled_coordinates
from boxwright.datasets.dataset import Data, Dataset, open_dataset
from boxwright.datasets.losses import BOOKKEEPING, BOX_BOOKKEEPING
from boxwright.errors import DataError, UsageError
from boxwright.matching import match_boxes
from boxwright.plugins.registry import Registry
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Coordinates

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
        image: The image's name in the first dataset, or in the second if only that contains it; empty if the datasets
            differ as a whole.
        label: The box's label in the first dataset, or in the second if only that contains it; the class whose id
            differs.
        coordinates: The box in the first dataset, or in the second if only that contains it, in pixels of its dataset.
        name: The attribute that differs.
        first: The value in the first dataset; ``None`` if it has none. Coordinates for a box that moved.
        second: The value in the second.
    """

    kind: Kind
    image: str = ""
    label: str = ""
    coordinates: Coordinates | None = None
    name: str = ""
    first: Any = None
    second: Any = None

    @property
    def attribute(self) -> str:
        """The attribute that differs, as ``box.NAME``; empty for other differences."""
        owner, _, noun = self.kind.value.rpartition("_")
        return f"{owner}.{self.name}" if noun == "attribute" else ""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON, without empty ones."""
        fields = {
            "kind": self.kind.value,
            "picture": self.image,
            "label": self.label,
            "edges": self.coordinates,
            "name": self.name,
        }
        values = {name: value for name, value in fields.items() if value}
        if self.first is not None or self.second is not None:
            values |= {"first": self.first, "second": self.second}
        return values


@dataclass
class Comparison:
    """The differences between two datasets.

    Attributes:
        first: The URI of the first dataset.
        second: The URI of the second.
        both: The number of images in both.
        alike: The number of those without differences.
        boxes: The number of boxes in both, including moved and relabelled ones.
        counts: The number of differences of each kind.
        attributes: The number of differences of each attribute: ``box.NAME``, ``image.NAME``, ``dataset.NAME``.
        differences: The differences, image by image, of at most ``keep`` images.
        farthest: The largest change of a coordinate, in pixels.
        unlisted: The number of boxes that moved by no more than the tolerance.
        offset: The offset by which nearly all boxes differ, if there is one.
        skipped: Items of either dataset skipped under ``on_error="skip"``.
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
        """Whether there are no differences."""
        return not self.counts

    def add(self, found: list[Difference], *, keep: bool = True) -> None:
        """Counts differences, and keeps them if ``keep`` is true."""
        self.counts.update(difference.kind for difference in found)
        self.attributes.update(difference.attribute for difference in found if difference.attribute)
        if keep:
            self.differences += found

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
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


Observer = Callable[[ComparedImage | None, ComparedImage | None, list[Difference]], None]
"""Receives an image as it is in the first and in the second dataset, and its differences."""


def compare(
    first: Data,
    second: Data,
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

    Both are read once, in parallel. Images in the same order need no memory; an image in another position is kept in
    memory, without its bytes, until the other dataset yields it. The order of images and of boxes is not a difference,
    and pixels are not compared. If the datasets record different sizes of an image, its boxes are compared relative to
    the size, unless their coordinates are equal.

    Args:
        first: A dataset.
        second: Another dataset.
        tolerance: The largest difference of coordinates to ignore, in pixels; formats that round stay below the
            default.
        iou: Two boxes are the same if their IoU is at least this, or if no coordinate differs by more than 2 pixels
            or the tolerance.
        ignore: The differences to ignore: ``"attributes"``, ``"splits"``, ``"sizes"``, ``"class-numbers"``, or one
            attribute: ``"box.NAME"``, ``"image.NAME"``, ``"dataset.NAME"``.
        by: How to recognize the same image: by ``"name"``, or by ``"stem"``, the name without folders and suffix.
        bookkeeping: Whether to compare the attributes that only have a meaning within their dataset
            (:data:`boxwright.datasets.BOOKKEEPING`).
        keep: The number of images whose differences are kept; all are counted.
        on_error: ``"fail"``, or ``"skip"`` items that cannot be read.
        observe: Receives every image with differences.
        reporter: Receives the progress.
        registry: The plugins to use instead of the installed ones.

    Raises:
        UsageError: A URI or option is invalid.
        DataError: An item cannot be read (under ``"fail"``), a location does not exist, or two images have the same
            stem.
        PluginError: A format's plugin is not installed, clashes with another, or misses a library.
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
            found = comparer.images(before, after)
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
    """Finds the differences of two datasets, one image at a time."""

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
        """Returns the differences between the datasets as a whole."""
        found = self._attributes(Kind.DATASET_ATTRIBUTE, one.info.attributes, two.info.attributes, "dataset.")
        first, second = one.known_label_map, two.known_label_map
        if first is not None and second is not None and "class-numbers" not in self._ignore:
            for name in dict.fromkeys((*first.names, *second.names)):
                numbers = [classes.id(name) if name in classes else None for classes in (first, second)]
                if numbers[0] != numbers[1]:
                    found.append(Difference(Kind.CLASS_NUMBER, label=name, first=numbers[0], second=numbers[1]))
        return found

    def images(self, one: ComparedImage | None, two: ComparedImage | None) -> list[Difference]:
        """Returns the differences in an image that at least one of the datasets contains."""
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
                Kind.IMAGE_ATTRIBUTE, one.attributes, two.attributes, "image.", left_out, image=one.name
            )
        return found + self._boxes(one, two)

    def _boxes(self, one: ComparedImage, two: ComparedImage) -> list[Difference]:
        before, after = one.boxes, two.boxes
        if before.labels == after.labels and before.coordinates == after.coordinates:
            pairs, removed, added = [(i, i) for i in range(len(before))], [], []
            moved: tuple[Coordinates, ...] = after.coordinates
        else:
            moved = scaled_coordinates(one, two)
            near = max(_NEAR, self._tolerance)
            matching = match_boxes(
                before.labels, before.coordinates, after.labels, moved, least_iou=self._iou, near=near
            )
            pairs, removed, added = matching.pairs, matching.removed, matching.added
        self._result.boxes += len(pairs)
        found = []
        for i, j in pairs:
            found += self._pair(one, i, two, j, moved[j])
        found += [Difference(Kind.REMOVED, one.name, before.labels[i], before.coordinates[i]) for i in removed]
        found += [Difference(Kind.ADDED, one.name, after.labels[j], after.coordinates[j]) for j in added]
        return found

    def _pair(self, one: ComparedImage, i: int, two: ComparedImage, j: int, moved: Coordinates) -> list[Difference]:
        """Returns the differences in one box; ``moved`` are the second's coordinates, at the first's image size."""
        found = []
        old, new = one.boxes.coordinates[i], two.boxes.coordinates[j]
        label, other = one.boxes.labels[i], two.boxes.labels[j]
        moves = [after - before for before, after in zip(old, moved, strict=True)]
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
                image=one.name,
                label=label,
                coordinates=old,
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
    return bool(one == two) or repr(one) == repr(two)  # NaN equals NaN here


def _check_options(tolerance: float, iou: float, ignore: Collection[str], by: str) -> None:
    if not 0 <= tolerance < float("inf"):
        raise UsageError(f"the tolerance is {tolerance!r}", "pass a number of pixels, 0 or more")
    if not 0 < iou <= 1:
        raise UsageError(f"the least IoU is {iou!r}", "pass a number above 0, at most 1")
    if by not in ("name", "stem"):
        raise UsageError(f"images cannot be matched by {by!r}", "use name or stem")
    for name in ignore:
        if name not in _IGNORABLE and not name.startswith(_NAMED):
            raise UsageError(
                f"{name!r} cannot be ignored",
                f"use one of: {', '.join(_IGNORABLE)}, box.NAME, image.NAME, dataset.NAME",
            )
