"""Stratification: the distribution of units with labels over splits of given sizes, each label in proportion.

The algorithm is iterative stratification (Sechidis, Tsoumakas, Vlahavas: "On the Stratification of Multi-Label Data",
ECML PKDD 2011): the rarest label first, each of its units to the split that needs most of it. On its own it leaves a
label of two units in the largest split alone. So a first phase puts every label into every split, and a last phase
swaps units to add labels that are still missing.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Final

_MAX_SWAPS: Final = 20_000
"""Number of swaps that are tried for one label and split: all in small datasets, a random selection in large ones."""


@dataclass(frozen=True)
class Unit:
    """Images that must stay together: one or several.

    Args:
        size: Number of images.
        labels: All their labels.
    """

    size: int
    labels: frozenset[str]


def fractions_to_sizes(count: int, fractions: Sequence[float]) -> list[int]:
    """Returns the whole numbers with the sum ``count`` that are closest to the fractions, by largest remainder.

    Of equal remainders, the first gets the image. Remainders are rounded to nine digits, so that 0.7 of 10, which is
    7.000000000000001 or 6.999999999999999 in floating point, is 7.
    """
    exact = [round(count * fraction, 9) for fraction in fractions]
    sizes = [math.floor(value) for value in exact]
    order = sorted(range(len(fractions)), key=lambda split: (-(round(exact[split] - sizes[split], 9)), split))
    for split in order[: count - sum(sizes)]:
        sizes[split] += 1
    return sizes


def stratify(units: Sequence[Unit], sizes: Sequence[int], seed: int = 0) -> list[int]:
    """Returns the split of every unit.

    If all units have size 1, the splits get exactly their sizes. Otherwise the sizes are close, and no split of a size
    above 0 is empty if there are enough units. The result depends on the order of the units and on the seed.

    Args:
        units: The units to distribute, in a reproducible order.
        sizes: Number of images in each split; their sum is that of the sizes of the units.
        seed: Seed of the choice between equals.

    Returns:
        One index into ``sizes`` per unit.
    """
    stratification = _Stratification(list(units), list(sizes), random.Random(seed))
    stratification.cover()
    stratification.distribute()
    stratification.swap_missing()
    stratification.fill()
    return stratification.split_of


@dataclass
class _Stratification:
    units: list[Unit]
    sizes: list[int]
    rng: random.Random
    split_of: list[int] = field(default_factory=list)
    room: list[int] = field(default_factory=list)
    labels_in: list[Counter[str]] = field(default_factory=list)
    with_label: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.split_of = [-1] * len(self.units)
        self.room = list(self.sizes)
        self.labels_in = [Counter() for _ in self.sizes]
        order = list(range(len(self.units)))
        self.rng.shuffle(order)
        order.sort(key=lambda unit: -self.units[unit].size)  # large units first, while there is room
        for unit in order:
            for label in sorted(self.units[unit].labels):
                self.with_label.setdefault(label, []).append(unit)
        self.order = order
        self.rarest_first = sorted(self.with_label, key=lambda label: (len(self.with_label[label]), label))

    def cover(self) -> None:
        """Puts every label with enough units into every split, the rarest label first."""
        # Small splits have the fewest options.
        splits = sorted(range(len(self.sizes)), key=lambda split: self.sizes[split])
        for label in self.rarest_first:
            if len(self.with_label[label]) < len(self.sizes):
                continue
            for split in splits:
                if self.labels_in[split][label]:
                    continue
                free = [unit for unit in self.with_label[label] if self.split_of[unit] < 0]
                fitting = [unit for unit in free if self.units[unit].size <= self.room[split]]
                if fitting:
                    self._put(max(fitting, key=lambda unit: self._usefulness(unit, split)), split)

    def _usefulness(self, unit: int, split: int) -> int:
        """Returns how many new labels a unit would add to a split."""
        return sum(1 for label in self.units[unit].labels if not self.labels_in[split][label])

    def distribute(self) -> None:
        """Distributes the other units by iterative stratification; units without labels are last."""
        total = sum(self.sizes)
        fractions = [size / total for size in self.sizes]
        remaining = {label: [u for u in units if self.split_of[u] < 0] for label, units in self.with_label.items()}
        while remaining:
            label = min(remaining, key=lambda name: (len(remaining[name]), name))
            for unit in remaining.pop(label):
                if self.split_of[unit] >= 0:
                    continue
                needed = [
                    fractions[split] * len(self.with_label[label]) - self.labels_in[split][label]
                    for split in range(len(self.sizes))
                ]
                self._put(unit, self._best_split(unit, needed))
            remaining = {
                name: kept for name, units in remaining.items() if (kept := [u for u in units if self.split_of[u] < 0])
            }
        for unit in self.order:
            if self.split_of[unit] < 0:
                needed = [self.room[split] / size for split, size in enumerate(self.sizes)]
                self._put(unit, self._best_split(unit, needed))

    def _best_split(self, unit: int, needed: Sequence[float]) -> int:
        """Returns the split with the greatest need of those with room for a unit, else the one with the most room."""
        size = self.units[unit].size
        fitting = [split for split in range(len(self.sizes)) if self.room[split] >= size]
        if not fitting:
            return max(range(len(self.sizes)), key=lambda split: self.room[split])
        return max(fitting, key=lambda split: (round(needed[split], 9), self.room[split], self.rng.random()))

    def swap_missing(self) -> None:
        """Swaps units between splits as long as this adds more missing labels to splits than it removes."""
        needed = {label for label, units in self.with_label.items() if len(units) >= len(self.sizes)}
        swapped = True
        while swapped:
            missing = [
                (label, split)
                for label in self.rarest_first
                if label in needed
                for split in range(len(self.sizes))
                if not self.labels_in[split][label]
            ]
            swapped = any(self._swap(label, split, needed) for label, split in missing)

    def fill(self) -> None:
        """Moves the smallest unit of a split that has several to each split that large units left empty."""
        for split, size in enumerate(self.sizes):
            has = Counter(self.split_of)
            spare = [unit for unit in self.order if has[self.split_of[unit]] > 1]
            if size and not has[split] and spare:
                unit = min(spare, key=lambda unit: (self.units[unit].size, self.room[self.split_of[unit]]))
                self._take(unit)
                self._put(unit, split)

    def _swap(self, label: str, split: int, needed: set[str]) -> bool:
        """Puts a label into a split by the swap with the largest gain; returns whether there was one."""
        inside = [unit for unit in self.order if self.split_of[unit] == split]
        pairs = (
            (unit, other)
            for unit, other in product(self.with_label[label], inside)
            if self.units[unit].size == self.units[other].size
        )
        gains = ((self._gain(unit, other, needed), unit, other) for unit, other in islice(pairs, _MAX_SWAPS))
        gain, unit, other = max(gains, key=lambda found: found[0], default=(0, 0, 0))
        if gain <= 0:
            return False
        origin = self.split_of[unit]
        self._take(unit)
        self._take(other)
        self._put(unit, split)
        self._put(other, origin)
        return True

    def _gain(self, unit: int, other: int, needed: set[str]) -> int:
        """Returns how many missing labels the swap of two units adds to splits, less those that it removes."""
        gain = 0
        for one, two in ((unit, other), (other, unit)):
            origin, goal = self.labels_in[self.split_of[one]], self.labels_in[self.split_of[two]]
            for label in (self.units[one].labels - self.units[two].labels) & needed:
                gain += (goal[label] == 0) - (origin[label] == 1)
        return gain

    def _put(self, unit: int, split: int) -> None:
        self.split_of[unit] = split
        self.room[split] -= self.units[unit].size
        self._count(self.units[unit].labels, split, 1)

    def _take(self, unit: int) -> None:
        split = self.split_of[unit]
        self.split_of[unit] = -1
        self.room[split] += self.units[unit].size
        self._count(self.units[unit].labels, split, -1)

    def _count(self, labels: Iterable[str], split: int, by: int) -> None:
        for label in labels:
            self.labels_in[split][label] += by
