"""The step ``sample``: images selected at random."""

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
from boxwright_transforms.passes import changed_error
from boxwright_transforms.stratification import Unit, stratify

_MAX_CANDIDATES: Final = 16
"""Number of images of a class from which one is selected for a balanced sample."""

_AMOUNT = re.compile(r"(?P<count>\d{1,12})|(?P<fraction>\d*\.\d+)|(?P<percent>\d+(\.\d+)?)\s*%", re.ASCII)


class RandomSample:
    """The step ``sample:500`` or ``sample:10%``.

    The selection depends on the names of the images and the seed alone, not on their order. With ``"random"``, a
    smaller sample is part of every larger one with the same seed. The images keep their order, and the classes their
    ids.

    The dataset is read twice: first a number is computed from each name, then the selected samples are yielded.

    Args:
        amount: Number of images: ``500``, ``10%``, or as a fraction, ``0.1``.
        seed: Another seed selects other images.
        classes: ``"random"`` for any images; ``"stratified"`` for every class in proportion to its share of all images;
            ``"balanced"`` for every class, and images without boxes, in the same number of images, if there are enough.

    Raises:
        UsageError: The amount is invalid.
    """

    per_sample = False
    keeps_labels = True

    def __init__(self, amount: str, seed: int = 0, classes: str = "random") -> None:
        self.count, self.fraction = _parse_amount(amount)
        self.seed = seed
        self.classes = classes
        self._images_with: Counter[str] = Counter()
        self._selected_with: Counter[str] = Counter()
        self._images = self._selected = 0

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the selected samples.

        Raises:
            DataError: The dataset changed between the two passes.
        """
        images_with = self._images_with = Counter[str]()
        selected_with = self._selected_with = Counter[str]()
        self._selected = 0
        ranks = array("Q")
        labels: list[frozenset[str]] = []
        known: dict[frozenset[str], frozenset[str]] = {}
        for sample in samples:
            ranks.append(self._rank(sample))
            found = frozenset(sample.boxes.labels)
            images_with.update(found)
            if self.classes != "random":
                labels.append(known.setdefault(found, found))
        self._images = len(ranks)
        selected = self._select(ranks, labels, self._requested(len(ranks)))
        position = -1
        for position, sample in enumerate(samples):
            if position >= len(ranks) or self._rank(sample) != ranks[position]:
                raise changed_error(sample.source or sample.image.name)
            if selected[position]:
                self._selected += 1
                selected_with.update(set(sample.boxes.labels))
                yield sample
        if position + 1 != len(ranks):
            raise changed_error(f"image {position + 2}")

    def notes(self) -> list[str]:
        """Returns the number of selected images, and that of their classes."""
        if not self._images:
            return []
        images_with, selected_with = self._images_with, self._selected_with
        listed = ", ".join(f"{label} in {selected_with[label]:,}" for label in sorted(images_with))
        notes = [
            f"{amount(self._selected, 'image')} of {self._images:,} selected" + (f" ({listed})" if listed else ""),
            *(
                f"no selected image has the class {label!r}: {amount(count, 'image')} in all"
                for label, count in sorted(images_with.items())
                if not selected_with[label]
            ),
        ]
        if self.count is not None and self.count > self._images:
            notes.append(f"{self.count:,} images requested, more than there are: all were selected")
        return notes

    def _rank(self, sample: Sample) -> int:
        """Returns a pseudorandom number of 64 bits from the image's name and the seed."""
        text = f"{self.seed}\0{sample.image.name}".encode(errors="surrogatepass")
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")

    def _requested(self, images: int) -> int:
        if self.count is not None:
            return self.count
        return max(1, round(images * self.fraction)) if images else 0

    def _select(self, ranks: array[int], labels: Sequence[frozenset[str]], requested: int) -> bytearray:
        """Returns one byte per image, 1 if it is selected."""
        if requested >= len(ranks):
            return bytearray(b"\1") * len(ranks)
        if self.classes == "random":
            chosen = heapq.nsmallest(requested, range(len(ranks)), key=ranks.__getitem__)
        else:
            by_rank = sorted(range(len(ranks)), key=ranks.__getitem__)
            found = [labels[position] for position in by_rank]
            stratified = self.classes == "stratified"
            indices = _stratified(found, requested, self.seed) if stratified else _balanced(found, requested)
            chosen = [by_rank[index] for index in indices]
        selected = bytearray(len(ranks))
        for position in chosen:
            selected[position] = 1
        return selected


def _stratified(labels: Sequence[frozenset[str]], requested: int, seed: int) -> list[int]:
    parts = stratify([Unit(1, found) for found in labels], [requested, len(labels) - requested], seed)
    return [index for index, part in enumerate(parts) if part == 0]


def _balanced(labels: Sequence[frozenset[str]], requested: int) -> list[int]:
    """Returns indices of images, each selected for the class with the fewest so far; no class counts as one.

    Of the next few images of that class, the one whose other classes have the fewest is selected.
    """
    without = frozenset({""})
    remaining: dict[str, list[int]] = {}
    for index in reversed(range(len(labels))):
        for label in labels[index] or without:
            remaining.setdefault(label, []).append(index)
    counts: Counter[str] = Counter()
    rarest = [(0, len(indices), label) for label, indices in remaining.items()]
    heapq.heapify(rarest)
    chosen: set[int] = set()
    while len(chosen) < requested:
        count, total, label = heapq.heappop(rarest)
        if count != counts[label]:
            heapq.heappush(rarest, (counts[label], total, label))
            continue
        candidates: list[int] = []
        indices = remaining[label]
        while indices and len(candidates) < _MAX_CANDIDATES:
            if (index := indices.pop()) not in chosen:
                candidates.append(index)
        if not candidates:
            continue
        best = min(candidates, key=lambda index: max(counts[other] for other in labels[index] or without))
        indices += [index for index in reversed(candidates) if index != best]
        chosen.add(best)
        counts.update(labels[best] or without)
        heapq.heappush(rarest, (counts[label], total, label))
    return sorted(chosen)


def _parse_amount(text: str) -> tuple[int | None, float]:
    """Returns the number of images, or else their fraction."""
    match = _AMOUNT.fullmatch(str(text).strip())
    if match and match["count"] and int(match["count"]):
        return int(match["count"]), 0.0
    fraction = float(match["fraction"] or 0) + float(match["percent"] or 0) / 100 if match else math.nan
    if not 0 < fraction <= 1:
        raise UsageError(f"sample: the amount is {text!r}", "write a number, sample:500, or a fraction, sample:10%")
    return None, fraction
