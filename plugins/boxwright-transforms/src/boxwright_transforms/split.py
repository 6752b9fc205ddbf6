"""The step ``split``: the split of each image."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from boxwright import DataError, Sample, UsageError
from boxwright.datasets import OnProblem, Problems
from boxwright_transforms.groups import IMAGE, GroupedImages, Grouper
from boxwright_transforms.notes import amount
from boxwright_transforms.stratification import fractions_to_sizes

_DIGITS = re.compile(r"(\d+)")


class Split:
    r"""The step ``split:train=0.8,test=0.2``.

    The split of an image depends on the names of the images, their classes and the seed alone, not on their order. The
    sizes are exact, by the largest remainder method. Every class occurs in every split if possible, and is distributed
    in proportion otherwise. The images keep their order.

    The dataset is read twice: first names and labels, then the samples.

    Args:
        parts: Fraction of each split by its name; the fractions add up to 1.
        seed: Another seed produces another split.
        near_duplicates: Whether to keep images that look alike in one split, so that no test image resembles a training
            image. The sizes are then as close as the groups allow. Reads and decodes every image.
        group: What images in one split have in common: ``"folder"``, ``"image.NAME"`` for an attribute, or a regular
            expression that is searched for in their names, ``^(cam\d+)_``. The sizes are then as close as the groups
            allow.
        order: ``"name"`` or ``"image.NAME"`` for splits in the order of the names or of an attribute, for example a
            time: the first split gets the first images. Classes and seed are not used then.

    Raises:
        UsageError: There are no splits, a fraction is not a number above 0, the fractions do not add up to 1, a name
            cannot be part of a file name, ``group`` is not a regular expression, or ``order`` is unknown.
    """

    per_sample = False
    keeps_labels = True

    def __init__(
        self,
        parts: Mapping[str, object] | str | None = None,
        seed: int = 0,
        near_duplicates: bool = False,
        group: str = "",
        order: str = "",
    ) -> None:
        self._grouper = Grouper("split", group, near_duplicates)
        self.fractions = _parse(parts)
        self.seed = seed
        if order not in ("", "name") and not (order.startswith(IMAGE) and order != IMAGE):
            raise UsageError(f"split: order={order!r}", "use name, or image.NAME for an attribute such as image.date")
        self.order = order
        self._notes: list[str] = []

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields each sample with its ``split`` set; see :meth:`apply`."""
        return self.apply(samples, Problems())

    def apply(self, samples: Iterable[Sample], on_problem: OnProblem) -> Iterator[Sample]:
        """Yields each sample with its ``split`` set.

        Args:
            samples: The samples.
            on_problem: Called with the error of an image without the attribute that defines its order, or, for
                near-duplicates, of an image that cannot be read.

        Raises:
            UsageError: There are too few images for all splits, or no image is in a group.
            DataError: The dataset changed between the two passes.
        """
        keys: list[str] = []
        images = self._grouper.first_pass(samples, on_problem, lambda sample: keys.append(self._order_key(sample)))
        self._notes = []
        if not images.names:
            return
        sizes = fractions_to_sizes(len(images.names), list(self.fractions.values()))
        split_of = self._distribute(images, keys, sizes)
        names = list(self.fractions)
        self._notes = [*describe_splits(names, images.labels, split_of), *describe_sizes(names, sizes, split_of)]
        self._notes += images.notes
        yield from images.second_pass(samples, names, split_of)

    def notes(self) -> list[str]:
        """Returns the splits with their images and classes, and what was not possible."""
        return list(self._notes)

    def _order_key(self, sample: Sample) -> str:
        """Returns the text by which an image is ordered."""
        if self.order in ("", "name"):
            return sample.image.name
        attribute = self.order.removeprefix(IMAGE)
        value = sample.attributes.get(attribute)
        if value is None:
            raise DataError(
                sample.source or sample.image.name,
                f"the image has no attribute {attribute!r}, which defines the order of the splits",
                "add it, remove the image with --with filter, or split in another order",
            )
        return str(value)

    def _distribute(self, images: GroupedImages, keys: Sequence[str], sizes: Sequence[int]) -> list[int]:
        self._check_not_empty(sizes, len(images.names), "", "use a larger fraction, or add images")
        split_of = _consecutive(images, keys, sizes) if self.order else images.distribute(sizes, self.seed)
        filled = Counter(split_of)
        cause, remedy = "look alike", "remove near_duplicates, or look for duplicates"
        if self._grouper.group:
            cause, remedy = f"belong together by {self._grouper.group}", "use smaller groups, or fewer splits"
        counts = [filled[split] for split in range(len(sizes))]
        self._check_not_empty(counts, len(images.names), f", because too many {cause}", remedy)
        return split_of

    def _check_not_empty(self, sizes: Sequence[int], count: int, cause: str, remedy: str) -> None:
        for (name, fraction), size in zip(self.fractions.items(), sizes, strict=True):
            if not size:
                raise UsageError(
                    f"split: of {amount(count, 'image')}, the split {name!r} ({fraction:g}) would get none{cause}",
                    remedy,
                )


def describe_splits(names: Sequence[str], labels: Sequence[frozenset[str]], split_of: Sequence[int]) -> list[str]:
    """Returns a note for each split with its images and classes, and for each class that is missing in one."""
    total = Counter(label for found in labels for label in found)
    notes = []
    missing = []
    for split, name in enumerate(names):
        inside = [found for found, where in zip(labels, split_of, strict=True) if where == split]
        counts = Counter(label for found in inside for label in found)
        listed = ", ".join(f"{label} in {counts[label]}" for label in sorted(total))
        notes.append(f"{name}: {amount(len(inside), 'image')}" + (f" ({listed})" if listed else ""))
        missing += [
            f"no image of {name} has the class {label!r}: {amount(count, 'image')} in all"
            for label, count in sorted(total.items())
            if not counts[label]
        ]
    return notes + missing


def describe_sizes(names: Sequence[str], sizes: Sequence[int], split_of: Sequence[int]) -> list[str]:
    """Returns a note if groups prevented the requested sizes."""
    filled = Counter(split_of)
    if [filled[split] for split in range(len(sizes))] == list(sizes):
        return []
    requested = ", ".join(f"{name} {size:,}" for name, size in zip(names, sizes, strict=True))
    return [f"groups allow no sizes closer to {requested}"]


def _consecutive(images: GroupedImages, keys: Sequence[str], sizes: Sequence[int]) -> list[int]:
    """Returns splits in the order of the keys; a group is at its first image, in the split of its middle."""
    numbers = _as_numbers(keys)
    sortable = numbers if numbers is not None else [_natural(key) for key in keys]
    groups = sorted(images.groups, key=lambda group: min((sortable[i], images.names[i]) for i in group))
    ends = [sum(sizes[: split + 1]) for split in range(len(sizes))]
    chosen, before = [], 0
    for group in groups:
        middle = before + len(group) / 2
        chosen.append(next(split for split, end in enumerate(ends) if middle <= end))
        before += len(group)
    return images.splits_of_images(groups, chosen)


def _as_numbers(keys: Sequence[str]) -> list[tuple[object, ...]] | None:
    try:
        numbers = [float(key) for key in keys]
    except ValueError:
        return None
    return [(number,) for number in numbers] if all(map(math.isfinite, numbers)) else None


def _natural(key: str) -> tuple[object, ...]:
    """Returns a sort key with ``frame_2`` before ``frame_10``: text and numbers in turn."""
    return tuple(int(part) if i % 2 else part for i, part in enumerate(_DIGITS.split(key)))


def _parse(parts: Mapping[str, object] | str | None) -> dict[str, float]:
    example = "write the splits with fractions that add up to 1: split:train=0.8,test=0.2"
    if not isinstance(parts, Mapping) or not parts:
        raise UsageError(
            "split: there are no splits" if not parts else f"split: {parts!r} is not NAME=FRACTION", example
        )
    fractions: dict[str, float] = {}
    for name, value in parts.items():
        if not name or name.startswith(".") or any(mark in name for mark in '/\\\0:*?"<>|'):
            raise UsageError(f"split: the name {name!r} cannot be part of a file name", "use letters and digits")
        try:
            fraction = float(str(value))
        except ValueError:
            raise UsageError(f"split: {name}={value} is not a number", example) from None
        if not (math.isfinite(fraction) and fraction > 0):
            raise UsageError(f"split: {name}={value} is not a fraction above 0", example)
        fractions[name] = fraction
    total = math.fsum(fractions.values())
    if abs(total - 1) > 1e-6:
        raise UsageError(f"split: the fractions add up to {total:g}", example)
    return fractions
