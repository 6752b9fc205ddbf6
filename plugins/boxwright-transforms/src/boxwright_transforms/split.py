"""The step ``split``: which picture belongs to which part of the dataset."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from boxwright import DataError, Sample, UsageError
from boxwright_transforms.stratify import Unit, share_out, shares_to_sizes


class Split:
    """The step ``split:train=0.8,test=0.2``.

    Which picture goes where depends on the pictures' names, their classes and the seed alone, not on their order. Part
    sizes are exact, by largest remainder. Every class is brought into every part where that can be had, and stands
    in each in proportion otherwise. The stream keeps its order.

    The stream is read twice: first names and labels are gathered, then samples are handed on.

    Args:
        parts: Share of each part by its name; the shares sum to 1.
        seed: Another seed gives another split.
        near_duplicates: Whether pictures that look alike are kept in one part, so that nothing is tested that was
            learnt. Part sizes are then as near as groups allow. Reads and decodes every picture.

    Raises:
        UsageError: No parts, a share that is no number or not above 0, shares that do not sum to 1, a name that cannot
            be part of a file name.
    """

    per_sample = False
    keeps_labels = True

    def __init__(
        self, parts: Mapping[str, object] | str | None = None, seed: int = 0, near_duplicates: bool = False
    ) -> None:
        self.shares = _parse(parts)
        self.seed = seed
        self.near_duplicates = near_duplicates
        self._hashes: dict[tuple[object, ...], int] = {}
        self._notes: list[str] = []

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields each sample with its ``split`` set.

        Raises:
            UsageError: There are too few pictures for all parts.
            DataError: The dataset changed between the two readings; or, for near-duplicates, a picture cannot be read.
        """
        names: list[str] = []
        labels: list[frozenset[str]] = []
        hashes: list[int] = []
        before = 0
        # Equal sets of labels are kept once: most datasets have few combinations.
        known: dict[frozenset[str], frozenset[str]] = {}
        for sample in samples:
            names.append(sample.image.name)
            found = frozenset(sample.boxes.labels)
            labels.append(known.setdefault(found, found))
            before += sample.split is not None
            if self.near_duplicates:
                hashes.append(self._hash(sample))
        if not names:
            self._notes = []
            return
        groups = _groups(hashes) if self.near_duplicates else [[position] for position in range(len(names))]
        part_of = self._assign(names, labels, groups)
        self._notes = self._describe(labels, part_of, groups, before)
        parts = list(self.shares)
        position = -1
        for position, sample in enumerate(samples):
            if position >= len(names) or sample.image.name != names[position]:
                raise _changed(sample.source or sample.image.name)
            yield sample.replace(split=parts[part_of[position]])
        if position + 1 != len(names):
            raise _changed(names[position + 1])

    def notes(self) -> list[str]:
        """The parts with their pictures and classes, and what could not be had."""
        return list(self._notes)

    def _assign(
        self, names: Sequence[str], labels: Sequence[frozenset[str]], groups: Sequence[Sequence[int]]
    ) -> list[int]:
        sizes = shares_to_sizes(len(names), list(self.shares.values()))
        self._refuse_empty(sizes, len(names), "")
        by_name = sorted(groups, key=lambda group: min((names[i], i) for i in group))
        units = [Unit(len(group), frozenset().union(*(labels[i] for i in group))) for group in by_name]
        chosen = share_out(units, sizes, self.seed)
        part_of = [0] * len(names)
        for group, part in zip(by_name, chosen, strict=True):
            for position in group:
                part_of[position] = part
        filled = Counter(part_of)
        self._refuse_empty([filled[part] for part in range(len(sizes))], len(names), ", as too many look alike")
        return part_of

    def _refuse_empty(self, sizes: Sequence[int], count: int, why: str) -> None:
        for (name, share), size in zip(self.shares.items(), sizes, strict=True):
            if not size:
                raise UsageError(
                    f"split: of {count} {'picture' if count == 1 else 'pictures'}, the part {name!r} ({share:g})"
                    f" would get none{why}",
                    "leave near_duplicates out, or look for copies"
                    if why
                    else "give it a larger share, or add pictures",
                )

    def _describe(
        self, labels: Sequence[frozenset[str]], part_of: Sequence[int], groups: Sequence[Sequence[int]], before: int
    ) -> list[str]:
        everywhere = Counter(label for found in labels for label in found)
        said = []
        missing = []
        for part, name in enumerate(self.shares):
            inside = [found for found, where in zip(labels, part_of, strict=True) if where == part]
            counts = Counter(label for found in inside for label in found)
            listed = ", ".join(f"{label} in {counts[label]}" for label in sorted(everywhere))
            said.append(f"{name}: {_pictures(len(inside))}" + (f" ({listed})" if listed else ""))
            missing += [
                f"no picture of {name} has the class {label!r}: {_pictures(count)} in all"
                for label, count in sorted(everywhere.items())
                if not counts[label]
            ]
        said += missing
        alike = [group for group in groups if len(group) > 1]
        if self.near_duplicates:
            count = sum(map(len, alike))
            said.append(
                f"{_pictures(count)} in {len(alike)} groups look alike; each group was kept in one part"
                if alike
                else "no two pictures look alike"
            )
        if before:
            said.append(f"{_pictures(before)} belonged to a split before, which was replaced")
        return said

    def _hash(self, sample: Sample) -> int:
        from boxwright_transforms.duplicates import difference_hash

        image = sample.image
        key = (image.name, image.location, image.width, image.height, len(image.data or b""))
        if key not in self._hashes:
            self._hashes[key] = difference_hash(sample)
        return self._hashes[key]


def _groups(hashes: Sequence[int]) -> list[list[int]]:
    from boxwright_transforms.duplicates import near_groups

    return near_groups(hashes)


def _pictures(count: int) -> str:
    return f"{count} picture" if count == 1 else f"{count} pictures"


def _changed(place: str) -> DataError:
    return DataError(place, "the dataset changed while it was read", "try again when nothing else writes there")


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
