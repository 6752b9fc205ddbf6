"""What a conversion drops, changes or adds, counted against what the target format says it carries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from boxwright.plugins.specs import FormatSpec, carried
from boxwright.schemas import Sample

BOOKKEEPING = frozenset({"folder", "path", "source_id"})
"""Attributes of an image that record where an annotation tool found it, or its id in a file. They have no meaning
elsewhere: dropping them is counted and shown, and allowed by ``strict``."""

BOX_BOOKKEEPING = frozenset({"id"})
"""The same for a box."""

SUBPIXEL = "sub-pixel coordinates"
"""What a report of losses calls coordinates that a format rounds to whole pixels."""


SHAPE = "shape "
"""What the names of losses of whole shapes begin with: ``shape polygon``."""


@dataclass
class Losses:
    """How often each thing was dropped, changed or added: ``{"difficult": 12, "image source": 40}``.

    A name alone is an attribute of boxes, ``image NAME`` one of images, ``dataset NAME`` one of the dataset. ``shape
    NAME`` is a shape that was left out when the source was read.

    Attributes:
        dropped: What the format cannot store.
        changed: What it stores in another form: ``sub-pixel coordinates`` were rounded.
        added: What every dataset of the format has and the source did not.
        bookkeeping: What was dropped and has no meaning elsewhere.
    """

    dropped: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    added: Counter[str] = field(default_factory=Counter)
    bookkeeping: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        """Whether anything was dropped or changed that means something."""
        return bool(self.dropped or self.changed)

    def describe(self) -> str:
        """``difficult: 12 boxes, sub-pixel coordinates: 40 boxes``; empty if nothing was lost."""
        lost = sorted((self.dropped + self.changed).items())
        return ", ".join(f"{what}: {count:,} {unit(what, count)}" for what, count in lost)

    def add(self, other: Losses) -> None:
        """Adds what was counted elsewhere, in another process."""
        self.dropped.update(other.dropped)
        self.changed.update(other.changed)
        self.added.update(other.added)
        self.bookkeeping.update(other.bookkeeping)

    def add_left_out(self, shapes: Mapping[tuple[str, str], int]) -> None:
        """Adds the shapes that a reader left out, from the totals of its :class:`ShapeRule`."""
        for (done, kind), count in shapes.items():
            if done == "left out":
                self.dropped[f"{SHAPE}{kind}"] += count

    def rows(self) -> list[tuple[str, str, int, str]]:
        """``(what happened, to what, how often, counted in)``, for a table."""
        happened = {"dropped": self.dropped, "changed": self.changed, "added": self.added}
        happened["left behind"] = self.bookkeeping
        return [
            (how, what, count, unit(what, count))
            for how, counter in happened.items()
            for what, count in sorted(counter.items())
        ]


_IMAGES = frozenset({"embedded images", "images without boxes", "split"})


def unit(what: str, count: int) -> str:
    """``boxes`` or ``pictures``: what a loss is counted in."""
    if what.startswith("dataset "):
        return "dataset" if count == 1 else "datasets"
    if what.startswith(SHAPE):
        return "shape" if count == 1 else "shapes"
    if what in _IMAGES or what.startswith("image "):
        return "image" if count == 1 else "images"
    return "box" if count == 1 else "boxes"


class LossCounter:
    """Counts, sample by sample, what a format does not carry.

    Args:
        spec: The target format; its ``carries`` lists what a written dataset contains.
        split_in_name: Whether each split has a separate target, whose name records it.
        dataset_attributes: What the source says of the dataset as a whole.
    """

    def __init__(
        self, spec: FormatSpec, *, split_in_name: bool = False, dataset_attributes: Mapping[str, Any] | None = None
    ) -> None:
        self._losses = Losses()
        self._box_names: Counter[str] = Counter()
        self._image_names: Counter[str] = Counter()
        carries = spec.carries
        self._images = "images" in carries
        self._empty = "empty" in carries
        self._subpixel = "subpixel" in carries
        self._split = "split" in carries or split_in_name
        self._box = carried("box.", carries)
        self._image = carried("image.", carries)
        self._every_box = "box.*" in carries and not self._box
        self._every_image = "image.*" in carries and not self._image
        self._added_to_boxes = _named("box.", spec.adds)
        self._added_to_images = _named("image.", spec.adds)
        held = carried("dataset.", carries)
        for name in dataset_attributes or ():
            if name not in held:
                self._losses.dropped[f"dataset {name}"] = 1

    def take(self) -> Losses:
        """The counts so far; from here on it counts from zero."""
        taken, self._losses = self._losses, Losses()
        for names, held, bookkeeping, prefix in (
            (self._box_names, self._box, BOX_BOOKKEEPING, ""),
            (self._image_names, self._image, BOOKKEEPING, "image "),
        ):
            for name, count in names.items():
                if name not in held:
                    (taken.bookkeeping if name in bookkeeping else taken.dropped)[f"{prefix}{name}"] += count
            names.clear()
        return taken

    def count(self, sample: Sample) -> None:
        """Adds what one sample would lose."""
        dropped = self._losses.dropped
        boxes = sample.boxes
        if sample.split is not None and not self._split:
            dropped["split"] += 1
        if sample.image.data is not None and not self._images:
            dropped["embedded images"] += 1
        if not boxes.labels:
            if not self._empty:
                dropped["images without boxes"] += 1
        elif not self._subpixel:
            for xmin, ymin, xmax, ymax in boxes.coordinates:
                if xmin % 1 or ymin % 1 or xmax % 1 or ymax % 1:
                    self._losses.changed[SUBPIXEL] += 1
        if boxes.has_attributes and not self._every_box:
            self._box_names.update(chain.from_iterable(boxes.attributes))
        if sample.attributes and not self._every_image:
            self._image_names.update([*sample.attributes])
        if self._added_to_images or self._added_to_boxes:
            self._count_added(sample)

    def _count_added(self, sample: Sample) -> None:
        added = self._losses.added
        for name in self._added_to_images:
            if name not in sample.attributes:
                added[f"image {name}"] += 1
        for name in self._added_to_boxes:
            boxes = sample.boxes
            without = len(boxes)
            if boxes.has_attributes:
                without -= sum([name in attributes for attributes in boxes.attributes if attributes])
            if without:
                added[name] += without


def _named(prefix: str, names: frozenset[str]) -> frozenset[str]:
    return frozenset(name.removeprefix(prefix) for name in names if name.startswith(prefix))
