"""Sharing units with labels out into parts of given sizes, so that each label is spread evenly.

The even spread is iterative stratification (Sechidis, Tsoumakas, Vlahavas: "On the Stratification of Multi-Label
Data", ECML PKDD 2011): the rarest label first, each of its units to the part that lacks most of it. By itself it leaves
a label of two units in the largest part alone; so before it, every label is brought into every part, and after it, what
is still missing is mended by exchanges.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Final

_MOST_TRIED: Final = 20_000
"""Exchanges that are looked at for one label and part: all of them in small datasets, a random share in large ones."""


@dataclass(frozen=True)
class Unit:
    """What must stay together: one picture, or several.

    Args:
        size: How many pictures.
        labels: All labels in them.
    """

    size: int
    labels: frozenset[str]


def shares_to_sizes(count: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers that sum to ``count`` and are nearest to the shares, by largest remainder.

    Where remainders are equal, the earlier part gets the picture. A remainder is rounded to nine digits, so that 0.7 of
    10, which is 7.000000000000001 or 6.999999999999999 in a computer, is 7.
    """
    exact = [round(count * share, 9) for share in shares]
    sizes = [math.floor(value) for value in exact]
    order = sorted(range(len(shares)), key=lambda part: (-(round(exact[part] - sizes[part], 9)), part))
    for part in order[: count - sum(sizes)]:
        sizes[part] += 1
    return sizes


def share_out(units: Sequence[Unit], sizes: Sequence[int], seed: int = 0) -> list[int]:
    """The part of every unit.

    Where all units have size 1, the parts get exactly their sizes; else they are near, and no part that shall have any
    is left with none as long as there are units enough. The answer depends on the order of the units, so
    give them in one that means something, and on the seed.

    Args:
        units: What is shared out.
        sizes: How many pictures each part gets; their sum is that of the units' sizes.
        seed: Of the choice between equals.

    Returns:
        One index into ``sizes`` a unit.
    """
    sharing = _Sharing(list(units), list(sizes), random.Random(seed))
    sharing.cover()
    sharing.spread()
    sharing.mend()
    sharing.fill()
    return sharing.part_of


@dataclass
class _Sharing:
    units: list[Unit]
    sizes: list[int]
    chance: random.Random
    part_of: list[int] = field(default_factory=list)
    room: list[int] = field(default_factory=list)
    holds: list[Counter[str]] = field(default_factory=list)
    with_label: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.part_of = [-1] * len(self.units)
        self.room = list(self.sizes)
        self.holds = [Counter() for _ in self.sizes]
        order = list(range(len(self.units)))
        self.chance.shuffle(order)
        order.sort(key=lambda unit: -self.units[unit].size)  # large ones first, while there is room
        for unit in order:
            for label in sorted(self.units[unit].labels):
                self.with_label.setdefault(label, []).append(unit)
        self.order = order
        self.rarest_first = sorted(self.with_label, key=lambda label: (len(self.with_label[label]), label))

    def cover(self) -> None:
        """Brings every label that has units enough into every part, the rarest first."""
        parts = sorted(range(len(self.sizes)), key=lambda part: self.sizes[part])  # small parts have least choice
        for label in self.rarest_first:
            if len(self.with_label[label]) < len(self.sizes):
                continue
            for part in parts:
                if self.holds[part][label]:
                    continue
                free = [unit for unit in self.with_label[label] if self.part_of[unit] < 0]
                fitting = [unit for unit in free if self.units[unit].size <= self.room[part]]
                if fitting:
                    self._put(max(fitting, key=lambda unit: self._usefulness(unit, part)), part)

    def _usefulness(self, unit: int, part: int) -> int:
        """How many labels a unit would bring that the part has not."""
        return sum(1 for label in self.units[unit].labels if not self.holds[part][label])

    def spread(self) -> None:
        """Iterative stratification of the rest; units without labels come last and fill up."""
        total = sum(self.sizes)
        share = [size / total for size in self.sizes]
        left = {label: [u for u in units if self.part_of[u] < 0] for label, units in self.with_label.items()}
        while left:
            label = min(left, key=lambda name: (len(left[name]), name))
            for unit in left.pop(label):
                if self.part_of[unit] >= 0:
                    continue
                wanted = [
                    share[part] * len(self.with_label[label]) - self.holds[part][label]
                    for part in range(len(self.sizes))
                ]
                self._put(unit, self._best_part(unit, wanted))
            left = {name: kept for name, units in left.items() if (kept := [u for u in units if self.part_of[u] < 0])}
        for unit in self.order:
            if self.part_of[unit] < 0:
                self._put(unit, self._best_part(unit, [self.room[part] / size for part, size in enumerate(self.sizes)]))

    def _best_part(self, unit: int, wanted: Sequence[float]) -> int:
        """The part that wants most among those with room; where none has room for all of the unit, the roomiest."""
        size = self.units[unit].size
        fitting = [part for part in range(len(self.sizes)) if self.room[part] >= size]
        if not fitting:
            return max(range(len(self.sizes)), key=lambda part: self.room[part])
        return max(fitting, key=lambda part: (round(wanted[part], 9), self.room[part], self.chance.random()))

    def mend(self) -> None:
        """Exchanges units between parts as long as that brings more labels into parts that lack them than it takes."""
        needed = {label for label, units in self.with_label.items() if len(units) >= len(self.sizes)}
        exchanged = True
        while exchanged:
            lacking = [
                (label, part)
                for label in self.rarest_first
                if label in needed
                for part in range(len(self.sizes))
                if not self.holds[part][label]
            ]
            exchanged = any(self._exchange(label, part, needed) for label, part in lacking)

    def fill(self) -> None:
        """Gives a part that large units have left with none the smallest unit of one that has several."""
        for part, size in enumerate(self.sizes):
            has = Counter(self.part_of)
            spare = [unit for unit in self.order if has[self.part_of[unit]] > 1]
            if size and not has[part] and spare:
                unit = min(spare, key=lambda unit: (self.units[unit].size, self.room[self.part_of[unit]]))
                self._take(unit)
                self._put(unit, part)

    def _exchange(self, label: str, part: int, needed: set[str]) -> bool:
        """Brings a label into a part by the exchange that gains most; says whether there was one."""
        inside = [unit for unit in self.order if self.part_of[unit] == part]
        pairs = (
            (unit, other)
            for unit, other in product(self.with_label[label], inside)
            if self.units[unit].size == self.units[other].size
        )
        gains = ((self._gain(unit, other, needed), unit, other) for unit, other in islice(pairs, _MOST_TRIED))
        gain, unit, other = max(gains, key=lambda found: found[0], default=(0, 0, 0))
        if gain <= 0:
            return False
        origin = self.part_of[unit]
        self._take(unit)
        self._take(other)
        self._put(unit, part)
        self._put(other, origin)
        return True

    def _gain(self, unit: int, other: int, needed: set[str]) -> int:
        """How many more labels stand in parts that lacked them, after two units are exchanged."""
        gain = 0
        for one, two in ((unit, other), (other, unit)):
            origin, goal = self.holds[self.part_of[one]], self.holds[self.part_of[two]]
            for label in (self.units[one].labels - self.units[two].labels) & needed:
                gain += (goal[label] == 0) - (origin[label] == 1)
        return gain

    def _put(self, unit: int, part: int) -> None:
        self.part_of[unit] = part
        self.room[part] -= self.units[unit].size
        self._count(self.units[unit].labels, part, 1)

    def _take(self, unit: int) -> None:
        part = self.part_of[unit]
        self.part_of[unit] = -1
        self.room[part] += self.units[unit].size
        self._count(self.units[unit].labels, part, -1)

    def _count(self, labels: Iterable[str], part: int, by: int) -> None:
        for label in labels:
            self.holds[part][label] += by
