"""The step ``sample``: some of the pictures, drawn by lot."""

from __future__ import annotations

import hashlib
import heapq
import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from boxwright import Sample, UsageError
from boxwright_transforms.notes import amount
from boxwright_transforms.readings import changed
from boxwright_transforms.stratify import Unit, share_out
from boxwright_transforms.values import check_choice

_LOOKED_AT: Final = 16
"""Pictures of a class among which one is chosen for a balanced sample."""

_AMOUNT = re.compile(r"(?P<count>\d{1,12})|(?P<share>\d*\.\d+)|(?P<percent>\d+(\.\d+)?)\s*%", re.ASCII)


class Draw:
    """The step ``sample:500`` or ``sample:10%``.

    Which pictures are drawn depends on their names and the seed alone: the same whatever their order, and, drawn at
    random, those of a small sample are among those of a larger one with the same seed. The stream keeps its order, and
    the classes their numbers.

    The stream is read twice: first a number is made from each name, then the drawn samples are handed on.

    Args:
        amount: How many: ``500``, ``10%``, or as a fraction, ``0.1``.
        seed: Another seed draws others.
        classes: ``"random"`` for any pictures; ``"stratified"`` for every class in the same share as in all of it;
            ``"balanced"`` for every class, and pictures without boxes, in the same number of pictures, as far as there
            are enough.

    Raises:
        UsageError: The amount is none.
    """

    per_sample = False
    keeps_labels = True

    def __init__(self, amount: str, seed: int = 0, classes: str = "random") -> None:
        self.count, self.share = _parse_amount(amount)
        self.seed = seed
        self.classes = check_choice(classes, ("random", "stratified", "balanced"), "sample: classes")
        self._everywhere: Counter[str] = Counter()
        self._drawn: Counter[str] = Counter()
        self._pictures = self._kept = 0

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the drawn samples.

        Raises:
            DataError: The dataset changed between the two readings.
        """
        everywhere = self._everywhere = Counter[str]()
        inside = self._drawn = Counter[str]()
        self._kept = 0
        lots = array("Q")
        labels: list[frozenset[str]] = []
        known: dict[frozenset[str], frozenset[str]] = {}
        for sample in samples:
            lots.append(self._lot(sample))
            found = frozenset(sample.boxes.labels)
            everywhere.update(found)
            if self.classes != "random":
                labels.append(known.setdefault(found, found))
        self._pictures = len(lots)
        drawn = self._draw(lots, labels, self._wanted(len(lots)))
        position = -1
        for position, sample in enumerate(samples):
            if position >= len(lots) or self._lot(sample) != lots[position]:
                raise changed(sample.source or sample.image.name)
            if drawn[position]:
                self._kept += 1
                inside.update(set(sample.boxes.labels))
                yield sample
        if position + 1 != len(lots):
            raise changed(f"picture {position + 2}")

    def notes(self) -> list[str]:
        """How many were drawn, with which classes."""
        if not self._pictures:
            return []
        everywhere, inside = self._everywhere, self._drawn
        listed = ", ".join(f"{label} in {inside[label]:,}" for label in sorted(everywhere))
        said = [
            f"{amount(self._kept, 'picture')} of {self._pictures:,} drawn" + (f" ({listed})" if listed else ""),
            *(
                f"no drawn picture has the class {label!r}: {amount(count, 'picture')} in all"
                for label, count in sorted(everywhere.items())
                if not inside[label]
            ),
        ]
        if self.count is not None and self.count > self._pictures:
            said.append(f"{self.count:,} were asked for, more than there are: all were taken")
        return said

    def _lot(self, sample: Sample) -> int:
        """A number as good as drawn by lot, 64 bits, from the picture's name and the seed."""
        text = f"{self.seed}\0{sample.image.name}".encode(errors="surrogatepass")
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")

    def _wanted(self, count: int) -> int:
        if self.count is not None:
            return self.count
        return max(1, round(count * self.share)) if count else 0

    def _draw(self, lots: array[int], labels: Sequence[frozenset[str]], wanted: int) -> bytearray:
        """One byte a picture, 1 for those that are drawn."""
        if wanted >= len(lots):
            return bytearray(b"\1") * len(lots)
        if self.classes == "random":
            chosen = heapq.nsmallest(wanted, range(len(lots)), key=lots.__getitem__)
        else:
            by_lot = sorted(range(len(lots)), key=lots.__getitem__)
            found = [labels[position] for position in by_lot]
            places = _stratified(found, wanted, self.seed) if self.classes == "stratified" else _balanced(found, wanted)
            chosen = [by_lot[place] for place in places]
        drawn = bytearray(len(lots))
        for position in chosen:
            drawn[position] = 1
        return drawn


def _stratified(labels: Sequence[frozenset[str]], wanted: int, seed: int) -> list[int]:
    parts = share_out([Unit(1, found) for found in labels], [wanted, len(labels) - wanted], seed)
    return [place for place, part in enumerate(parts) if part == 0]


def _balanced(labels: Sequence[frozenset[str]], wanted: int) -> list[int]:
    """Places of pictures, each chosen for the class that has fewest so far; no class counts as one.

    Of the next few pictures of that class, the one whose other classes have fewest is taken.
    """
    without = frozenset({""})
    waiting: dict[str, list[int]] = {}
    for place in reversed(range(len(labels))):
        for label in labels[place] or without:
            waiting.setdefault(label, []).append(place)
    has: Counter[str] = Counter()
    poorest = [(0, len(places), label) for label, places in waiting.items()]
    heapq.heapify(poorest)
    chosen: set[int] = set()
    while len(chosen) < wanted:
        count, total, label = heapq.heappop(poorest)
        if count != has[label]:
            heapq.heappush(poorest, (has[label], total, label))
            continue
        candidates: list[int] = []
        places = waiting[label]
        while places and len(candidates) < _LOOKED_AT:
            if (place := places.pop()) not in chosen:
                candidates.append(place)
        if not candidates:
            continue
        best = min(candidates, key=lambda place: max(has[other] for other in labels[place] or without))
        places += [place for place in reversed(candidates) if place != best]
        chosen.add(best)
        has.update(labels[best] or without)
        heapq.heappush(poorest, (has[label], total, label))
    return sorted(chosen)


def _parse_amount(text: str) -> tuple[int | None, float]:
    """The number of pictures, or else their share."""
    match = _AMOUNT.fullmatch(str(text).strip())
    if match and match["count"] and int(match["count"]):
        return int(match["count"]), 0.0
    share = float(match["share"] or 0) + float(match["percent"] or 0) / 100 if match else math.nan
    if not 0 < share <= 1:
        raise UsageError(f"sample: the amount is {text!r}", "write how many, sample:500, or a share, sample:10%")
    return None, share
