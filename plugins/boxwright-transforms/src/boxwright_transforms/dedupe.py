"""The step ``dedupe``: duplicate images."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from boxwright import DataError, Sample, UsageError
from boxwright.datasets import OnProblem, Problems
from boxwright.images import MAX_DISTANCE, SimilarityIndex
from boxwright_transforms.hashes import ImageHashes
from boxwright_transforms.notes import amount, examples
from boxwright_transforms.passes import second_pass

_MAX_BITS: Final = 8


@dataclass
class _Images:
    """What the first pass found, one entry per image."""

    names: list[str] = field(default_factory=list)
    splits: list[str | None] = field(default_factory=list)
    hashes: list[int | None] = field(default_factory=list)
    boxes: array[int] = field(default_factory=lambda: array("Q"))
    annotations: array[int] = field(default_factory=lambda: array("q"))
    unreadable: list[str] = field(default_factory=list)
    skipped: set[int] = field(default_factory=set)


class Dedupe:
    """The step ``dedupe`` or ``dedupe:near``.

    Every image that is dropped is identical or similar to an image that is kept. In a chain, in which each image
    resembles only its neighbors, more than the first image therefore remains. The images keep their order. The dataset
    is read twice; names and hashes are kept in memory, not images.

    Args:
        how: ``"exact"`` for files with the same bytes, by their SHA-256; ``"near"`` for images that look alike, by
            :func:`boxwright.images.difference_hash`, which requires decoding every image.
        keep: Which duplicate is kept: ``"first"``, or the first of those with ``"most_boxes"``.
        scope: ``"dataset"`` to compare all images, ``"split"`` to compare only images of the same split.
        bits: In how many of 64 bits the hashes of images that look alike may differ, 0 to 8. The larger the number, the
            more images must be compared; see :class:`boxwright.images.SimilarityIndex`.
        unreadable: ``"error"``, or ``"keep"`` for images that cannot be read, which are not compared.

    Raises:
        UsageError: ``bits`` is out of range.
    """

    per_sample = False
    keeps_labels = True

    def __init__(
        self,
        how: str = "exact",
        keep: str = "first",
        scope: str = "dataset",
        bits: int = MAX_DISTANCE,
        unreadable: str = "error",
    ) -> None:
        if not 0 <= bits <= _MAX_BITS:
            raise UsageError(f"dedupe: bits={bits}", f"use 0 to {_MAX_BITS}")
        self.near = how == "near"
        self.most_boxes = keep == "most_boxes"
        self.by_split = scope == "split"
        self.keep_unreadable = unreadable == "keep"
        self.bits = bits
        self._hashes = ImageHashes()
        self._notes: list[str] = []

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the samples that are kept; see :meth:`apply`."""
        return self.apply(samples, Problems())

    def apply(self, samples: Iterable[Sample], on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples that are kept.

        Args:
            samples: The samples.
            on_problem: Called with the error of an image that cannot be read.

        Raises:
            DataError: The dataset changed between the two passes.
        """
        images = self._first_pass(samples, on_problem)
        order: Iterable[int] = range(len(images.names))
        if self.most_boxes:
            order = sorted(order, key=lambda position: -images.boxes[position])
        original = self._originals(images, order, by_split=self.by_split)
        self._notes = self._describe(images, original) if images.names else []
        for position, sample in second_pass(samples, images.names, images.skipped):
            if original[position] == position:
                yield sample

    def notes(self) -> list[str]:
        """Returns which images were dropped as duplicates of which, and what deserves attention."""
        return list(self._notes)

    def _first_pass(self, samples: Iterable[Sample], on_problem: OnProblem) -> _Images:
        images = _Images()
        hashed = self._hashes.difference_hash if self.near else self._hashes.digest
        for index, sample in enumerate(samples):
            try:
                value = hashed(sample)
            except DataError as error:
                if not self.keep_unreadable:
                    remedy = f"{error.remedy}; dedupe:unreadable=keep keeps the image without comparing it"
                    on_problem(DataError(error.file, error.problem, remedy, error.place))
                    images.skipped.add(index)
                    continue
                images.unreadable.append(sample.image.name)
                images.hashes.append(None)
            else:
                images.hashes.append(value)
            boxes = sample.boxes
            images.names.append(sample.image.name)
            images.splits.append(sample.split)
            images.boxes.append(len(boxes))
            images.annotations.append(hash(tuple(sorted(zip(boxes.labels, boxes.coordinates, strict=True)))))
        return images

    def _originals(self, images: _Images, order: Iterable[int], *, by_split: bool) -> list[int]:
        """Returns for each image the one that is kept for it: itself, or the one that it duplicates."""
        original = list(range(len(images.names)))
        indices: dict[str | None, SimilarityIndex] = {}
        for position in order:
            value = images.hashes[position]
            if value is None:
                continue
            split = images.splits[position] if by_split else None
            index = indices.setdefault(split, SimilarityIndex(self.bits if self.near else 0))
            near = index.find(value)
            if near is None:
                index.add(value, position)
            else:
                original[position] = near
        return original

    def _describe(self, images: _Images, original: Sequence[int]) -> list[str]:
        names, splits = images.names, images.splits
        duplicates = [(position, of) for position, of in enumerate(original) if of != position]
        resembles = "looks like" if self.near else "is identical to"
        notes = []
        if duplicates:
            kept = amount(len({of for _, of in duplicates}), "image")
            pairs = [f"{names[position]} {resembles} {names[of]}" for position, of in duplicates]
            dropped = f"{amount(len(duplicates), 'image')} of {len(names):,} dropped"
            if any(split is not None for split in splits):
                counts = Counter(splits[position] or "no split" for position, _ in duplicates)
                dropped += f" ({', '.join(f'{split} {count:,}' for split, count in sorted(counts.items()))})"
            notes.append(f"{dropped} in favor of {kept}: {examples(pairs)}")
        else:
            notes.append("no near-duplicate images" if self.near else "no duplicate images")
        across = [
            f"{names[i]} ({splits[i]}), {names[of]} ({splits[of]})" for i, of in duplicates if splits[i] != splits[of]
        ]
        if across:
            notes.append(f"{len(across):,} of them in another split: {examples(across)}")
        other = [names[i] for i, of in duplicates if images.annotations[i] != images.annotations[of]]
        if other and not self.near:
            notes.append(f"{len(other):,} of them with other boxes than the image that was kept: {examples(other)}")
        if self.by_split:
            notes += self._describe_across(images, original)
        if images.unreadable:
            notes.append(f"{amount(len(images.unreadable), 'image')} could not be read: {examples(images.unreadable)}")
        return notes

    def _describe_across(self, images: _Images, original: Sequence[int]) -> list[str]:
        """Describes the images that are kept although another split contains a duplicate."""
        kept = [position for position, of in enumerate(original) if of == position]
        of = self._originals(images, kept, by_split=False)
        names, splits = images.names, images.splits
        pairs = [f"{names[i]} ({splits[i]}), {names[of[i]]} ({splits[of[i]]})" for i in kept if of[i] != i]
        if not pairs:
            return []
        return [f"{amount(len(pairs), 'image')} kept that another split contains, too: {examples(pairs)}"]
