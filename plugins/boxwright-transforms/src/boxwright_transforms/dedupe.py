"""The step ``dedupe``: pictures that are there more than once."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from boxwright import DataError, Sample, UsageError
from boxwright.datasets import OnProblem
from boxwright_transforms.duplicates import MOST_DIFFERENT_BITS, NearIndex, PictureHashes
from boxwright_transforms.notes import amount, examples
from boxwright_transforms.readings import again, raised
from boxwright_transforms.values import check_choice

_MOST_BITS: Final = 8


@dataclass
class _Found:
    """What the first reading found, one entry a picture."""

    names: list[str] = field(default_factory=list)
    splits: list[str | None] = field(default_factory=list)
    marks: list[int | None] = field(default_factory=list)
    boxes: array[int] = field(default_factory=lambda: array("Q"))
    annotations: array[int] = field(default_factory=lambda: array("q"))
    unreadable: list[str] = field(default_factory=list)
    left_out: set[int] = field(default_factory=set)


class Dedupe:
    """The step ``dedupe`` or ``dedupe:near``.

    Every picture that goes is the same as, or looks like, one that stays: a chain of pictures, each of which is a
    little unlike the one before, does not shrink to its first. The stream keeps its order; it is read twice, and names
    and hashes are kept, no pictures.

    Args:
        how: ``"exact"`` for files with the same bytes, by their SHA-256; ``"near"`` for pictures that look alike, by
            :func:`boxwright_transforms.duplicates.difference_hash`, which decodes every picture.
        keep: Which of them stays: ``"first"``, or the first of those with ``"most_boxes"``.
        scope: ``"dataset"`` to look through all of it, ``"split"`` to look through each split by itself.
        bits: In how many of 64 bits the hashes of pictures that look alike may differ, 0 to 8. The more, the more
            pictures have to be compared; see :class:`boxwright_transforms.duplicates.Bands`.
        unreadable: ``"error"``, or ``"keep"`` pictures that cannot be read, compared with none.

    Raises:
        UsageError: An option is out of range.
    """

    per_sample = False
    keeps_labels = True

    def __init__(
        self,
        how: str = "exact",
        keep: str = "first",
        scope: str = "dataset",
        bits: int = MOST_DIFFERENT_BITS,
        unreadable: str = "error",
    ) -> None:
        self.near = check_choice(how, ("exact", "near"), "dedupe: how") == "near"
        self.most_boxes = check_choice(keep, ("first", "most_boxes"), "dedupe: keep") == "most_boxes"
        self.by_split = check_choice(scope, ("dataset", "split"), "dedupe: scope") == "split"
        self.keep_unreadable = check_choice(unreadable, ("error", "keep"), "dedupe: unreadable") == "keep"
        if not 0 <= bits <= _MOST_BITS:
            raise UsageError(f"dedupe: bits={bits}", f"give 0 to {_MOST_BITS}")
        self.bits = bits
        self._hashes = PictureHashes()
        self._notes: list[str] = []

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the samples that stay; see :meth:`apply`."""
        return self.apply(samples, raised)

    def apply(self, samples: Iterable[Sample], on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples that stay.

        Args:
            samples: The samples.
            on_problem: Gets the error of a picture that cannot be read.

        Raises:
            DataError: The dataset changed between the two readings.
        """
        found = self._gather(samples, on_problem)
        order: Iterable[int] = range(len(found.names))
        if self.most_boxes:
            order = sorted(order, key=lambda position: -found.boxes[position])
        original = self._originals(found, order, by_split=self.by_split)
        self._notes = self._describe(found, original) if found.names else []
        for position, sample in again(samples, found.names, found.left_out):
            if original[position] == position:
                yield sample

    def notes(self) -> list[str]:
        """What went, as the copy of what, and what a person may want to know of it."""
        return list(self._notes)

    def _gather(self, samples: Iterable[Sample], on_problem: OnProblem) -> _Found:
        found = _Found()
        for number, sample in enumerate(samples):
            try:
                mark = self._mark(sample)
            except DataError as error:
                if not self.keep_unreadable:
                    remedy = f"{error.remedy}; dedupe:unreadable=keep lets it pass without comparing it"
                    on_problem(DataError(error.file, error.problem, remedy, error.place))
                    found.left_out.add(number)
                    continue
                found.unreadable.append(sample.image.name)
                mark = None
            boxes = sample.boxes
            found.names.append(sample.image.name)
            found.splits.append(sample.split)
            found.boxes.append(len(boxes))
            found.annotations.append(hash(tuple(sorted(zip(boxes.labels, boxes.edges, strict=True)))))
            found.marks.append(mark)
        return found

    def _mark(self, sample: Sample) -> int:
        if self.near:
            return self._hashes.difference_hash(sample)
        return int.from_bytes(self._hashes.digest(sample), "big")

    def _originals(self, found: _Found, order: Iterable[int], *, by_split: bool) -> list[int]:
        """For each picture the one that stays for it: itself, or the one that it is a copy of."""
        original = list(range(len(found.names)))
        indices: dict[str | None, NearIndex] = {}
        for position in order:
            mark = found.marks[position]
            if mark is None:
                continue
            scope = found.splits[position] if by_split else None
            index = indices.setdefault(scope, NearIndex(self.bits if self.near else 0))
            near = index.find(mark)
            if near is None:
                index.add(mark, position)
            else:
                original[position] = near
        return original

    def _describe(self, found: _Found, original: Sequence[int]) -> list[str]:
        names, splits = found.names, found.splits
        copies = [(position, of) for position, of in enumerate(original) if of != position]
        alike = "looks like" if self.near else "is the same as"
        said = []
        if copies:
            kept = amount(len({of for _, of in copies}), "picture")
            places = [f"{names[position]} {alike} {names[of]}" for position, of in copies]
            said.append(f"{amount(len(copies), 'picture')} of {len(names):,} left out for {kept}: {examples(places)}")
        else:
            said.append("no two pictures look alike" if self.near else "no two pictures are the same")
        across = [
            f"{names[i]} ({splits[i]}), {names[of]} ({splits[of]})" for i, of in copies if splits[i] != splits[of]
        ]
        if across:
            said.append(f"{len(across):,} of them stood in another split: {examples(across)}")
        other = [names[i] for i, of in copies if found.annotations[i] != found.annotations[of]]
        if other and not self.near:
            said.append(f"{len(other):,} of them had other boxes than the one that stayed: {examples(other)}")
        if self.by_split:
            said += self._describe_across(found, original)
        if found.unreadable:
            said.append(f"{amount(len(found.unreadable), 'picture')} could not be read: {examples(found.unreadable)}")
        return said

    def _describe_across(self, found: _Found, original: Sequence[int]) -> list[str]:
        """Those that stay and have a copy in another split."""
        staying = [position for position, of in enumerate(original) if of == position]
        everywhere = self._originals(found, staying, by_split=False)
        pairs = [f"{found.names[i]}, {found.names[everywhere[i]]}" for i in staying if everywhere[i] != i]
        return [f"{amount(len(pairs), 'picture')} also in another split stayed: {examples(pairs)}"] if pairs else []
