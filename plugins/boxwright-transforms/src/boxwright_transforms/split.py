"""The step ``split``: which picture belongs to which part of the dataset."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from boxwright import DataError, Sample, UsageError
from boxwright.datasets import OnProblem
from boxwright_transforms.groups import IMAGE
from boxwright_transforms.notes import amount
from boxwright_transforms.readings import Gathered, Gatherer, again, raised
from boxwright_transforms.stratify import shares_to_sizes

_DIGITS = re.compile(r"(\d+)")


class Split:
    r"""The step ``split:train=0.8,test=0.2``.

    Which picture goes where depends on the pictures' names, their classes and the seed alone, not on their order. Part
    sizes are exact, by largest remainder. Every class is brought into every part where that can be had, and stands
    in each in proportion otherwise. The stream keeps its order.

    The stream is read twice: first names and labels are gathered, then samples are handed on.

    Args:
        parts: Share of each part by its name; the shares sum to 1.
        seed: Another seed gives another split.
        near_duplicates: Whether pictures that look alike are kept in one part, so that nothing is tested that was
            learnt. Part sizes are then as near as groups allow. Reads and decodes every picture.
        group: What pictures must have in common to be kept in one part: ``"folder"``, ``"image.NAME"`` for an
            attribute, or a regular expression that is looked for in their names, ``^(cam\d+)_``. Part sizes are then as
            near as groups allow.
        order: ``"name"`` or ``"image.NAME"`` for parts that follow each other in the order of names or of an attribute,
            such as a time: the first part has the first pictures. Classes and seed play no role then.

    Raises:
        UsageError: No parts, a share that is no number or not above 0, shares that do not sum to 1, a name that cannot
            be part of a file name, a ``group`` that is no regular expression, an unknown ``order``.
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
        self._gatherer = Gatherer("split", group, near_duplicates)
        self.shares = _parse(parts)
        self.seed = seed
        if order not in ("", "name") and not (order.startswith(IMAGE) and order != IMAGE):
            raise UsageError(f"split: order={order!r}", "give name, or image.NAME for an attribute such as image.date")
        self.order = order
        self._notes: list[str] = []

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields each sample with its ``split`` set; see :meth:`apply`."""
        return self.apply(samples, raised)

    def apply(self, samples: Iterable[Sample], on_problem: OnProblem) -> Iterator[Sample]:
        """Yields each sample with its ``split`` set.

        Args:
            samples: The samples.
            on_problem: Gets the error of a picture that has not the attribute which tells its order, or, for
                near-duplicates, that cannot be read.

        Raises:
            UsageError: There are too few pictures for all parts; or none has what tells its group.
            DataError: The dataset changed between the two readings.
        """
        places: list[str] = []
        found = self._gatherer.gather(samples, on_problem, lambda sample: places.append(self._place(sample)))
        self._notes = []
        if not found.names:
            return
        part_of = self._assign(found, places)
        names = list(self.shares)
        sizes = shares_to_sizes(len(found.names), list(self.shares.values()))
        self._notes = [*describe_parts(names, found.labels, part_of), *missing_sizes(names, sizes, part_of)]
        self._notes += found.notes
        if found.before:
            self._notes.append(f"{amount(found.before, 'picture')} belonged to a split before, which was replaced")
        for position, sample in again(samples, found.names, found.left_out):
            yield sample.replace(split=names[part_of[position]])

    def notes(self) -> list[str]:
        """The parts with their pictures and classes, and what could not be had."""
        return list(self._notes)

    def _place(self, sample: Sample) -> str:
        """What tells a picture's place where the parts follow each other."""
        if self.order in ("", "name"):
            return sample.image.name
        value = sample.attributes.get(self.order.removeprefix(IMAGE))
        if value is None:
            raise DataError(
                sample.source or sample.image.name,
                f"the picture has no attribute {self.order.removeprefix(IMAGE)!r}, by which the parts are ordered",
                "give it one, leave it out with --with filter, or split by another order",
            )
        return str(value)

    def _assign(self, found: Gathered, places: Sequence[str]) -> list[int]:
        sizes = shares_to_sizes(len(found.names), list(self.shares.values()))
        self._refuse_empty(sizes, len(found.names), "", "give it a larger share, or add pictures")
        part_of = _one_after_the_other(found, places, sizes) if self.order else found.share_out(sizes, self.seed)
        filled = Counter(part_of)
        why, remedy = "look alike", "leave near_duplicates out, or look for copies"
        if self._gatherer.group:
            why, remedy = f"belong together by {self._gatherer.group}", "choose smaller groups, or fewer parts"
        self._refuse_empty(
            [filled[part] for part in range(len(sizes))], len(found.names), f", as too many {why}", remedy
        )
        return part_of

    def _refuse_empty(self, sizes: Sequence[int], count: int, why: str, remedy: str) -> None:
        for (name, share), size in zip(self.shares.items(), sizes, strict=True):
            if not size:
                raise UsageError(
                    f"split: of {amount(count, 'picture')}, the part {name!r} ({share:g}) would get none{why}", remedy
                )


def describe_parts(names: Sequence[str], labels: Sequence[frozenset[str]], part_of: Sequence[int]) -> list[str]:
    """The parts with their pictures and classes, and which class is missing where."""
    everywhere = Counter(label for found in labels for label in found)
    said = []
    missing = []
    for part, name in enumerate(names):
        inside = [found for found, where in zip(labels, part_of, strict=True) if where == part]
        counts = Counter(label for found in inside for label in found)
        listed = ", ".join(f"{label} in {counts[label]}" for label in sorted(everywhere))
        said.append(f"{name}: {amount(len(inside), 'picture')}" + (f" ({listed})" if listed else ""))
        missing += [
            f"no picture of {name} has the class {label!r}: {amount(count, 'picture')} in all"
            for label, count in sorted(everywhere.items())
            if not counts[label]
        ]
    return said + missing


def missing_sizes(names: Sequence[str], sizes: Sequence[int], part_of: Sequence[int]) -> list[str]:
    """Says where groups kept parts from their sizes."""
    filled = Counter(part_of)
    if [filled[part] for part in range(len(sizes))] == list(sizes):
        return []
    wanted = ", ".join(f"{name} {size:,}" for name, size in zip(names, sizes, strict=True))
    return [f"whole groups allow no nearer to {wanted}"]


def _one_after_the_other(found: Gathered, places: Sequence[str], sizes: Sequence[int]) -> list[int]:
    """Parts in the order of the places; a group stands where its first picture does, in the part of its middle."""
    numbers = _as_numbers(places)
    keys = numbers if numbers is not None else [_natural(place) for place in places]
    groups = sorted(found.groups, key=lambda group: min((keys[i], found.names[i]) for i in group))
    ends = [sum(sizes[: part + 1]) for part in range(len(sizes))]
    chosen, before = [], 0
    for group in groups:
        middle = before + len(group) / 2
        chosen.append(next(part for part, end in enumerate(ends) if middle <= end))
        before += len(group)
    return found.spread(groups, chosen)


def _as_numbers(places: Sequence[str]) -> list[tuple[object, ...]] | None:
    try:
        numbers = [float(place) for place in places]
    except ValueError:
        return None
    return [(number,) for number in numbers] if all(map(math.isfinite, numbers)) else None


def _natural(place: str) -> tuple[object, ...]:
    """A key that puts ``frame_2`` before ``frame_10``: text and numbers in turn."""
    return tuple(int(part) if i % 2 else part for i, part in enumerate(_DIGITS.split(place)))


def _parse(parts: Mapping[str, object] | str | None) -> dict[str, float]:
    example = "write the parts with shares that sum to 1: split:train=0.8,test=0.2"
    if not isinstance(parts, Mapping) or not parts:
        raise UsageError("split: no parts are given" if not parts else f"split: {parts!r} names no part", example)
    shares: dict[str, float] = {}
    for name, given in parts.items():
        if not name or name.startswith(".") or any(mark in name for mark in '/\\\0:*?"<>|'):
            raise UsageError(f"split: the name {name!r} cannot be part of a file name", "give plain names")
        try:
            share = float(str(given))
        except ValueError:
            raise UsageError(f"split: {name}={given} is not a number", example) from None
        if not (math.isfinite(share) and share > 0):
            raise UsageError(f"split: {name}={given} is not a share above 0", example)
        shares[name] = share
    total = math.fsum(shares.values())
    if abs(total - 1) > 1e-6:
        raise UsageError(f"split: the shares sum to {total:g}", example)
    return shares
